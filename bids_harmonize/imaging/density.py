"""Density of a tissue around each place of the template, smoothed, from the scan's own voxels."""

from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.geometry import Grid, invert
from bids_harmonize.imaging.types import Array, Volume

LEAST_COVERED: Final = 0.1
"""Share of the kernel that the scan's brain must cover: below, the density is not known."""

FWHM_PER_SD: Final = 2.3548200450309493
"""Of a Gaussian: 2 sqrt(2 ln 2)."""


def smoothed_density(
    share: Volume, points: Array, grid: Grid, *, voxel_ml: float, fwhm_mm: float
) -> Volume:
    """Share of a tissue around each voxel of the template, a Gaussian mean over the brain.

    Choice: every voxel of the scan gives its tissue, and itself, to the eight voxels of the grid
    around its place in the template; both sums are smoothed and divided. Reason: a density as the
    parcels have it (tissue over brain), with no Jacobian and no interpolation of the scan, that
    does not fall off where the brain ends. Rejected: shares multiplied by the Jacobian
    ("modulated"), which tell volumes: those of the parcels are tested already, and the Jacobian
    of a registration at 2 to 4 mm is a noisy measure of a voxel.

    Parameters
    ----------
    share
        float32 (n,): share of the tissue in the voxels of the brain, 0 to 1.
    points
        Array (3, n), mm, RAS+: where they lie in the template; those beyond the grid do not count.
    grid
        The template's grid, isotropic.
    voxel_ml
        Volume of a voxel of the scan, mL.
    fwhm_mm
        Full width at half maximum of the whole smoothing, mm; more than the grid's voxel size.

    Returns
    -------
    ndarray
        float32 of the grid's shape, 0 to 1; NaN where brain fills less than :data:`LEAST_COVERED`
        of the kernel.

    References
    ----------
    Good et al. 2001, doi:10.1006/nimg.2001.0786 (density against volume).
    """
    size_mm = grid.voxel_size_mm[0]
    tissue, brain = (
        _deposit(weights, points, grid) * np.float32(voxel_ml * 1e3 / size_mm**3)
        for weights in (share, np.ones_like(share))
    )
    variance = (fwhm_mm / FWHM_PER_SD) ** 2 - size_mm**2 / 6  # the deposit smooths by the rest
    sd_voxels = np.sqrt(variance) / size_mm
    tissue, brain = (
        ndimage.gaussian_filter(one, sd_voxels, mode="constant") for one in (tissue, brain)
    )
    known = brain >= np.float32(LEAST_COVERED)
    density = np.where(known, tissue / np.where(known, brain, 1), np.nan)
    return np.clip(density, 0, 1).astype(np.float32)


def _deposit(weights: Volume, points: Array, grid: Grid) -> Volume:
    """Sums of weights at the grid's voxels, each dealt linearly to the eight around its place."""
    matrix = invert(grid.affine)
    places = matrix[:3, :3] @ points + matrix[:3, 3:]
    corner = np.floor(places).astype(np.intp)
    beyond = places - corner
    shape = np.array(grid.shape)[:, None]
    total = np.zeros(int(np.prod(grid.shape)))
    for step in np.ndindex(2, 2, 2):
        offset = np.array(step)[:, None]
        voxels = corner + offset
        inside = ((voxels >= 0) & (voxels < shape)).all(axis=0)
        share = np.where(offset, beyond, 1 - beyond).prod(axis=0)
        flat = np.ravel_multi_index(tuple(voxels[:, inside]), grid.shape)
        total += np.bincount(flat, (weights * share)[inside], minlength=total.size)
    return total.reshape(grid.shape).astype(np.float32)
