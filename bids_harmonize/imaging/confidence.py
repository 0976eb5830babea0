"""How far a mask can be trusted: measures that foretell failure, each turned into a score.

A score is 1 at a usual value, falls in a line to .5 at a stated limit and to 0 as far again
beyond it. The confidence of a mask is its least score, so it is under .5 exactly where one
measure is beyond its limit, and that measure is the reason that is told. Choice: least score,
not a product or a fitted model. Reason: every doubt has one readable cause, and there are far too
few failures to fit anything. Revisit when many hand-corrected masks are at hand.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.types import Affine, Mask, Volume

DOUBTFUL_UNDER: Final = 0.5
SHELL_MM: Final = (1.0, 6.0)  # distance from the border of the two layers that are compared
WINDOW_MM: Final = 5.0  # sd of the window in which they are averaged
CAP_RADIUS_MM: Final = 75.0
_DIRECTIONS: Final = (("left", "right"), ("back", "front"), ("bottom", "top"))


@dataclass(frozen=True)
class Score:
    """One measure of a mask.

    Parameters
    ----------
    value
        0 (absurd) to 1 (usual); under .5 beyond the limit.
    reason
        What is said where it is under .5.
    """

    value: float
    reason: str


def falling_score(value: float, *, usual: float, limit: float) -> float:
    """Score 0 to 1 of a measure that is usual up to one value and too far off beyond a limit.

    Works in either direction: a limit below the usual value is a lower limit.

    Examples
    --------
    >>> falling_score(3.0, usual=2.0, limit=3.0), falling_score(0.2, usual=0.6, limit=0.4)
    (0.5, 0.0)
    """
    return float(np.clip(1.0 - 0.5 * (value - usual) / (limit - usual), 0.0, 1.0))


def range_score(value: float, low: tuple[float, float], high: tuple[float, float]) -> float:
    """Score 0 to 1 of a measure with limits on both sides.

    Parameters
    ----------
    value
        The measure.
    low, high
        Lower limit and lowest usual value; highest usual value and upper limit.

    Returns
    -------
    float
        The lesser of the two :func:`falling_score`.
    """
    return min(
        falling_score(value, usual=low[1], limit=low[0]),
        falling_score(value, usual=high[0], limit=high[1]),
    )


def summarise_scores(scores: list[Score]) -> tuple[float, tuple[str, ...]]:
    """Confidence (the least score) and the reasons of all scores under .5."""
    confidence = min((score.value for score in scores), default=1.0)
    return confidence, tuple(s.reason for s in scores if s.value < DOUBTFUL_UNDER)


def edge_share(volume: Volume, mask: Mask, seen: Mask, *, drop: float, voxel_mm: float) -> float:
    """Share of a mask's border at which the image gets darker outwards.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), isotropic voxels.
    mask
        Boolean array of the same shape.
    seen
        Where the scan has data; borders elsewhere do not count.
    drop
        Outside over inside that counts as darker, e.g. .5.
    voxel_mm
        Voxel size, mm.

    Returns
    -------
    float
        0 to 1, higher is better; 0 for an empty mask. Inside and outside are means of 1 to 6 mm
        from the border in a window of 5 mm.
    """
    border = mask & ~ndimage.binary_erosion(mask) & ndimage.binary_erosion(seen, border_value=0)
    if not border.any():
        return 0.0
    within = ndimage.distance_transform_edt(mask, sampling=voxel_mm)
    beyond = ndimage.distance_transform_edt(~mask, sampling=voxel_mm)
    inner, outer = (
        _border_mean(volume, (d > SHELL_MM[0]) & (d <= SHELL_MM[1]) & seen, border, voxel_mm)
        for d in (within, beyond)
    )
    return float((outer < drop * inner).mean())


def _border_mean(volume: Volume, shell: Mask, border: Mask, voxel_mm: float) -> Volume:
    sigma = WINDOW_MM / voxel_mm
    total = ndimage.gaussian_filter(np.where(shell, volume, 0).astype(np.float32), sigma)
    weight = ndimage.gaussian_filter(shell.astype(np.float32), sigma)
    mean: Volume = total[border] / np.maximum(weight[border], 1e-6)
    return mean


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
        surface of 75 mm radius shows up to ``2 pi 75 mm x voxel`` in its outermost slice.
    """
    size = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    world_axes = _matching_axes(affine[:3, :3] / size)
    found = {}
    for axis in range(3):
        face_cm2 = float(np.prod(np.delete(size, axis))) / 100
        touch_cm2 = 2 * np.pi * CAP_RADIUS_MM * float(size[axis]) / 100
        up = affine[world_axes[axis], axis] > 0
        for end, place in ((0, box[axis].start), (1, box[axis].stop - 1)):
            name = _DIRECTIONS[world_axes[axis]][end if up else 1 - end]
            area = float(np.take(mask, place, axis=axis).sum()) * face_cm2
            found[name] = (area, touch_cm2)
    return found


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
