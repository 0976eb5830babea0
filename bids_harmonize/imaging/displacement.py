"""Displacement fields on grids: sampling, resampling, inversion, local volume change."""

from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.geometry import Grid, invert
from bids_harmonize.imaging.types import Array, Volume

N_INVERSION: Final = 25
DAMPING: Final = 0.7  # undamped, the iteration diverges where the field doubles a length
N_CORRECTIONS: Final = 2


def jacobian_determinant(displacement_mm: Array, voxel_mm: float) -> Volume:
    """Local volume change of p -> p + u(p).

    Parameters
    ----------
    displacement_mm
        u: shape (I, J, K, 3), mm.
    voxel_mm
        Isotropic voxel size, mm.

    Returns
    -------
    ndarray
        float32 of shape (I, J, K); 1 is no change, 0 or less a fold.
    """
    matrix = np.empty((*displacement_mm.shape, 3), np.float32)  # (I, J, K, 3, 3)
    for axis in range(3):
        matrix[..., axis] = np.gradient(displacement_mm, voxel_mm, axis=axis)
    determinant: Volume = np.linalg.det(matrix + np.eye(3, dtype=np.float32))
    return determinant


def inverse_displacement(displacement_mm: Volume, voxel_mm: float) -> Volume:
    """Displacement v of the way back: a point q = p + u(p) is left at p = q + v(q).

    Parameters
    ----------
    displacement_mm
        u: float32 of shape (I, J, K, 3), mm; without folds.
    voxel_mm
        Isotropic voxel size, mm.

    Returns
    -------
    ndarray
        float32 of the same shape, mm, by damped fixed-point iteration.
    """
    forward = displacement_mm / np.float32(voxel_mm)
    backward = np.zeros_like(forward)
    for _ in range(N_INVERSION):
        found = -np.stack([pull(forward[..., n], backward) for n in range(3)], axis=-1)
        backward += np.float32(DAMPING) * (found - backward)
    return backward * np.float32(voxel_mm)


def sample(volume: Array, voxels: Array) -> Volume:
    """Linearly interpolated values (n,) at voxel positions (3, n); edge values go on outside."""
    values: Volume = ndimage.map_coordinates(volume, voxels, order=1, mode="nearest")
    return values


def resample_field(field: Volume, grid: Grid, target: Grid) -> Volume:
    """Field at the voxels of another grid, by linear interpolation, edges held."""
    matrix = invert(grid.affine) @ target.affine
    scale, offset = np.diag(matrix)[:3], matrix[:3, 3]
    result = np.empty((*target.shape, 3), np.float32)
    for n in range(3):
        result[..., n] = ndimage.affine_transform(
            field[..., n], scale, offset, target.shape, order=1, mode="nearest"
        )
    return result


def store_field(field: Volume, grid: Grid, target: Grid) -> Volume:
    """Field (I, J, K, 3) on a coarser grid, such that linear interpolation brings it back."""
    stored = resample_field(field, grid, target)
    for _ in range(N_CORRECTIONS):
        missed = field - resample_field(stored, target, grid)
        stored += resample_field(missed.astype(np.float32), grid, target)
    return stored


def pull(volume: Volume, field_voxels: Volume) -> Volume:
    """Volume sampled, linearly, at every voxel's own place plus a field (I, J, K, 3), voxels."""
    at = field_voxels.transpose(3, 0, 1, 2).copy()
    for axis, n in enumerate(volume.shape):
        at[axis] += np.expand_dims(
            np.arange(n, dtype=np.float32), [a for a in range(3) if a != axis]
        )
    return sample(volume, at)
