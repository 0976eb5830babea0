"""A brain mask that another program made, judged beside the template's own.

Choice: the same checks as for our own mask (volume, correlation of scan and template), and how far
it lies in the head and agrees with our own. Reason: a mask in another image's world has the right
volume in the wrong place. Rejected: believing it because it was asked for. Revisit when a given
mask comes with a confidence of its own.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.brainmask import CORRELATION, OUTSIDE, BrainResult, find_brain
from bids_harmonize.imaging.confidence import (
    BRAIN_LITRES,
    DOUBTFUL_UNDER,
    Score,
    falling_score,
    range_score,
    summarise_scores,
)
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample_mask
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.types import Affine, Mask, Volume

DICE: Final = (0.92, 0.85)  # two good masks of one brain agree in .93 to .98
UNUSABLE_DICE: Final = 0.3  # less is another place, not another opinion


def find_beside_given(
    mask: Mask,
    mask_affine: Affine,
    volume: Volume,
    affine: Affine,
    head_mask: Mask,
    template: TemplateImages,
    *,
    skull_stripped: bool = False,
) -> BrainResult:
    """The brain by a given mask, with its place in the template; see :func:`judge_given_brain`.

    Where the template's own search finds no brain in the head, the template is laid on the given
    mask alone, as on a skull-stripped image: so its shape stands in for the missing overlap.

    Parameters
    ----------
    mask
        The given mask, boolean array on any grid.
    mask_affine
        Its 4x4 voxel-to-world matrix, mm, RAS+.
    volume
        Array of shape (I, J, K), native intensities.
    affine
        4x4 voxel-to-world matrix of the volume, mm, RAS+.
    head_mask
        Boolean array of the volume's shape.
    template
        The brain template.
    skull_stripped
        The head mask is the brain mask already.

    Returns
    -------
    BrainResult
        The mask to use, and how far to trust it.

    Raises
    ------
    ScanError
        If no brain is found, and the given mask is empty in the head or cannot be laid onto the
        template either.
    """
    try:
        own = find_brain(volume, affine, head_mask, template, skull_stripped=skull_stripped)
    except ScanError as error:
        i, j, k = head_mask.shape
        grid = Grid(shape=(i, j, k), affine=affine)
        kept = resample_mask(mask, mask_affine, grid) & head_mask
        if not kept.any():
            raise
        brain = np.where(kept, volume, 0).astype(volume.dtype)
        own = find_brain(brain, affine, kept, template, skull_stripped=True)
        found = judge_given_brain(mask, mask_affine, own, head_mask, affine)
        reason = f"the given brain mask stands alone, as the template's search failed: {error}"
        return replace(
            found,
            confidence=min(found.confidence, own.confidence),
            doubtful=found.doubtful or own.doubtful,
            flags=(reason, *dict.fromkeys((*found.flags, *own.flags))),
        )
    return judge_given_brain(mask, mask_affine, own, head_mask, affine)


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
        doubtful, with a flag that says so; unless the template's is doubtful itself.
    """
    i, j, k = head_mask.shape
    whole = resample_mask(mask, mask_affine, Grid(shape=(i, j, k), affine=affine))
    kept = whole & head_mask
    litres = _litres(mask, mask_affine)
    outside = max(0.0, 1 - _litres(kept, affine) / litres) if litres > 0 else 1.0
    overlap = float((kept & own.mask).sum())
    dice = 2 * overlap / max(1.0, float(kept.sum()) + float(own.mask.sum()))
    away = dice < UNUSABLE_DICE and (not own.doubtful or not kept.any())
    place = f"the given brain mask differs from the template's, Dice {dice:.2f}"
    if away:
        place = (
            f"the given brain mask lies elsewhere than the brain (Dice {dice:.2f} with the"
            " template's mask), so the template's mask was taken"
        )
    scores = [
        Score(
            range_score(litres, *BRAIN_LITRES),
            f"given brain mask {litres:.2f} L, outside {BRAIN_LITRES[0][0]}"
            f"-{BRAIN_LITRES[1][1]} L",
        ),
        Score(
            falling_score(outside, usual=OUTSIDE[0], limit=OUTSIDE[1]),
            f"{outside:.0%} of the given brain mask lies outside the head",
        ),
        Score(
            falling_score(own.correlation, usual=CORRELATION[0], limit=CORRELATION[1]),
            f"correlation with the template {own.correlation:.2f}, under {CORRELATION[1]}",
        ),
        Score(falling_score(dice, usual=DICE[0], limit=DICE[1]), place),
    ]
    confidence, flags = summarise_scores(scores)
    used = own.mask if away else kept
    return BrainResult(
        mask=used,
        template_affine=own.template_affine,
        volume_litres=_litres(used, affine),
        correlation=own.correlation,
        confidence=confidence,
        doubtful=confidence < DOUBTFUL_UNDER,
        flags=flags,
        given_used=not away,
    )


def _litres(mask: Mask, affine: Affine) -> float:
    return float(mask.sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1e6
