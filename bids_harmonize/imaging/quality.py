"""The quality measures of one scan: what each is, and all of those of a conformed image.

A value that cannot be told (no brain mask, air set to 0) is NaN, never a number that looks good.
The measures themselves are plain functions with their formula, in
:mod:`bids_harmonize.imaging.brain_quality` (the conformed image),
:mod:`bids_harmonize.imaging.air_quality` (the raw image's air) and
:mod:`bids_harmonize.imaging.field_of_view` (how the raw image lies, and what was cut).
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from bids_harmonize.imaging.air_quality import NOT_KNOWN
from bids_harmonize.imaging.brain_quality import (
    WHITE,
    classes_by_intensity,
    even_out,
    gradient_entropy,
    smoothness_mm,
    tissue_measures,
    touches_edge,
    white_to_maximum,
)
from bids_harmonize.imaging.field_of_view import part_of_grid
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.morphology import box_around
from bids_harmonize.imaging.types import Array, Mask, Volume

Direction = Literal["higher", "lower", "neutral"]


@dataclass(frozen=True)
class QualityMeasure:
    """What a quality measure is; its value stands in the scans table.

    Parameters
    ----------
    unit
        ``""`` where there is none.
    direction
        Whether higher or lower values are better, or neither.
    citation
        DOI, or ``""`` where the definition is our own.
    description
        One sentence.
    """

    unit: str
    direction: Direction
    citation: str
    description: str


SITE_BOUND: Final = frozenset(
    (
        *("air_sd", "air_filled", "fber", "snr_dietrich"),
        *("native_i_mm", "native_j_mm", "native_k_mm", "anisotropy", "obliqueness_deg"),
    )
)
"""Measures that follow the scanner's units or the protocol: never compared across sites."""

QUALITY_MEASURES: Final[dict[str, QualityMeasure]] = {
    "snr": QualityMeasure(
        "",
        "higher",
        "doi:10.1371/journal.pone.0184661",
        "Mean over spread of white matter intensities.",
    ),
    "snr_gm": QualityMeasure(
        "",
        "higher",
        "doi:10.1371/journal.pone.0184661",
        "Mean over spread of grey matter intensities.",
    ),
    "snr_csf": QualityMeasure(
        "",
        "higher",
        "doi:10.1371/journal.pone.0184661",
        "Mean over spread of the intensities of the fluid in and around the brain.",
    ),
    "snr_dietrich": QualityMeasure(
        "",
        "higher",
        "doi:10.1002/jmri.20969",
        "Mean of white matter over the noise in the raw image's air, corrected for magnitude "
        "noise; n/a where the air was set to a constant.",
    ),
    "cnr": QualityMeasure(
        "",
        "higher",
        "doi:10.1007/s10278-006-0264-x",
        "Difference of white and grey matter over their common spread and the air's noise, where "
        "there is air.",
    ),
    "cjv": QualityMeasure(
        "",
        "lower",
        "doi:10.3389/fninf.2016.00010",
        "Coefficient of joint variation: summed spreads of white and grey matter over the "
        "difference of their means.",
    ),
    "wm2max": QualityMeasure(
        "",
        "higher",
        "doi:10.1371/journal.pone.0184661",
        "Median of white matter over the 99.95th percentile in the head; hot spots (vessels, fat,"
        " a near coil) lower it.",
    ),
    "efc": QualityMeasure(
        "",
        "lower",
        "doi:10.1109/42.650886",
        "Entropy focus criterion of the raw image: 0 for all energy in one voxel, 1 for a uniform"
        " image; ghosting and motion blur raise it.",
    ),
    "gradient_entropy": QualityMeasure(
        "",
        "lower",
        "doi:10.1002/(SICI)1522-2586(200002)11:2<174::AID-JMRI15>3.0.CO;2-3",
        "Entropy focus criterion of the steepness inside the head, after the cited entropy of the "
        "gradient, 0 to 1: few sharp edges give a low value, "
        "motion and noise spread it.",
    ),
    "fber": QualityMeasure(
        "",
        "higher",
        "doi:10.3389/conf.fnins.2015.91.00047",
        "Median energy inside the head over that of the raw image's air; n/a where the air was "
        "set to a constant.",
    ),
    "qi1": QualityMeasure(
        "",
        "lower",
        "doi:10.1002/mrm.21992",
        "Share of the raw image's air that holds artefacts (ghosts, wrap-around, spikes); n/a "
        "where the air was set to a constant.",
    ),
    "qi2": QualityMeasure(
        "",
        "lower",
        "doi:10.1002/mrm.21992",
        "How far the air's intensities are from magnitude noise, artefacts left out: 0 for a "
        "perfect fit; n/a where the air was set to a constant.",
    ),
    "air_sd": QualityMeasure(
        "native units",
        "lower",
        "",
        "Robust standard deviation of the raw image's air; n/a where it was set to a constant.",
    ),
    "air_filled": QualityMeasure(
        "",
        "neutral",
        "",
        "Share of the raw image's air that holds one and the same value: set by the scanner, by "
        "unwarping or by defacing.",
    ),
    "fwhm_mm": QualityMeasure(
        "mm",
        "lower",
        "doi:10.1002/mrm.1910330508",
        "Smoothness: full width at half maximum of the image's own grain in the brain, mean of "
        "the three axes.",
    ),
    "inu_range": QualityMeasure(
        "",
        "lower",
        "doi:10.1109/TMI.2010.2046908",
        "Intensity non-uniformity: 95th minus 5th percentile of the bias field in the brain.",
    ),
    "head_volume_l": QualityMeasure("L", "neutral", "", "Volume of the head mask on the grid."),
    "brain_volume_l": QualityMeasure("L", "neutral", "", "Volume of the brain mask on the grid."),
    "neck_cropped_mm": QualityMeasure(
        "mm",
        "neutral",
        "",
        "Height of the head's lower end that fell off the grid.",
    ),
    "head_outside_grid": QualityMeasure(
        "",
        "neutral",
        "",
        "Share of the head mask's volume that lies outside the study grid.",
    ),
    "fov_cut_cm2": QualityMeasure(
        "cm2",
        "neutral",
        "",
        "Area at which the acquired field of view cuts the head, its lowest face left out; 0 for "
        "a whole head.",
    ),
    "brain_cropped": QualityMeasure(
        "",
        "lower",
        "",
        "1 where the brain mask touches the edge of the grid, else 0.",
    ),
    "native_i_mm": QualityMeasure(
        "mm",
        "neutral",
        "",
        "Voxel size of the raw image along its first axis.",
    ),
    "native_j_mm": QualityMeasure(
        "mm",
        "neutral",
        "",
        "Voxel size of the raw image along its second axis.",
    ),
    "native_k_mm": QualityMeasure(
        "mm",
        "neutral",
        "",
        "Voxel size of the raw image along its third axis.",
    ),
    "anisotropy": QualityMeasure(
        "",
        "neutral",
        "",
        "Longest over shortest edge of the raw image's voxels.",
    ),
    "obliqueness_deg": QualityMeasure(
        "deg",
        "neutral",
        "",
        "Greatest angle between an axis of the raw image and the nearest anatomical axis.",
    ),
}
"""Name to row, in the order of the tables' columns."""

RAW_MEASURES: Final = (
    *("efc", "fber", "qi1", "qi2", "air_sd", "air_filled", "fov_cut_cm2"),
    *("native_i_mm", "native_j_mm", "native_k_mm", "anisotropy", "obliqueness_deg"),
    *("neck_cropped_mm", "head_outside_grid"),
)
"""Measures that need the raw image; :func:`measure_quality` leaves them out."""


def measure_quality(
    volume: Volume,
    head_mask: Mask,
    brain_mask: Mask | None,
    grid: Grid,
    *,
    air_sd: float = NOT_KNOWN,
    classes: Array | None = None,
) -> dict[str, float]:
    """Quality measures of a scan on its grid.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), native units.
    head_mask, brain_mask
        Boolean arrays of the same shape; None where no brain mask was made.
    grid
        Where the volume lies.
    air_sd
        Noise in the raw image's air, native units; NaN where it is not known.
    classes
        Integer array of the same shape: 1 fluid, 2 grey matter, 3 white matter, else 0. By
        default the brain's classes are told apart by their intensities.

    Returns
    -------
    dict
        Name to value, NaN where it cannot be told; the names are those of ``QUALITY_MEASURES``
        but ``RAW_MEASURES``.
    """
    voxel_l = abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1e6
    measures = {name: NOT_KNOWN for name in QUALITY_MEASURES if name not in RAW_MEASURES}
    measures["head_volume_l"] = float(head_mask.sum()) * voxel_l
    measures["gradient_entropy"] = gradient_entropy(volume, head_mask)
    if brain_mask is None:
        return measures
    measures["brain_volume_l"] = float(brain_mask.sum()) * voxel_l
    measures["brain_cropped"] = float(touches_edge(brain_mask))
    if not brain_mask.any():
        return measures
    box = box_around(brain_mask, margin_voxels=1)
    inside, brain, own = volume[box], brain_mask[box], part_of_grid(grid, box)
    measures["fwhm_mm"] = smoothness_mm(inside, brain, own)
    even, measures["inu_range"] = even_out(inside, brain, own)
    found = classes_by_intensity(even, brain) if classes is None else classes[box]
    measures.update(tissue_measures(even, found, air_sd=air_sd))
    measures["wm2max"] = white_to_maximum(inside[found == WHITE], volume[head_mask])
    return measures
