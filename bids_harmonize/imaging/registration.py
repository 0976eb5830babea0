"""Rigid and affine registration by mutual information, and applying what was found.

Every run uses one thread and all voxels of a fixed grid, so equal input gives equal bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import SimpleITK as sitk

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging._itk import from_itk_transform, to_itk, to_itk_transform
from bids_harmonize.imaging.geometry import Grid, cover_grid, voxel_size_mm
from bids_harmonize.imaging.morphology import box_around
from bids_harmonize.imaging.resampling import (
    Interpolation,
    resample,
    resample_mask,
    resample_through,
)
from bids_harmonize.imaging.types import Affine, Mask, Volume

Metric = Literal["mutual-information", "correlation"]

N_BINS: Final = 32
RIGID_LEVELS_MM: Final = (8.0, 4.0, 2.0)
CLIP_PERCENTS: Final = (0.5, 99.5)


@dataclass(frozen=True, eq=False)
class Sampled:
    """A volume (and the mask that counts) on its grid, ready to be compared.

    Parameters
    ----------
    volume
        Array of shape (I, J, K).
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    mask
        Boolean array of the same shape, or None for every voxel.
    """

    volume: Volume
    affine: Affine
    mask: Mask | None = None


def register_rigid(
    moving: Volume,
    moving_affine: Affine,
    fixed: Volume,
    fixed_affine: Affine,
    *,
    moving_mask: Mask | None = None,
    fixed_mask: Mask | None = None,
) -> Affine:
    """Rotation and translation that lay one scan of a head on another scan of it.

    Parameters
    ----------
    moving, fixed
        Arrays of shape (I, J, K), any contrast.
    moving_affine, fixed_affine
        4x4 voxel-to-world matrices, mm, RAS+.
    moving_mask, fixed_mask
        Voxels that count; head or brain. They also give the start (their centres).

    Returns
    -------
    ndarray
        4x4 matrix, mm, RAS+, from the fixed world to the moving world: what
        :func:`apply_world_transform` wants.

    Raises
    ------
    ScanError
        If the two scans cannot be brought to overlap.

    References
    ----------
    Mattes et al. 2003, doi:10.1109/TMI.2003.809072.
    """
    fixed_centre = _centre_of_mass(fixed, fixed_affine, fixed_mask)
    shift = _centre_of_mass(moving, moving_affine, moving_mask) - fixed_centre
    transform = sitk.Euler3DTransform()
    transform.SetCenter((fixed_centre * [-1, -1, 1]).tolist())
    transform.SetTranslation((shift * [-1, -1, 1]).tolist())
    finest = max(*voxel_size_mm(fixed_affine), *voxel_size_mm(moving_affine))
    for level_mm in _rigid_levels(finest):
        optimise(
            at_resolution(Sampled(moving, moving_affine, moving_mask), level_mm),
            at_resolution(Sampled(fixed, fixed_affine, fixed_mask), level_mm),
            transform,
            first_step_mm=level_mm / 2,
        )
    return from_itk_transform(transform)


def _rigid_levels(finest_mm: float) -> tuple[float, ...]:
    """Voxel sizes from coarse to fine, the last at most a quarter coarser than the scans'."""
    levels = tuple(level for level in RIGID_LEVELS_MM if level >= 0.7 * finest_mm)
    if RIGID_LEVELS_MM[-1] < finest_mm < 0.8 * levels[-1]:
        return (*levels, finest_mm)
    return levels


def apply_world_transform(
    moving: Volume,
    moving_affine: Affine,
    transform: Affine,
    grid: Grid,
    *,
    interpolation: Interpolation = "bspline",
) -> Volume:
    """Moving volume on the fixed scan's grid, through a world transform.

    Parameters
    ----------
    moving
        Array of shape (I, J, K).
    moving_affine
        4x4 voxel-to-world matrix, mm, RAS+.
    transform
        4x4 matrix, mm, RAS+, from the grid's world to the moving world.
    grid
        Where the result lies.
    interpolation
        As in :func:`bids_harmonize.imaging.grid.resample`.

    Returns
    -------
    ndarray
        Array of the grid's shape.
    """
    return resample_through(moving, moving_affine, transform, grid, interpolation=interpolation)


def at_resolution(scan: Sampled, resolution_mm: float) -> Sampled:
    """Scan on a straight grid of a voxel size, cropped to its mask, extreme values clipped."""
    grid = cover_grid(scan.volume.shape, scan.affine, resolution_mm=resolution_mm)
    volume = resample(scan.volume, scan.affine, grid, interpolation="linear")
    low, high = (float(value) for value in np.percentile(volume, CLIP_PERCENTS))
    volume = np.clip(volume, low, high)
    if scan.mask is None:
        return Sampled(volume, grid.affine)
    return crop_to_mask(Sampled(volume, grid.affine, resample_mask(scan.mask, scan.affine, grid)))


def crop_to_mask(scan: Sampled) -> Sampled:
    """Scan cut to the box of its mask, plus one voxel."""
    if scan.mask is None or not scan.mask.any():
        return scan
    box = box_around(scan.mask, margin_voxels=1)
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
    return Sampled(scan.volume[box], affine, scan.mask[box])


def optimise(
    moving: Sampled,
    fixed: Sampled,
    transform: sitk.Transform,
    *,
    first_step_mm: float,
    n_iterations: int = 100,
    last_step_mm: float = 0.02,
    metric: Metric = "mutual-information",
) -> float:
    """Likeness at the best transform; the transform is moved there.

    Parameters
    ----------
    moving, fixed
        What is compared, on the grids of one resolution; the fixed mask should reach beyond what
        matters.
    transform
        Where the search starts and, afterwards, what it found; in ITK's LPS world.
    first_step_mm, last_step_mm
        Largest displacement of the first step, and the one that ends the search, mm.
    n_iterations
        Steps at most.
    metric
        Mutual information for any contrast, squared correlation for equal contrast.

    Returns
    -------
    float
        The metric, higher is better.

    Raises
    ------
    ScanError
        If the images do not overlap.
    """
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    if metric == "correlation":
        method.SetMetricAsCorrelation()
    else:
        method.SetMetricAsMattesMutualInformation(N_BINS)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=first_step_mm,
        minStep=last_step_mm,
        numberOfIterations=n_iterations,
        relaxationFactor=0.5,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    if fixed.mask is not None:
        method.SetMetricFixedMask(to_itk(fixed.mask, fixed.affine))
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(to_itk(fixed.volume, fixed.affine), to_itk(moving.volume, moving.affine))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        message = f"the images could not be registered; do they show the same head? ({reason})"
        raise ScanError(message) from error
    return -float(method.GetMetricValue())


def scale_about(centre_mm: Sequence[float], scale: float, *, pitch_deg: float) -> Affine:
    """4x4 matrix that scales and nods (rotates about the left-right axis) around a point."""
    angle = np.deg2rad(pitch_deg)
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, :3] *= scale
    matrix[:3, 3] = np.asarray(centre_mm) - matrix[:3, :3] @ np.asarray(centre_mm)
    return matrix


def affine_transform(matrix: Affine, centre_mm: Sequence[float]) -> sitk.AffineTransform:
    """ITK transform of a 4x4 RAS+ matrix, with its parameters taken about a world point."""
    plain = to_itk_transform(matrix)
    centred = sitk.AffineTransform(3)
    centre = np.asarray(centre_mm) * [-1, -1, 1]
    centred.SetMatrix(plain.GetMatrix())
    centred.SetCenter(centre.tolist())
    moved = np.array(plain.TransformPoint(centre.tolist()))
    centred.SetTranslation((moved - centre).tolist())
    return centred


def _centre_of_mass(volume: Volume, affine: Affine, mask: Mask | None) -> Volume:
    """World point (3,), mm: of the mask, or of the intensities where there is none."""
    weight = np.maximum(volume, 0) if mask is None else mask
    total = float(weight.sum())
    if total <= 0:
        message = "the images could not be registered: one is empty inside its mask"
        raise ScanError(message)
    voxel = [
        float((weight.sum(axis=tuple({0, 1, 2} - {axis})) * np.arange(n)).sum()) / total
        for axis, n in enumerate(weight.shape)
    ]
    return affine[:3, :3] @ np.array(voxel) + affine[:3, 3]
