"""What the acquired field of view and the study grid cut, and how the acquired grid lies."""

import numpy as np

from bids_harmonize.imaging.geometry import Grid, invert, voxel_size_mm
from bids_harmonize.imaging.types import Affine, Mask


def fov_cut_cm2(head_mask: Mask, affine: Affine) -> float:
    """Area of the head at the faces of the acquired volume, the lowest face left out, cm2.

    0 where air surrounds the head on all sides but below, where the neck leaves the volume; a cut
    vertex, nose or ear gives its cut area.

    Parameters
    ----------
    head_mask
        Boolean array of shape (I, J, K), any orientation.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.

    Returns
    -------
    float
        Neutral: a high value is a matter of the protocol unless it stands apart from its site.
    """
    sizes = voxel_size_mm(affine)
    lowest = _lowest_face(affine)
    area_mm2 = 0.0
    for axis in range(3):
        face_mm2 = float(np.prod(sizes)) / sizes[axis]
        for end in (0, -1):
            if (axis, end) != lowest:
                area_mm2 += face_mm2 * float(np.take(head_mask, end, axis).sum())
    return area_mm2 / 100


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


def _lowest_face(affine: Affine) -> tuple[int, int]:
    """Axis and end (0 or -1) of the face whose outward normal points down the most."""
    upward = affine[2, :3] / np.array(voxel_size_mm(affine))
    axis = int(np.abs(upward).argmax())
    return axis, 0 if upward[axis] > 0 else -1
