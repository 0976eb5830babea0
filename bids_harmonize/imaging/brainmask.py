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
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import place_grid, vertex_height_mm
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
from bids_harmonize.imaging.resampling import resample, resample_mask, resample_through
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.template_fit import TemplateFit, fit_template, local_normalised
from bids_harmonize.imaging.types import Affine, Mask, Volume

WORK_MM: Final = 2.0
DETERMINANT: Final = (0.5, 1.05)
REACH_MM: Final = 6.0  # beyond the prior nothing is brain
SURE_MM: Final = 6.0  # deeper than this inside the prior everything is brain
CORE_MM: Final = 4.0
CLOSING_MM: Final = 8.0
FLUID_MM: Final = 2.0
DARK_SHARE: Final = 0.4
BRIGHT_SDS: Final = 4.0
LITRES: Final = (1.0, 1.9)
MIN_CORRELATION: Final = 0.55


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
    confidence
        How far the mask can be trusted, 0 to 1.
    doubtful
        The mask should not be trusted; ``flags`` say why.
    flags
        What looks odd, in words; empty where all is well.
    """

    mask: Mask
    template_affine: Affine
    volume_litres: float
    correlation: float
    confidence: float
    doubtful: bool
    flags: tuple[str, ...]


def find_brain(
    volume: Volume,
    affine: Affine,
    head_mask: Mask,
    template: TemplateImages,
    *,
    skull_stripped: bool = False,
) -> BrainResult:
    """Brain mask of a T1w volume, with its inner and outer fluid spaces.

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
    work = place_grid(head_mask, affine, resolution_mm=WORK_MM)
    scan = Sampled(
        np.maximum(resample(volume, affine, work), 0),
        work.affine,
        resample_mask(head_mask, affine, work),
    )
    own = Grid(shape=(volume.shape[0], volume.shape[1], volume.shape[2]), affine=affine)
    fit = fit_template(
        scan,
        template,
        vertex_mm=vertex_height_mm(head_mask, affine),
        skull_stripped=skull_stripped,
    )
    if skull_stripped:
        return _judge(head_mask.copy(), own, fit)
    refined = _refine(scan, _prior(template, fit.to_template, work))
    return _judge(resample_mask(refined, work.affine, own) & head_mask, own, fit)


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


def _judge(mask: Mask, grid: Grid, fit: TemplateFit) -> BrainResult:
    litres = float(mask.sum()) * abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1e6
    flags = []
    if not DETERMINANT[0] <= fit.determinant <= DETERMINANT[1]:
        flags.append(
            f"brain fits the template at {fit.determinant:.2f} times its volume, outside"
            f" {DETERMINANT[0]}-{DETERMINANT[1]}"
        )
    if not LITRES[0] <= litres <= LITRES[1]:
        flags.append(f"brain volume {litres:.2f} L, outside {LITRES[0]}-{LITRES[1]} L")
    if fit.correlation < MIN_CORRELATION:
        flags.append(
            f"correlation with the template {fit.correlation:.2f}, under {MIN_CORRELATION}"
        )
    return BrainResult(
        mask=mask,
        template_affine=fit.to_template,
        volume_litres=litres,
        correlation=fit.correlation,
        confidence=0.0 if flags else 1.0,
        doubtful=bool(flags),
        flags=tuple(flags),
    )
