"""A brain mask that another program made, judged beside the template's own.

Choice: the same checks as for our own mask (volume, correlation of scan and template), and how far
it lies in the head and agrees with our own. Reason: a mask in another image's world has the right
volume in the wrong place. Rejected: believing it because it was asked for. Revisit when a given
mask comes with a confidence of its own.
"""

from typing import Final

import numpy as np

from bids_harmonize.imaging.brainmask import BrainResult
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample_mask
from bids_harmonize.imaging.types import Affine, Mask

DOUBTFUL_UNDER: Final = 0.5
# usual value and limit: a score is 1 up to the first, .5 at the second, 0 as far again beyond
SMALL_LITRES: Final = (1.05, 0.9)
LARGE_LITRES: Final = (1.8, 2.0)
OUTSIDE: Final = (0.01, 0.03)
CORRELATION: Final = (0.65, 0.55)
DICE: Final = (0.92, 0.85)  # two good masks of one brain agree in .93 to .98
UNUSABLE_DICE: Final = 0.3  # less is another place, not another opinion


def judge_given_brain(
    mask: Mask,
    mask_affine: Affine,
    own: BrainResult,
    head_mask: Mask,
    affine: Affine,
) -> BrainResult:
    """The given mask on the scan's grid, and how far to trust it.

    Parameters
    ----------
    mask
        The given mask, boolean array on any grid.
    mask_affine
        Its 4x4 voxel-to-world matrix, mm, RAS+.
    own
        What the template says of the same scan.
    head_mask
        Boolean array on the scan's grid.
    affine
        4x4 voxel-to-world matrix of the scan's grid, mm, RAS+.

    Returns
    -------
    BrainResult
        With the template's place and correlation; ``confidence`` is the least score of volume,
        share outside the head, correlation, and Dice overlap with the template's own mask. Where
        the given mask lies elsewhere than the brain, the template's own mask is returned,
        doubtful, with a flag that says so.
    """
    i, j, k = head_mask.shape
    whole = resample_mask(mask, mask_affine, Grid(shape=(i, j, k), affine=affine))
    kept = whole & head_mask
    litres = _litres(mask, mask_affine)
    outside = max(0.0, 1 - _litres(kept, affine) / litres) if litres > 0 else 1.0
    overlap = float((kept & own.mask).sum())
    dice = 2 * overlap / max(1.0, float(kept.sum()) + float(own.mask.sum()))
    away = dice < UNUSABLE_DICE
    scores = {
        f"given brain mask {litres:.2f} L, outside {SMALL_LITRES[1]}-{LARGE_LITRES[1]} L": min(
            _score(litres, SMALL_LITRES), _score(litres, LARGE_LITRES)
        ),
        f"{outside:.0%} of the given brain mask lies outside the head": _score(outside, OUTSIDE),
        f"correlation with the template {own.correlation:.2f}, under {CORRELATION[1]}": _score(
            own.correlation, CORRELATION
        ),
        (
            f"the given brain mask lies elsewhere than the brain (Dice {dice:.2f} with the"
            " template's mask), so the template's mask was taken"
            if away
            else f"the given brain mask differs from the template's, Dice {dice:.2f}"
        ): _score(dice, DICE),
    }
    flags = tuple(reason for reason, score in scores.items() if score < DOUBTFUL_UNDER)
    used = own.mask if away else kept
    return BrainResult(
        mask=used,
        template_affine=own.template_affine,
        volume_litres=_litres(used, affine),
        correlation=own.correlation,
        confidence=round(min(scores.values()), 4),
        doubtful=bool(flags),
        flags=flags,
        given_used=not away,
    )


def _score(value: float, usual_and_limit: tuple[float, float]) -> float:
    usual, limit = usual_and_limit
    return float(np.clip(1 - 0.5 * (value - usual) / (limit - usual), 0, 1))


def _litres(mask: Mask, affine: Affine) -> float:
    return float(mask.sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1e6
