"""Whether an image is as sharp as the site it should look like.

Smoothing both images raises SSIM without harmonizing anything, so this ratio stands beside every
SSIM. It is computed on unmoved images, because interpolation smooths.
"""

import math

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter

from bids_harmonize.imaging.intensity import percentile_scaling
from bids_harmonize.metrics._checks import bounding_box, check_mask

EROSION_VOXELS = 2
_SIGMA_STEPS = 14
_GAUSSIAN_REACH = 4.5  # widths at which scipy's Gaussian has ended


def gradient_level(volume: np.ndarray, mask: np.ndarray) -> float:
    """Mean gradient magnitude of a volume in the eroded mask.

    Parameters
    ----------
    volume
        Volume of shape (I, J, K), in rescaled units (1st to 99th percentile is 0 to 1).
    mask
        Brain mask, shape (I, J, K), bool; eroded by two voxels, so that its edge does not count
        (by less where nothing would be left).

    Returns
    -------
    float
        Rescaled units per voxel; higher is sharper, or noisier.

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    check_mask(mask)
    box = bounding_box(mask, margin_voxels=1)
    gradients = np.gradient(volume[box].astype(np.float64))
    magnitude = np.sqrt(np.sum(np.square(gradients), axis=0))
    return float(magnitude[_eroded(mask)[box]].mean())


def sharpness(volume: np.ndarray, mask: np.ndarray, reference_level: float) -> float:
    """Gradient magnitude of a volume, relative to that of the target site's own scans.

    Parameters
    ----------
    volume
        Volume of shape (I, J, K), in rescaled units (1st to 99th percentile is 0 to 1).
    mask
        Brain mask, shape (I, J, K), bool.
    reference_level
        Mean of :func:`gradient_level` over the target site's own scans, above 0.

    Returns
    -------
    float
        1 is best; below 1 the volume is blurrier, above 1 sharper or noisier.

    Raises
    ------
    ValueError
        If the mask is empty or the reference level is not positive.

    References
    ----------
    Pertuz et al. 2013, doi:10.1016/j.patcog.2012.11.011
    """
    if not reference_level > 0:
        message = f"the reference level must be positive, found {reference_level}"
        raise ValueError(message)
    return gradient_level(volume, mask) / reference_level


def blur_to_level(
    volume: np.ndarray, mask: np.ndarray, level: float, *, max_sigma_voxels: float = 3.0
) -> tuple[np.ndarray, float]:
    """A volume smoothed until its gradient magnitude in the mask equals a level.

    The control for every similarity: it harmonizes nothing but sharpness. The level is compared
    after rescaling by the 1st and 99th percentile in the mask, because smoothing narrows them.

    Parameters
    ----------
    volume
        Volume of shape (I, J, K), any intensity unit.
    mask
        Brain mask, shape (I, J, K), bool.
    level
        Wanted :func:`gradient_level` of the rescaled volume.
    max_sigma_voxels
        Widest Gaussian that is tried.

    Returns
    -------
    smoothed : ndarray
        Volume of shape (I, J, K); unchanged if it is not sharper than the level.
    sigma_voxels : float
        Width of the Gaussian, 0 where nothing was smoothed.
    """
    if _rescaled_level(volume, mask) <= level:
        return volume, 0.0
    box = bounding_box(mask, margin_voxels=math.ceil(_GAUSSIAN_REACH * max_sigma_voxels))
    part, inside = volume[box], mask[box]
    low, high = 0.0, max_sigma_voxels
    for _ in range(_SIGMA_STEPS):
        middle = (low + high) / 2
        sharper = _rescaled_level(gaussian_filter(part, middle), inside) > level
        low, high = (middle, high) if sharper else (low, middle)
    sigma = (low + high) / 2
    return gaussian_filter(volume, sigma), sigma


def _rescaled_level(volume: np.ndarray, mask: np.ndarray) -> float:
    return gradient_level(percentile_scaling(volume, mask).apply(volume), mask)


def _eroded(mask: np.ndarray) -> np.ndarray:
    for iterations in range(EROSION_VOXELS, 0, -1):
        eroded = binary_erosion(mask, iterations=iterations)
        if eroded.any():
            return np.asarray(eroded)
    return mask
