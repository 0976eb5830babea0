"""What the acquired field of view and the study grid cut, and how the acquired grid lies."""

from typing import Final

import numpy as np

from bids_harmonize.imaging.geometry import Grid, invert, voxel_size_mm
from bids_harmonize.imaging.types import Affine, Mask, Volume

CAP_RADIUS_MM: Final = 75.0
SURFACE_MM: Final = 2.0  # masks are made on a copy of this voxel size, so that caps are as thick
_DIRECTIONS: Final = (("left", "right"), ("back", "front"), ("bottom", "top"))


def fov_cut_cm2(volume: Volume, affine: Affine, head_mask: Mask) -> float:
    """Area of the head at the ends of the acquired field of view, the bottom left out, cm2.

    0 where air surrounds the head on all sides but below, where the neck leaves the volume; a cut
    vertex, nose or ear gives its cut area.

    Parameters
    ----------
    volume
        Array of shape (I, J, K); outer planes of one value are padding, not acquired.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    head_mask
        Boolean array of the same shape.

    Returns
    -------
    float
        Neutral: a high value is a matter of the protocol unless it stands apart from its site.
    """
    contacts = contact_cm2(head_mask, affine, acquired_box(volume))
    return sum(area for name, (area, _) in contacts.items() if name != "bottom")


def acquired_box(volume: Volume) -> tuple[slice, slice, slice]:
    """Slices of what was acquired: outer planes that hold one value only are padding."""
    box = []
    for axis in range(3):
        planes = np.moveaxis(volume, axis, 0).reshape(volume.shape[axis], -1)
        filled = np.flatnonzero(planes.min(axis=1) != planes.max(axis=1))
        ends = (int(filled[0]), int(filled[-1]) + 1) if filled.size else (0, len(planes))
        box.append(slice(*ends))
    return box[0], box[1], box[2]


def contact_cm2(
    mask: Mask, affine: Affine, box: tuple[slice, slice, slice]
) -> dict[str, tuple[float, float]]:
    """Area of a mask on each end of the acquired field of view.

    Parameters
    ----------
    mask
        Boolean array of shape (I, J, K).
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    box
        From :func:`acquired_box`.

    Returns
    -------
    dict
        ``left``, ``right``, ``back``, ``front``, ``bottom``, ``top`` (the side of the world that
        a face looks to) to the area in cm2 and to the area that a mere touch may have: a round
        surface of 75 mm radius shows up to ``2 pi 75 mm x slice`` in its outermost slice, a slice
        being 2 mm or the voxel, whichever is thicker.
    """
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    world_axes = _matching_axes(affine[:3, :3] / size)
    found = {}
    for axis in range(3):
        face_cm2 = float(np.prod(np.delete(size, axis))) / 100
        touch_cm2 = 2 * np.pi * CAP_RADIUS_MM * max(float(size[axis]), SURFACE_MM) / 100
        up = affine[world_axes[axis], axis] > 0
        for end, place in ((0, box[axis].start), (1, box[axis].stop - 1)):
            name = _DIRECTIONS[world_axes[axis]][end if up else 1 - end]
            area = float(np.take(mask, place, axis=axis).sum()) * face_cm2
            found[name] = (area, touch_cm2)
    return found


def share_outside(mask: Mask, affine: Affine, grid: Grid) -> float:
    """Share of a mask's volume that lies outside a grid, 0 to 1; 0 for an empty mask.

    Parameters
    ----------
    mask
        Boolean array of shape (I, J, K).
    affine
        4x4 voxel-to-world matrix of the mask, mm, RAS+.
    grid
        Usually the study grid, which cuts the neck.

    Returns
    -------
    float
        Counted by the centres of the mask's voxels.
    """
    total = int(mask.sum())
    if total == 0:
        return 0.0
    to_grid = (invert(grid.affine) @ affine).astype(np.float32)
    inside = np.ones(total, np.bool_)
    places = np.nonzero(mask)
    for row, length in zip(to_grid, grid.shape, strict=False):
        where = row[3] + sum(row[axis] * places[axis].astype(np.float32) for axis in range(3))
        inside &= (where >= -0.5) & (where < length - 0.5)
    return 1.0 - float(inside.sum()) / total


def part_of_grid(grid: Grid, box: tuple[slice, slice, slice]) -> Grid:
    """Grid of the part of a volume that slices with a start and a stop cut out.

    Examples
    --------
    >>> part = part_of_grid(Grid((9, 9, 9), np.eye(4)), (slice(2, 5), slice(0, 9), slice(1, 9)))
    >>> part.shape, part.affine[:3, 3].tolist()
    ((3, 9, 8), [2.0, 0.0, 1.0])
    """
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([cut.start for cut in box])
    i, j, k = (cut.stop - cut.start for cut in box)
    return Grid(shape=(i, j, k), affine=affine)


def obliqueness_deg(affine: Affine) -> float:
    """Greatest angle between an axis of the volume and the nearest anatomical axis, degrees.

    Examples
    --------
    >>> obliqueness_deg(np.diag([-1.0, 2.0, 1.0, 1.0]))
    0.0
    """
    directions = affine[:3, :3] / np.array(voxel_size_mm(affine))
    nearest = np.abs(directions).max(axis=0).min()
    return float(np.degrees(np.arccos(min(1.0, float(nearest)))))


def anisotropy(affine: Affine) -> float:
    """Longest over shortest edge of a voxel, 1 or more.

    Examples
    --------
    >>> anisotropy(np.diag([1.0, 1.0, 3.0, 1.0]))
    3.0
    """
    sizes = voxel_size_mm(affine)
    return max(sizes) / min(sizes)


def _matching_axes(directions: Affine) -> list[int]:
    """World axis of every array axis, each used once, the clearest first."""
    left = np.abs(directions).copy()
    axes = [0, 0, 0]
    for _ in range(3):
        world, axis = np.unravel_index(int(left.argmax()), left.shape)
        axes[int(axis)] = int(world)
        left[world, :] = -1
        left[:, axis] = -1
    return axes
