"""Quality measures of one conformed scan; each is a plain function with its formula.

A value that cannot be told (no brain mask, air set to 0) is NaN, never a number that looks good.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.biasfield import correct_bias
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.types import Array, Mask, Volume

NOT_KNOWN: Final = float("nan")
INU_ITERATIONS: Final = (20, 20)
MIN_SHARE_OF_CLASS: Final = 0.01
MAD_TO_SD: Final = 1.4826


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
    direction: Literal["higher", "lower", "neutral"]
    citation: str
    description: str


QUALITY_MEASURES: Final[dict[str, QualityMeasure]] = {
    "snr": QualityMeasure(
        "",
        "higher",
        "doi:10.1371/journal.pone.0184661",
        "Mean over spread of white matter intensities.",
    ),
    "cnr": QualityMeasure(
        "",
        "higher",
        "doi:10.1371/journal.pone.0184661",
        "Difference of white and grey matter over their common spread; the air's noise is left"
        " out, for it is 0 in conformed images.",
    ),
    "cjv": QualityMeasure(
        "",
        "lower",
        "doi:10.3389/fninf.2016.00010",
        "Coefficient of joint variation: summed spreads of white and grey matter over the"
        " difference of their means.",
    ),
    "efc": QualityMeasure(
        "",
        "lower",
        "doi:10.1109/42.650886",
        "Entropy focus criterion inside the head: 0 for all energy in one voxel, 1 for a uniform"
        " image; ghosting and motion blur raise it.",
    ),
    "fber": QualityMeasure(
        "",
        "higher",
        "doi:10.1371/journal.pone.0184661",
        "Median energy inside the head over that of the air; n/a where the air was set to 0.",
    ),
    "fwhm_mm": QualityMeasure(
        "mm",
        "lower",
        "doi:10.1002/mrm.1910330508",
        "Smoothness: full width at half maximum of the image's own grain in the brain, mean of"
        " the three axes.",
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
        "mm", "neutral", "", "Height of the head's lower end that fell off the grid."
    ),
    "brain_cropped": QualityMeasure(
        "", "lower", "", "1 where the brain mask touches the edge of the grid, else 0."
    ),
}


def measure_quality(
    volume: Volume, head_mask: Mask, brain_mask: Mask | None, grid: Grid
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

    Returns
    -------
    dict
        Name to value, NaN where it cannot be told; the names are those of ``QUALITY_MEASURES``
        but ``neck_cropped_mm``, which needs the raw image.
    """
    voxel_l = abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1e6
    measures = {name: NOT_KNOWN for name in QUALITY_MEASURES if name != "neck_cropped_mm"}
    measures["head_volume_l"] = float(head_mask.sum()) * voxel_l
    measures["efc"] = entropy_focus(volume[head_mask])
    measures["fber"] = energy_ratio(volume[head_mask], volume[~head_mask])
    if brain_mask is None:
        return measures
    measures["brain_volume_l"] = float(brain_mask.sum()) * voxel_l
    measures["brain_cropped"] = float(touches_edge(brain_mask))
    measures["fwhm_mm"] = smoothness_mm(volume, brain_mask, grid)
    measures["inu_range"], even = _bias_range(volume, brain_mask, grid)
    measures.update(_tissue_measures(even, brain_mask))
    return measures


def signal_to_noise(white: Array) -> float:
    """``mean / (sd * sqrt(n / (n - 1)))`` of intensities; higher is better, no unit."""
    if white.size < 2 or float(white.std()) == 0.0:
        return NOT_KNOWN
    return float(white.mean() / (white.std() * np.sqrt(white.size / (white.size - 1))))


def contrast_to_noise(grey: Array, white: Array) -> float:
    """``(mean_white - mean_grey) / sqrt(var_white + var_grey)``; higher is better, no unit."""
    noise = float(np.sqrt(white.var() + grey.var())) if min(white.size, grey.size) else 0.0
    return float((white.mean() - grey.mean()) / noise) if noise > 0 else NOT_KNOWN


def joint_variation(grey: Array, white: Array) -> float:
    """``(sd_white + sd_grey) / |mean_white - mean_grey|``, robust; lower is better, no unit.

    Medians stand for means and scaled median absolute deviations for spreads.
    """
    if not min(white.size, grey.size):
        return NOT_KNOWN
    distance = abs(float(np.median(white) - np.median(grey)))
    return float((_robust_sd(white) + _robust_sd(grey)) / distance) if distance else NOT_KNOWN


def entropy_focus(values: Array) -> float:
    """Shannon entropy of the voxels' share of energy over its maximum; lower is better, 0 to 1.

    ``-sum(x / b * ln(x / b)) / (sqrt(n) * ln(sqrt(n)))`` with ``b = sqrt(sum(x^2))``.
    """
    values = np.maximum(values.astype(np.float64), 0)
    energy = float(np.sqrt((values**2).sum()))
    if values.size < 2 or energy == 0.0:
        return NOT_KNOWN
    share = values[values > 0] / energy
    return float(-(share * np.log(share)).sum() / (np.sqrt(values.size) * np.log(values.size) / 2))


def energy_ratio(head: Array, air: Array) -> float:
    """``median(head^2) / median(air^2)``; higher is better, no unit, NaN for air set to 0."""
    if not (head.size and air.size):
        return NOT_KNOWN
    noise = float(np.median(air.astype(np.float64) ** 2))
    return float(np.median(head.astype(np.float64) ** 2)) / noise if noise > 0 else NOT_KNOWN


def smoothness_mm(volume: Volume, mask: Mask, grid: Grid) -> float:
    """Full width at half maximum of the grain, mm; lower is sharper.

    An axis gives ``size * sqrt(-2 ln 2 / ln(1 - var(difference) / (2 var)))``, with the
    difference of neighbours along it; the result is the mean of the axes.
    """
    spread = float(volume[mask].var()) if mask.any() else 0.0
    if spread == 0.0:
        return NOT_KNOWN
    widths = []
    for axis, size in enumerate(grid.voxel_size_mm):
        both = np.logical_and(
            np.take(mask, range(1, mask.shape[axis]), axis),
            np.take(mask, range(mask.shape[axis] - 1), axis),
        )
        rough = float(np.diff(volume, axis=axis)[both].var()) / (2 * spread) if both.any() else 1.0
        if not 0.0 < rough < 1.0:
            return NOT_KNOWN
        widths.append(size * float(np.sqrt(-2 * np.log(2) / np.log(1 - rough))))
    return float(np.mean(widths))


def touches_edge(mask: Mask) -> bool:
    """Whether a mask reaches the outermost layer of its array."""
    return any(bool(np.take(mask, (0, -1), axis).any()) for axis in range(mask.ndim))


def _bias_range(volume: Volume, mask: Mask, grid: Grid) -> tuple[float, Volume]:
    """95th minus 5th percentile of the field, and the volume without it."""
    try:
        even, field = correct_bias(volume, mask, grid.affine, n_iterations=INU_ITERATIONS)
    except ScanError:  # the brain mask is (nearly) empty: the measure is not known
        return NOT_KNOWN, volume
    low, high = np.percentile(field[mask], (5, 95))
    return float(high - low), even


def _tissue_measures(volume: Volume, mask: Mask) -> dict[str, float]:
    """SNR, CNR and CJV of classes told apart by intensity; outer voxels of a class left out."""
    try:
        labels = fit_mixture(volume[mask]).labels(volume[mask])
    except ScanError:  # a constant or empty brain has no classes
        return {}
    tissue = np.full(mask.shape, -1)
    tissue[mask] = labels
    grey, white = volume[tissue == 1], volume[_core(tissue == 2)]
    if min(grey.size, white.size) < MIN_SHARE_OF_CLASS * labels.size:
        white = volume[tissue == 2]
    return {
        "snr": signal_to_noise(white),
        "cnr": contrast_to_noise(grey, white),
        "cjv": joint_variation(grey, white),
    }


def _core(mask: Mask) -> Mask:
    core: Mask = ndimage.binary_erosion(mask)
    return core


def _robust_sd(values: Array) -> float:
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))
