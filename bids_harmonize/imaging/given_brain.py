"""A brain mask that another program made, judged beside the template's own.

Choice: the same checks as for our own mask (volume, correlation of scan and template), and how far
it lies in the head and agrees with our own. Reason: a mask in another image's world has the right
volume in the wrong place. Rejected: believing it because it was asked for. Revisit when a given
mask comes with a confidence of its own.
"""

from typing import Final

import numpy as np

from bids_harmonize.imaging.brainmask import LITRES, MIN_CORRELATION, BrainResult
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample_mask
from bids_harmonize.imaging.types import Affine, Mask

MIN_IN_HEAD: Final = 0.98
MIN_DICE: Final = 0.85  # two good masks of one brain agree in .93 to .98
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
        With the template's place and correlation; ``confidence`` is the Dice overlap with the
        template's own mask. Where the given mask lies elsewhere than the brain, the template's own
        mask is returned, doubtful, with a flag that says so.
    """
    i, j, k = head_mask.shape
    whole = resample_mask(mask, mask_affine, Grid(shape=(i, j, k), affine=affine))
    kept = whole & head_mask
    litres = _litres(mask, mask_affine)
    in_head = _litres(kept, affine) / litres if litres > 0 else 0.0
    overlap = float((kept & own.mask).sum())
    dice = 2 * overlap / max(1.0, float(kept.sum()) + float(own.mask.sum()))
    flags = []
    if not LITRES[0] <= litres <= LITRES[1]:
        flags.append(f"given brain mask {litres:.2f} L, outside {LITRES[0]}-{LITRES[1]} L")
    if in_head < MIN_IN_HEAD:
        flags.append(f"{100 * (1 - in_head):.0f} % of the given brain mask lies outside the head")
    if own.correlation < MIN_CORRELATION:
        flags.append(
            f"correlation with the template {own.correlation:.2f}, under {MIN_CORRELATION}"
        )
    if dice < UNUSABLE_DICE:
        flags.append(
            f"the given brain mask lies elsewhere than the brain (Dice {dice:.2f} with the"
            " template's mask), so the template's mask was taken"
        )
    elif dice < MIN_DICE:
        flags.append(f"the given brain mask differs from the template's, Dice {dice:.2f}")
    used = own.mask if dice < UNUSABLE_DICE else kept
    return BrainResult(
        mask=used,
        template_affine=own.template_affine,
        volume_litres=_litres(used, affine),
        correlation=own.correlation,
        confidence=round(dice, 4),
        doubtful=bool(flags),
        flags=tuple(flags),
    )


def _litres(mask: Mask, affine: Affine) -> float:
    return float(mask.sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1e6
