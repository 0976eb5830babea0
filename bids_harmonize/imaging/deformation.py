"""Deformation of the template to one brain: diffeomorphic demons, coarse to fine.

Choice: SimpleITK's diffeomorphic demons at 8, 4 and 2 mm, on images whose fluid, grey and white
matter were given the same three intensities beforehand. Reason: a kept library; equal contrast
makes squared differences a fair measure on any scanner; smoothed by 2 voxels, no field folded.
Rejected: fast symmetric forces (fold where less smoothed, no better at equal smoothing), a greedy
local correlation of our own (not needed). Revisit when lesions or other contrasts are wanted.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import SimpleITK as sitk

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging._itk import field_from_itk, to_itk
from bids_harmonize.imaging.displacement import (
    inverse_displacement,
    jacobian_determinant,
    pull,
    resample_field,
    sample,
    store_field,
)
from bids_harmonize.imaging.geometry import Grid, cover_grid, invert, straight_grid, world_box
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.registration import Sampled
from bids_harmonize.imaging.resampling import resample, resample_through
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.template_fit import local_normalised
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume

COARSE_MM: Final = (8.0, 4.0)
FINEST_MM: Final = 2.0
N_COARSE: Final = 30
N_FINE: Final = 15
SMOOTHING_VOXELS: Final = 2.0  # sd of the Gaussian on the whole field, after every iteration
MAX_STEP_VOXELS: Final = 2.0
STORED_MM: Final = 3.0
EVEN_INTENSITIES: Final = (0.0, 0.25, 0.6, 1.0, 1.2)  # nothing, fluid, grey, white, brighter


@dataclass(frozen=True, eq=False)
class Deformation:
    """Where every point of the template lies in a scan.

    A template point p (mm) goes to ``template_to_scan @ (p + u(p))``; u is 0 outside its grid and
    interpolated linearly inside.

    Parameters
    ----------
    template_to_scan
        4x4 matrix, mm, RAS+, from the template's world to the scan's world.
    displacement_mm
        u: float32 of shape (I, J, K, 3), mm, RAS+.
    grid
        Where u is given, in the template's world.
    jacobian_range
        1st and 99th percentile, in the template's brain, of the local volume change of
        p -> p + u(p); 1 is none, 0 or less would be a fold.
    correlation_before, correlation
        Of scan and template, both locally normalised, in the template's brain; with the matrix
        alone, and with u; -1 to 1.
    """

    template_to_scan: Affine
    displacement_mm: Volume
    grid: Grid
    jacobian_range: tuple[float, float]
    correlation_before: float
    correlation: float


def find_deformation(
    scan: Sampled,
    template: TemplateImages,
    *,
    to_template: Affine,
    finest_mm: float = FINEST_MM,
) -> Deformation:
    """Deformation of the template to a brain.

    Parameters
    ----------
    scan
        Volume on any grid, intensities of at least 0, with the brain mask.
    template
        What is deformed.
    to_template
        4x4 matrix, mm, RAS+, from the scan's world to the template's world.
    finest_mm
        Voxel size of the last level, 2 to 4 mm; 8 and 4 mm come before it.

    Returns
    -------
    Deformation
        One thread, all voxels: equal input gives equal bits.

    Raises
    ------
    ScanError
        If the template's brain and the scan's do not overlap, or the brain is of one intensity.

    References
    ----------
    Vercauteren et al. 2009, doi:10.1016/j.neuroimage.2008.10.040.
    """
    matrix = invert(to_template)
    work = cover_grid(template.t1.shape, template.affine, resolution_mm=finest_mm)
    brain = _share(template.brain_mask, template.affine, np.eye(4), work) >= np.float32(0.5)
    if scan.mask is None:
        message = "the deformation needs a brain mask; found none"
        raise ScanError(message)
    mask = _share(scan.mask, scan.affine, matrix, work) >= np.float32(0.5)
    if not (brain & mask).any():
        message = "the template lies outside the brain mask: is the mask that of this image?"
        raise ScanError(message)
    moving = resample_through(scan.volume, scan.affine, matrix, work, interpolation="linear")
    moving = local_normalised(moving, mask, finest_mm)
    fixed = resample(template.t1, template.affine, work, interpolation="linear")
    fixed = local_normalised(fixed, brain, finest_mm)
    found = _demons(
        Sampled(even_intensities(moving, mask), work.affine),
        Sampled(even_intensities(fixed, brain), work.affine),
        levels_mm=(*(level for level in COARSE_MM if level > finest_mm), finest_mm),
    )
    grid = _stored_grid(template)
    stored = store_field(found, work, grid)
    fine = resample_field(stored, grid, work)
    jacobian = jacobian_determinant(stored, STORED_MM)
    inner = resample(brain, work.affine, grid, interpolation="nearest")
    low, high = (float(value) for value in np.percentile(jacobian[inner], (1, 99)))
    warped = pull(moving, fine / np.float32(finest_mm))
    return Deformation(
        template_to_scan=matrix,
        displacement_mm=stored,
        grid=grid,
        jacobian_range=(low, high),
        correlation_before=float(np.corrcoef(moving[brain], fixed[brain])[0, 1]),
        correlation=float(np.corrcoef(warped[brain], fixed[brain])[0, 1]),
    )


def even_intensities(volume: Volume, mask: Mask) -> Volume:
    """Volume with its fluid, grey and white matter moved to fixed intensities.

    Parameters
    ----------
    volume
        float32 of shape (I, J, K), T1w contrast, free of a bias field, at least 0.
    mask
        Boolean array of the same shape: the brain.

    Returns
    -------
    ndarray
        float32, 0 to 1.2; 0 outside the mask.

    Raises
    ------
    ScanError
        If the mask holds too few values or one value only.
    """
    fluid, grey, white = (float(mean) for mean in fit_mixture(volume[mask]).means)
    landmarks = (0.0, fluid, grey, white, 2.0 * white - grey)
    even = np.interp(volume, landmarks, EVEN_INTENSITIES).astype(np.float32)
    return np.where(mask, even, np.float32(0.0))


def to_template_points(deformation: Deformation, points: Array) -> Array:
    """Template points that belong to points of the scan.

    Parameters
    ----------
    deformation
        Of the template to the scan.
    points
        Array (3, n), mm, the scan's world, RAS+.

    Returns
    -------
    ndarray
        float32 (3, n), mm, the template's world.
    """
    return points_in_template(
        points, deformation.template_to_scan, deformation.displacement_mm, deformation.grid
    )


def points_in_template(
    points: Array, template_to_scan: Affine, displacement_mm: Volume, grid: Grid
) -> Array:
    """The same from the parts of a deformation, as a file holds them.

    Parameters
    ----------
    points
        Array (3, n), mm, the scan's world, RAS+.
    template_to_scan, displacement_mm, grid
        See :class:`Deformation`.

    Returns
    -------
    ndarray
        float32 (3, n), mm, the template's world.
    """
    backward = inverse_displacement(displacement_mm, grid.voxel_size_mm[0])
    matrix = invert(template_to_scan)
    linear = (matrix[:3, :3] @ points + matrix[:3, 3:]).astype(np.float32)
    voxels = _voxels(linear, grid.affine)
    return linear + np.stack([sample(backward[..., n], voxels) for n in range(3)])


def template_values(image: Volume, affine: Affine, points: Array) -> Volume:
    """Linearly interpolated values (n,) of a template image at template points (3, n), mm."""
    return sample(image, _voxels(points, affine))


def _demons(moving: Sampled, fixed: Sampled, *, levels_mm: tuple[float, ...]) -> Volume:
    """Displacement (I, J, K, 3), mm, RAS+, on the fixed grid, that brings moving onto fixed."""
    field = sitk.Image()
    for level_mm in levels_mm:
        grid = cover_grid(fixed.volume.shape, fixed.affine, resolution_mm=level_mm)
        images = [
            to_itk(resample(one.volume, one.affine, grid, interpolation="linear"), grid.affine)
            for one in (fixed, moving)
        ]
        demons = sitk.DiffeomorphicDemonsRegistrationFilter()
        demons.SetNumberOfThreads(1)
        demons.SetNumberOfIterations(N_COARSE if level_mm in COARSE_MM else N_FINE)
        demons.SetStandardDeviations(SMOOTHING_VOXELS)
        demons.SetSmoothDisplacementField(True)
        demons.SetSmoothUpdateField(False)
        demons.SetMaximumUpdateStepLength(MAX_STEP_VOXELS)
        if level_mm == levels_mm[0]:
            field = demons.Execute(*images)
            continue
        resampler = sitk.ResampleImageFilter()
        resampler.SetNumberOfThreads(1)
        resampler.SetReferenceImage(images[0])
        resampler.SetInterpolator(sitk.sitkLinear)
        field = demons.Execute(*images, resampler.Execute(field))
    return field_from_itk(field)


def _share(mask: Mask, affine: Affine, transform: Affine, grid: Grid) -> Volume:
    return resample_through(
        mask.astype(np.float32), affine, transform, grid, interpolation="linear"
    )


def _stored_grid(template: TemplateImages) -> Grid:
    """Coarse grid whose voxel centres enclose the whole template."""
    low, high = world_box(template.t1.shape, template.affine)
    i, j, k = (ceil(length / STORED_MM) + 1 for length in high - low)
    extent = np.array([i, j, k]) * STORED_MM
    return straight_grid((low + high - extent) / 2, resolution_mm=STORED_MM, shape=(i, j, k))


def _voxels(points: Array, affine: Affine) -> Array:
    inverse = invert(affine).astype(np.float32)
    return inverse[:3, :3] @ points + inverse[:3, 3:]
