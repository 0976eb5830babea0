"""Quality measures of the conformed image: tissues, sharpness, evenness, mask at the edge.

Choice: tissue classes are found in the image without its bias field, by intensity unless they are
handed over. Reason: a coil's falloff would count as noise in every tissue measure, and it has a
measure of its own. Rejected: classes from the template's prior (they would be blind to a bad
mask). Revisit when tissue maps are made of every scan.
"""

from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.air_quality import NOT_KNOWN, entropy_focus
from bids_harmonize.imaging.biasfield import correct_bias
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.types import Array, Mask, Volume

FLUID: Final = 1
GREY: Final = 2
WHITE: Final = 3
MAD_TO_SD: Final = 1.4826
INU_ITERATIONS: Final = (20, 20)
MIN_SHARE_OF_CLASS: Final = 0.01
RAYLEIGH_SD: Final = float(np.sqrt((4 - np.pi) / 2))  # sd of magnitude noise over the true sd
HOT_PERCENT: Final = 99.95


def tissue_measures(
    even: Volume, classes: Array, *, air_sd: float = NOT_KNOWN
) -> dict[str, float]:
    """SNR, CNR and CJV; a tissue's outer voxels are left out of its SNR.

    Parameters
    ----------
    even
        Array of shape (I, J, K), native units, without its bias field.
    classes
        Integer array of the same shape: 1 fluid, 2 grey matter, 3 white matter, else 0.
    air_sd
        Noise in the raw image's air, native units; NaN where it is not known.

    Returns
    -------
    dict
        Name to value; empty where there is no class.
    """
    size = int((classes > 0).sum())
    if size == 0:
        return {}
    fluid, grey, white = (even[_core(classes == label, size)] for label in (FLUID, GREY, WHITE))
    all_grey = even[classes == GREY]
    return {
        "snr": signal_to_noise(white),
        "snr_gm": signal_to_noise(grey),
        "snr_csf": signal_to_noise(fluid),
        "snr_dietrich": signal_to_air(white, air_sd),
        "cnr": contrast_to_noise(all_grey, white, air_sd=air_sd),
        "cjv": joint_variation(all_grey, white),
    }


def classes_by_intensity(volume: Volume, brain_mask: Mask) -> Array:
    """Fluid (1), grey (2) and white matter (3) of a T1w brain by three Gaussians; 0 elsewhere."""
    classes = np.zeros(volume.shape, np.uint8)
    try:
        inside = volume[brain_mask]
        classes[brain_mask] = fit_mixture(inside).labels(inside) + 1
    except ScanError:  # a constant or empty brain has no classes
        pass
    return classes


def even_out(volume: Volume, mask: Mask, grid: Grid) -> tuple[Volume, float]:
    """The volume without its bias field, and INU range: the field's 95th minus 5th percentile.

    N4 on a coarse copy, few iterations; a field that cannot be found is NaN.

    References
    ----------
    Tustison et al. 2010, doi:10.1109/TMI.2010.2046908.
    """
    try:
        even, field = correct_bias(volume, mask, grid.affine, n_iterations=INU_ITERATIONS)
    except ScanError:  # the brain mask is (nearly) empty: the measure is not known
        return volume, NOT_KNOWN
    low, high = np.percentile(field[mask], (5, 95))
    return even, float(high - low)


def signal_to_noise(tissue: Array) -> float:
    """``mean / (sd * sqrt(n / (n - 1)))`` of intensities; higher is better, no unit."""
    if tissue.size < 2 or float(tissue.std()) == 0.0:
        return NOT_KNOWN
    return float(tissue.mean() / (tissue.std() * np.sqrt(tissue.size / (tissue.size - 1))))


def signal_to_air(white: Array, air_sd: float) -> float:
    """``sqrt((4 - pi) / 2) * mean_white / sd_air``; higher is better, no unit.

    The factor turns the spread of magnitude (Rayleigh) noise in the air into that of the noise in
    the tissue; of several coils it overestimates the noise by up to 1 / 0.655.

    References
    ----------
    Dietrich et al. 2007, doi:10.1002/jmri.20969.
    """
    if white.size == 0 or not air_sd > 0:
        return NOT_KNOWN
    return RAYLEIGH_SD * float(white.mean()) / air_sd


def contrast_to_noise(grey: Array, white: Array, *, air_sd: float = NOT_KNOWN) -> float:
    """``(mean_white - mean_grey) / sqrt(var_white + var_grey + var_air)``; higher is better.

    No unit; air whose noise is not known counts as without noise.

    References
    ----------
    Magnotta and Friedman 2006, doi:10.1007/s10278-006-0264-x.
    """
    if not min(white.size, grey.size):
        return NOT_KNOWN
    air_variance = air_sd**2 if air_sd > 0 else 0.0
    noise = float(np.sqrt(white.var() + grey.var() + air_variance))
    return float((white.mean() - grey.mean()) / noise) if noise > 0 else NOT_KNOWN


def joint_variation(grey: Array, white: Array) -> float:
    """``(sd_white + sd_grey) / |mean_white - mean_grey|``, robust; lower is better, no unit.

    Medians stand for means and scaled median absolute deviations for spreads.

    References
    ----------
    Ganzetti et al. 2016, doi:10.3389/fninf.2016.00010.
    """
    if not min(white.size, grey.size):
        return NOT_KNOWN
    distance = abs(float(np.median(white) - np.median(grey)))
    return float((_robust_sd(white) + _robust_sd(grey)) / distance) if distance else NOT_KNOWN


def white_to_maximum(white: Array, head: Array) -> float:
    """``median(white) / P99.95(head)``; higher is better (0.6 to 0.8 is usual), no unit."""
    if not (white.size and head.size):
        return NOT_KNOWN
    highest = float(np.percentile(head, HOT_PERCENT))
    return float(np.median(white)) / highest if highest > 0 else NOT_KNOWN


def gradient_entropy(volume: Volume, head_mask: Mask) -> float:
    """Entropy focus criterion of the gradient's length inside the head; lower is better, 0 to 1.

    The gradient is that of central differences in voxels; the outermost layer of the head is left
    out, since the volume is 0 beyond it.

    References
    ----------
    McGee et al. 2000,
    doi:10.1002/(SICI)1522-2586(200002)11:2<174::AID-JMRI15>3.0.CO;2-3.
    """
    core = ndimage.binary_erosion(head_mask)
    if not core.any():
        return NOT_KNOWN
    square = np.zeros(volume.shape, np.float32)
    for axis in range(volume.ndim):
        values, total = np.moveaxis(volume, axis, 0), np.moveaxis(square, axis, 0)
        total[1:-1] += (values[2:] - values[:-2]) ** 2
    return entropy_focus(np.sqrt(square[core]))


def smoothness_mm(volume: Volume, mask: Mask, grid: Grid) -> float:
    """Full width at half maximum of the grain, mm; lower is sharper.

    An axis gives ``size * sqrt(-2 ln 2 / ln(1 - var(difference) / (2 var)))``, with the
    difference of neighbours along it; the result is the mean of the axes.

    References
    ----------
    Forman et al. 1995, doi:10.1002/mrm.1910330508.
    """
    spread = float(volume[mask].var()) if mask.any() else 0.0
    if spread == 0.0:
        return NOT_KNOWN
    widths = []
    for axis, size in enumerate(grid.voxel_size_mm):
        values, inside = np.moveaxis(volume, axis, 0), np.moveaxis(mask, axis, 0)
        steps = (values[1:] - values[:-1])[inside[1:] & inside[:-1]]
        rough = float(steps.var()) / (2 * spread) if steps.size else 1.0
        if not 0.0 < rough < 1.0:
            return NOT_KNOWN
        widths.append(size * float(np.sqrt(-2 * np.log(2) / np.log(1 - rough))))
    return float(np.mean(widths))


def touches_edge(mask: Mask) -> bool:
    """Whether a mask reaches the outermost layer of its array."""
    return any(bool(np.take(mask, (0, -1), axis).any()) for axis in range(mask.ndim))


def _core(tissue: Mask, size: int) -> Mask:
    """The tissue without its outer voxels, all of it where hardly anything would be left."""
    core: Mask = ndimage.binary_erosion(tissue)
    return core if int(core.sum()) >= MIN_SHARE_OF_CLASS * size else tissue


def _robust_sd(values: Array) -> float:
    return MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))
