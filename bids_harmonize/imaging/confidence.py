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

from bids_harmonize.imaging.types import Mask, Volume

DOUBTFUL_UNDER: Final = 0.5
SHELL_MM: Final = (1.0, 6.0)  # distance from the border of the two layers that are compared
WINDOW_MM: Final = 5.0  # sd of the window in which they are averaged
BRAIN_LITRES: Final = ((0.9, 1.05), (1.8, 2.0))
"""Of a brain: lower limit, usual values, upper limit."""


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

    Works in either direction: a limit below the usual value is a lower limit. A measure that could
    not be taken (NaN) scores 0.

    Examples
    --------
    >>> falling_score(3.0, usual=2.0, limit=3.0), falling_score(0.2, usual=0.6, limit=0.4)
    (0.5, 0.0)
    """
    if not np.isfinite(value):
        return 0.0
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
