"""Resampling of volumes and masks onto a grid, straight or through a linear transform."""

from typing import Final, Literal

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from bids_harmonize.imaging._itk import from_itk, geometry, to_itk, to_itk_transform
from bids_harmonize.imaging.geometry import Grid, voxel_size_mm
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume

Interpolation = Literal["bspline", "linear", "nearest"]

FWHM_PER_SIGMA: Final = 2.0 * np.sqrt(2.0 * np.log(2.0))

_INTERPOLATORS: Final = {
    "bspline": sitk.sitkBSpline,
    "linear": sitk.sitkLinear,
    "nearest": sitk.sitkNearestNeighbor,
}


def resample(
    volume: Array, affine: Affine, grid: Grid, *, interpolation: Interpolation = "bspline"
) -> Array:
    """Volume on another grid; 0 where the grid leaves the volume.

    Where the grid is coarser than the volume, the volume is first smoothed to the grid's
    resolution, so that no detail aliases. Overshoot is clipped to the range of the input (and 0).

    Parameters
    ----------
    volume
        Array of shape (I, J, K); a boolean mask needs ``interpolation="nearest"``
        (see also :func:`resample_mask`).
    affine
        4x4 voxel-to-world matrix of the volume, mm, RAS+.
    grid
        Where the result lies.
    interpolation
        Cubic B-spline, linear or nearest neighbour; the last neither smooths nor clips.

    Returns
    -------
    ndarray
        Array of the grid's shape; float32, or boolean for a mask.

    References
    ----------
    Smoothing before downsampling: Cardoso et al. 2015, doi:10.1007/978-3-319-24571-3_81.
    """
    return resample_through(volume, affine, np.eye(4), grid, interpolation=interpolation)


def resample_through(
    volume: Array,
    affine: Affine,
    transform: Affine,
    grid: Grid,
    *,
    interpolation: Interpolation = "bspline",
) -> Array:
    """Volume on another grid, seen through a world-to-world transform.

    Parameters
    ----------
    volume, affine, grid, interpolation
        As in :func:`resample`.
    transform
        4x4 matrix, mm, RAS+, from the grid's world to the volume's world.

    Returns
    -------
    ndarray
        Array of the grid's shape; float32, or boolean for a mask.
    """
    data = volume
    if interpolation != "nearest":
        data = _smooth_for(volume.astype(np.float32), affine, transform @ grid.affine)
    resampler = sitk.ResampleImageFilter()
    resampler.SetNumberOfThreads(1)
    resampler.SetSize([int(n) for n in grid.shape])
    origin, spacing, direction = geometry(grid.affine)
    resampler.SetOutputOrigin(origin)
    resampler.SetOutputSpacing(spacing)
    resampler.SetOutputDirection(direction)
    resampler.SetTransform(to_itk_transform(transform))
    resampler.SetInterpolator(_INTERPOLATORS[interpolation])
    result = from_itk(resampler.Execute(to_itk(data, affine)))
    if volume.dtype == np.bool_ and interpolation == "nearest":
        return result.astype(np.bool_)
    if interpolation == "bspline":
        result = np.clip(result, min(0.0, float(volume.min())), max(0.0, float(volume.max())))
    return result.astype(np.float32)


def resample_mask(mask: Mask, affine: Affine, grid: Grid) -> Mask:
    """Mask on another grid: voxels of which at least half is covered.

    Parameters
    ----------
    mask
        Boolean array of shape (I, J, K).
    affine
        4x4 voxel-to-world matrix of the mask, mm, RAS+.
    grid
        Where the result lies.

    Returns
    -------
    ndarray
        Boolean array of the grid's shape.
    """
    share: Volume = resample(mask.astype(np.float32), affine, grid, interpolation="linear")
    return share >= np.float32(0.5)


def _smooth_for(volume: Volume, affine: Affine, target_affine: Affine) -> Volume:
    """Gaussian smoothing that brings the volume to the target's resolution, axis by axis."""
    directions = affine[:3, :3] / np.array(voxel_size_mm(affine))
    wanted = np.sqrt(((directions.T @ target_affine[:3, :3]) ** 2).sum(axis=1))
    found = np.array(voxel_size_mm(affine))
    sigma_voxels = np.sqrt(np.maximum(wanted**2 - found**2, 0.0)) / FWHM_PER_SIGMA / found
    sigma_voxels[wanted < 1.001 * found] = 0.0
    if not sigma_voxels.any():
        return volume
    return ndimage.gaussian_filter(volume, sigma_voxels, mode="nearest", truncate=3.0)
