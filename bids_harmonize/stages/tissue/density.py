"""Smoothed density of grey matter on the template, a small file a scan in the work directory.

Choice: a grid of 4 mm for a smoothing of 8 mm. Reason: what a grid of 4 mm cannot hold has been
smoothed to under 3 % of its size, a scan takes 70 kB, and a permutation a tenth of a second.
Rejected: 1.5 mm as elsewhere (nineteen times the voxels, and nothing in them). Revisit with a
finer smoothing.
"""

import io
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import ndimage

from bids_harmonize.atlases.templates import load_template
from bids_harmonize.bids.files import write_bytes
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.density import FWHM_PER_SD, smoothed_density
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.types import Array, Mask, Volume

GRID_MM: Final = 4.0
FWHM_MM: Final = 8.0  # SPM's default, and the usual choice for maps of density
LEAST_GREY: Final = 0.2  # of the smoothed template, where the density is asked for

VERSION: Final = 1
"""Raise when the numbers change, so that old files are not used."""


@cache
def density_grid() -> Grid:
    """The template's grid at 4 mm."""
    template = load_template(GRID_MM)
    i, j, k = template.gm.shape
    return Grid(shape=(i, j, k), affine=template.affine)


@cache
def density_mask() -> Mask:
    """Voxels of that grid in which the smoothed template has grey matter; read-only."""
    grey = ndimage.gaussian_filter(load_template(GRID_MM).gm, FWHM_MM / FWHM_PER_SD / GRID_MM)
    mask = grey >= np.float32(LEAST_GREY)
    mask.flags.writeable = False
    return np.asarray(mask, dtype=bool)


def write_density(path: Path, grey: Volume, points: Array, *, voxel_ml: float) -> None:
    """Write the density of a scan at the voxels of :func:`density_mask`.

    Parameters
    ----------
    path
        Of the file.
    grey, points, voxel_ml
        As for :func:`bids_harmonize.imaging.density.smoothed_density`.

    Raises
    ------
    OutputError, StorageError
        If it cannot be written.
    """
    density = smoothed_density(grey, points, density_grid(), voxel_ml=voxel_ml, fwhm_mm=FWHM_MM)
    stream = io.BytesIO()
    np.save(stream, density[density_mask()].astype(np.float16))  # steps of .0005 at most
    write_bytes(path, stream.getvalue())


def read_density(path: Path) -> np.ndarray[Any, np.dtype[np.float16]]:
    """The density of a scan, shape (n_voxels,), NaN where it is not known.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    ndarray
        float16, 0 to 1.

    Raises
    ------
    ScanError
        If it is no such file.
    """
    n_voxels = int(density_mask().sum())
    try:
        density = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        message = f"{path}: no density of grey matter: {error}; run the stage features again"
        raise ScanError(message) from None
    if density.shape != (n_voxels,):
        message = (
            f"{path}: {density.shape} values, expected {(n_voxels,)}; run the stage features again"
        )
        raise ScanError(message)
    return np.asarray(density, dtype=np.float16)
