"""Brain mask: the template, laid on the head, then refined by intensity and shape.

Choice: an affine prior, then tissue thresholds near its surface, opened to cut off dura and
eyes, closed and filled; all on a 2 mm copy, so that the study's resolution does not change the
method. Reason: no external toolbox, five seconds a head. Rejected: the prior alone (cuts gyri
and takes in skull), thresholds alone (lose the fluid between the gyri, leak into the neck).
Revisit with the deformation of a later release.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.confidence import (
    BRAIN_LITRES,
    DOUBTFUL_UNDER,
    Score,
    edge_share,
    falling_score,
    range_score,
    summarise_scores,
)
from bids_harmonize.imaging.field_of_view import acquired_box, contact_cm2
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.head_fit import WORK_MM, fit_head
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.morphology import (
    box_around,
    close_mm,
    dilate_mm,
    erode_mm,
    largest_component,
    open_mm,
)
from bids_harmonize.imaging.registration import Sampled
from bids_harmonize.imaging.resampling import resample_mask, resample_through
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.template_fit import TemplateFit, local_normalised
from bids_harmonize.imaging.types import Affine, Mask, Volume

DETERMINANT: Final = ((0.5, 0.62), (0.95, 1.05))  # lower limit, usual values, upper limit
REACH_MM: Final = 6.0  # beyond the prior nothing is brain
SURE_MM: Final = 6.0  # deeper than this inside the prior everything is brain
CORE_MM: Final = 4.0
CLOSING_MM: Final = 8.0
FLUID_MM: Final = 2.0
DARK_SHARE: Final = 0.4
BRIGHT_SDS: Final = 4.0
CORRELATION: Final = (0.65, 0.55)  # usual, limit
EDGE_SHARE: Final = (0.4, 0.2)  # a thin skull under bright fat hides half of the outline
EDGE_DROP: Final = 0.85
OUTSIDE: Final = (0.01, 0.03)
CUT: Final = (1.0, 2.0)  # times the area of a mere touch
STRIPPED_DICE: Final = (0.90, 0.82)  # of a stripped input and the template laid on it
SECOND_TRY: Final = 0.7  # score where the quick search found no good fit


@dataclass(frozen=True, eq=False)
class BrainResult:
    """Where the brain is.

    Parameters
    ----------
    mask
        Boolean array on the volume's own grid.
    template_affine
        4x4 matrix, mm, RAS+, from the scan's world to the template's world.
    volume_litres
        Volume of the mask.
    correlation
        Of scan and template inside the template's brain, at 4 mm, -1 to 1.
    doubtful
        The mask should not be trusted; ``flags`` say why.
    flags
        What looks odd, in words; empty where all is well.
    confidence
        0 to 1, under .5 where doubtful; see :func:`find_brain`.
    given_used
        The mask is one that was given, see ``imaging.given_brain``.
    """

    mask: Mask
    template_affine: Affine
    volume_litres: float
    correlation: float
    doubtful: bool
    flags: tuple[str, ...]
    confidence: float
    given_used: bool = False


def find_brain(
    volume: Volume,
    affine: Affine,
    head_mask: Mask,
    template: TemplateImages,
    *,
    skull_stripped: bool = False,
) -> BrainResult:
    """Brain mask of a T1w volume, with its inner and outer fluid spaces.

    The confidence is the least of these scores (1 at the usual value, .5 at the limit, 0 as far
    again beyond):

    * volume over the template's: usual .62 to .95, limits .5 and 1.05;
    * volume: usual 1.05 to 1.8 L, limits .9 and 2.0;
    * correlation with the template: usual .65, limit .55;
    * share of the border at which the image falls to .85 outwards: usual .4, limit .2;
    * share of the template's brain outside the head: usual .01, limit .03;
    * .7 where a second, longer search was needed;
    * area at each end of the acquired field of view: usual what a mere touch may
      show, limit twice that.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), native intensities.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    head_mask
        Boolean array of the same shape.
    template
        The brain template.
    skull_stripped
        The head mask is the brain mask already (:func:`find_head` says so).

    Returns
    -------
    BrainResult
        Mask, place in the template, and how far to trust them.

    Raises
    ------
    ScanError
        If the head mask holds no head, or nothing like a brain is found in it.
    """
    scan, fit = fit_head(volume, affine, head_mask, template, skull_stripped=skull_stripped)
    i, j, k = scan.volume.shape
    work = Grid(shape=(i, j, k), affine=scan.affine)
    own = Grid(shape=(volume.shape[0], volume.shape[1], volume.shape[2]), affine=affine)
    prior = _prior(template, fit.to_template, work)
    outside = float((prior & ~_mask_of(scan)).sum()) / max(1.0, float(prior.sum()))
    likeness = 1.0
    if skull_stripped:
        mask, refined, outside = head_mask.copy(), _mask_of(scan), 0.0
        likeness = _dice(prior, refined)
    else:
        refined = _refine(scan, prior)
        mask = resample_mask(refined, work.affine, own) & head_mask
    return _judge(
        _Found(
            own=Sampled(volume, affine, mask),
            work=Sampled(scan.volume, scan.affine, refined),
            fit=fit,
            outside_share=outside,
            likeness=likeness,
        )
    )


def _prior(template: TemplateImages, to_template: Affine, grid: Grid) -> Mask:
    """The template's brain on a grid of the scan."""
    share = resample_through(
        template.brain_mask.astype(np.float32),
        template.affine,
        to_template,
        grid,
        interpolation="linear",
    )
    return share >= np.float32(0.5)


def _refine(scan: Sampled, prior: Mask) -> Mask:
    """Brain near the prior's surface by tissue intensity and shape, inside it whole."""
    if scan.mask is None or not (prior & scan.mask).any():
        message = "no brain found: the template lies outside the head; is this a T1w head image?"
        raise ScanError(message)
    refined = np.zeros(prior.shape, np.bool_)
    box = box_around(prior, margin_voxels=ceil((REACH_MM + CLOSING_MM) / WORK_MM))
    refined[box] = _refine_in_box(scan.volume[box], scan.mask[box], prior[box])
    return refined


def _refine_in_box(volume: Volume, head: Mask, prior: Mask) -> Mask:
    region = dilate_mm(prior, WORK_MM, radius_mm=REACH_MM) & head
    deep = erode_mm(prior, WORK_MM, radius_mm=SURE_MM) & head
    even = local_normalised(volume, region, WORK_MM)
    mixture = fit_mixture(even[prior & head])
    fluid, grey, white = mixture.means
    tissue = region & (even > fluid + DARK_SHARE * (grey - fluid))
    tissue &= even < white + BRIGHT_SDS * mixture.sds[2]
    candidates = tissue | deep
    core = largest_component(open_mm(candidates, WORK_MM, radius_mm=CORE_MM))
    grown = dilate_mm(core, WORK_MM, radius_mm=CORE_MM) & candidates
    closed = ndimage.binary_fill_holes(close_mm(grown, WORK_MM, radius_mm=CLOSING_MM))
    return dilate_mm(closed, WORK_MM, radius_mm=FLUID_MM) & region


@dataclass(frozen=True, eq=False)
class _Found:
    """A mask and what its judgement needs; ``own`` is the raw scan's side, ``work`` the 2 mm.

    ``likeness`` is the Dice overlap of a skull-stripped input and the template, 1 for others.
    """

    own: Sampled
    work: Sampled
    fit: TemplateFit
    outside_share: float
    likeness: float


def _judge(found: _Found) -> BrainResult:
    """Result with its confidence."""
    mask, fit = _mask_of(found.own), found.fit
    litres = float(mask.sum()) * abs(float(np.linalg.det(found.own.affine[:3, :3]))) / 1e6
    share = edge_share(
        found.work.volume, _mask_of(found.work), found.work.volume > 0,
        drop=EDGE_DROP, voxel_mm=WORK_MM,
    )  # fmt: skip
    scores = [
        Score(
            range_score(fit.determinant, *DETERMINANT),
            f"brain fits the template at {fit.determinant:.2f} times its volume, outside"
            f" {DETERMINANT[0][0]}-{DETERMINANT[1][1]}",
        ),
        Score(
            range_score(litres, *BRAIN_LITRES),
            f"brain volume {litres:.2f} L, outside {BRAIN_LITRES[0][0]}-{BRAIN_LITRES[1][1]} L",
        ),
        Score(
            falling_score(fit.correlation, usual=CORRELATION[0], limit=CORRELATION[1]),
            f"correlation with the template {fit.correlation:.2f}, under {CORRELATION[1]}",
        ),
        Score(
            falling_score(share, usual=EDGE_SHARE[0], limit=EDGE_SHARE[1]),
            f"only {share:.0%} of the brain's outline lies on an edge of the image",
        ),
        Score(
            falling_score(found.outside_share, usual=OUTSIDE[0], limit=OUTSIDE[1]),
            f"{found.outside_share:.0%} of the template's brain lies outside the head",
        ),
        Score(
            falling_score(found.likeness, usual=STRIPPED_DICE[0], limit=STRIPPED_DICE[1]),
            f"what is left of the image is not shaped like a brain (Dice {found.likeness:.2f} with"
            " the template): is it really skull-stripped?",
        ),
        Score(SECOND_TRY if fit.second_try else 1.0, ""),
        _cut_score(found.own),
    ]
    confidence, flags = summarise_scores(scores)
    return BrainResult(
        mask=mask,
        template_affine=fit.to_template,
        volume_litres=litres,
        correlation=fit.correlation,
        doubtful=confidence < DOUBTFUL_UNDER,
        flags=flags,
        confidence=confidence,
    )


def _cut_score(own: Sampled) -> Score:
    """Whether the acquired field of view cuts the brain."""
    contacts = contact_cm2(_mask_of(own), own.affine, acquired_box(own.volume))
    side = max(contacts, key=lambda name: contacts[name][0] / contacts[name][1])
    area, touch = contacts[side]
    return Score(
        falling_score(area, usual=CUT[0] * touch, limit=CUT[1] * touch),
        f"the field of view cuts the brain at its {side} ({area:.0f} cm2)",
    )


def _dice(one: Mask, other: Mask) -> float:
    return 2.0 * float((one & other).sum()) / max(1.0, float(one.sum()) + float(other.sum()))


def _mask_of(scan: Sampled) -> Mask:
    return np.zeros(scan.volume.shape, np.bool_) if scan.mask is None else scan.mask
