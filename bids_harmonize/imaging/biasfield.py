"""Smooth intensity inhomogeneity (the coil's bias field) by N4."""

from collections.abc import Sequence
from math import ceil

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging._itk import from_itk, to_itk
from bids_harmonize.imaging.geometry import Grid, voxel_size_mm
from bids_harmonize.imaging.resampling import resample
from bids_harmonize.imaging.types import Affine, Mask, Volume

MIN_VOXELS = 100


def correct_bias(
    volume: Volume,
    mask: Mask,
    affine: Affine,
    *,
    shrink_mm: float = 8.0,
    n_iterations: Sequence[int] = (50, 50, 50),
    spline_distance_mm: float = 100.0,
) -> tuple[Volume, Volume]:
    """Volume without its bias field, and the field.

    The field is estimated on a copy of voxel size ``shrink_mm`` and evaluated on the volume's
    own grid. One thread and no random sampling: equal input gives equal bits.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), intensities of at least 0.
    mask
        Boolean array of the same shape: voxels that steer the field; those of intensity 0 or
        less are left out, for N4 takes a logarithm.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    shrink_mm
        Voxel size of the estimation, mm; never finer than the volume.
    n_iterations
        Iterations of each fitting level; every level halves the spline's mesh.
    spline_distance_mm
        Distance of the spline's knots at the first level, mm.

    Returns
    -------
    corrected
        float32 of the same shape; its mean in the mask is the input's.
    field
        float32 of the same shape, positive, unitless: ``volume = corrected * field``.

    Raises
    ------
    ScanError
        If the mask holds too few positive voxels.

    References
    ----------
    Tustison et al. 2010, doi:10.1109/TMI.2010.2046908.
    """
    usable = mask & (volume > 0)
    small, small_mask, grid = _shrink(volume, usable, affine, shrink_mm=shrink_mm)
    if int(small_mask.sum()) < MIN_VOXELS:
        message = (
            f"the bias field cannot be estimated: found {int(small_mask.sum())} positive voxels of"
            f" {shrink_mm:g} mm in the mask, expected at least {MIN_VOXELS}"
        )
        raise ScanError(message)
    correction = sitk.N4BiasFieldCorrectionImageFilter()
    correction.SetNumberOfThreads(1)
    correction.SetMaximumNumberOfIterations([int(n) for n in n_iterations])
    extent = np.array(grid.shape) * np.array(grid.voxel_size_mm)
    correction.SetNumberOfControlPoints(
        [max(1, round(float(length) / spline_distance_mm)) + 3 for length in extent]
    )
    correction.Execute(to_itk(small, grid.affine), to_itk(small_mask, grid.affine))
    log_field = from_itk(correction.GetLogBiasFieldAsImage(to_itk(small, grid.affine)))
    own = Grid(shape=(volume.shape[0], volume.shape[1], volume.shape[2]), affine=affine)
    field = np.exp(_spread(log_field.astype(np.float32), grid, own))
    corrected = volume / field
    gain = np.float32(volume[usable].mean() / corrected[usable].mean())
    return (corrected * gain).astype(np.float32), (field / gain).astype(np.float32)


def divide_by_field(volume: Volume, field: Volume, mask: Mask) -> tuple[Volume, Volume]:
    """Volume without a known field, and that field, both exactly 0 outside a mask.

    Parameters
    ----------
    volume
        Array of shape (I, J, K).
    field
        Array of the same shape, positive in the mask, any scale.
    mask
        Boolean array of the same shape.

    Returns
    -------
    corrected
        float32; its mean over the mask's positive voxels is the input's.
    field
        float32, no unit, scaled so that ``volume = corrected * field`` in the mask.
    """
    safe = np.where(mask, field, np.float32(1))
    corrected = np.where(mask, volume / safe, 0)
    positive = mask & (volume > 0)
    gain = np.float32(volume[positive].mean() / corrected[positive].mean())
    own = np.where(mask, safe / gain, 0)
    return (corrected * gain).astype(np.float32), own.astype(np.float32)


def _shrink(
    volume: Volume, usable: Mask, affine: Affine, *, shrink_mm: float
) -> tuple[Volume, Mask, Grid]:
    """Every n-th voxel along the volume's own axes; the grid covers the whole volume.

    Choice: voxels are picked, not averaged. Reason: N4 sharpens the histogram, and means over fat,
    bone and air have no place in it; on three phantoms of 3 mm with a strong field the correlation
    with the truth in the brain rose from .64-.84 to .82-.94, on one of 1 mm from .72 to .98.
    Rejected: means over the coarse voxel. Revisit for images with much noise.
    """
    size = np.array(voxel_size_mm(affine))
    step = np.maximum(1.0, shrink_mm / size)
    shape = tuple(ceil(n / s) for n, s in zip(volume.shape, step, strict=True))
    coarse = affine.copy()
    coarse[:3, :3] = affine[:3, :3] * step
    offset = (np.array(volume.shape) - 1) / 2 - step * (np.array(shape) - 1) / 2
    coarse[:3, 3] = affine[:3, :3] @ offset + affine[:3, 3]
    grid = Grid(shape=(shape[0], shape[1], shape[2]), affine=coarse)
    picked = np.where(usable, volume, 0).astype(np.float32)
    small = resample(picked, affine, grid, interpolation="nearest")
    return small, small > 0, grid


def _spread(log_field: Volume, grid: Grid, own: Grid) -> Volume:
    """Smooth field on the volume's grid, continued beyond the coarse grid's outer voxels."""
    to_coarse = np.linalg.inv(grid.affine) @ own.affine
    scale, offset = np.diag(to_coarse)[:3], to_coarse[:3, 3]
    result: Volume = ndimage.affine_transform(
        log_field, scale, offset=offset, output_shape=own.shape, order=3, mode="nearest"
    )
    return result
