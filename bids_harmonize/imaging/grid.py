"""The study grid: where it lies on a scan, and resampling onto it.

Choice: the grid's axes are the scanner's world axes (RAS+), its shape and voxel size are the
study's, its origin is the scan's, taken from the head mask. Reason: oblique and straight
acquisitions of one head land on the same volume, and no registration is needed. Rejected: the
scan's own axes (tilt would tell the site), a template space (changes the anatomy). Revisit when
heads tilted by more than about 20 degrees occur: their outline is placed, not straightened.
"""

from math import ceil
from typing import Final

import numpy as np

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.geometry import Grid, straight_grid, world_box, world_points
from bids_harmonize.imaging.resampling import resample, resample_mask
from bids_harmonize.imaging.types import Affine, Mask

__all__ = [
    "Grid",
    "centred_grid",
    "place_grid",
    "resample",
    "resample_mask",
    "study_shape",
    "vertex_height_mm",
]

EXTENT_MM: Final = (192.0, 224.0, 192.0)
HEAD_HEIGHT_MM: Final = 170.0  # the part of the head that centres the grid, from the vertex down
TOP_MARGIN_MM: Final = 10.0
VERTEX_AREA_MM2: Final = 400.0  # a slice with less head than this is not yet the vertex


def study_shape(resolution_mm: float) -> tuple[int, int, int]:
    """Shape of the study grid: 192 x 224 x 192 mm, rounded up to a multiple of 8 voxels.

    Parameters
    ----------
    resolution_mm
        Isotropic voxel size, mm, positive.

    Returns
    -------
    tuple of int
        Voxels along I, J, K.

    Examples
    --------
    >>> study_shape(3.0), study_shape(1.0)
    ((64, 80, 64), (192, 224, 192))
    """
    i, j, k = (8 * ceil(ceil(extent / resolution_mm - 1e-6) / 8) for extent in EXTENT_MM)
    return i, j, k


def centred_grid(grid: Grid, *, resolution_mm: float, shape: tuple[int, int, int]) -> Grid:
    """Grid of another voxel size and shape around the same centre, with the same axes.

    Parameters
    ----------
    grid
        Where the centre and the directions come from.
    resolution_mm
        Isotropic voxel size of the result, mm.
    shape
        Shape of the result.

    Returns
    -------
    Grid
        Its middle lies at the same world point.
    """
    affine = np.eye(4)
    affine[:3, :3] = grid.affine[:3, :3] / np.array(grid.voxel_size_mm) * resolution_mm
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape=shape, affine=affine)


def vertex_height_mm(head_mask: Mask, affine: Affine) -> float:
    """World height of the vertex: the top of the highest slice with over 4 cm2 of head.

    Parameters
    ----------
    head_mask
        Boolean array of shape (I, J, K).
    affine
        4x4 voxel-to-world matrix, mm, RAS+.

    Returns
    -------
    float
        World z, mm; slices are world slices of 2 mm, or of the voxel's height where coarser.

    Raises
    ------
    ScanError
        If no slice holds that much head.
    """
    low, high = world_box(head_mask.shape, affine)
    thickness = max(2.0, float(np.abs(affine[2, :3]).max()))
    n_slices = int(np.ceil((high[2] - low[2]) / thickness)) + 1
    counts = np.zeros(n_slices, dtype=np.int64)
    for (heights,) in world_points(head_mask, affine, axes=(2,)):
        places = np.floor((heights - low[2]) / thickness).astype(int)
        counts += np.bincount(np.maximum(places, 0), minlength=n_slices)
    voxel_mm3 = abs(float(np.linalg.det(affine[:3, :3])))
    areas_mm2 = counts * voxel_mm3 / thickness
    full = np.flatnonzero(areas_mm2 > VERTEX_AREA_MM2)
    if full.size == 0:
        message = (
            f"no head found: the mask holds {counts.sum() * voxel_mm3 / 1e6:.3f} L and no slice"
            " with over 4 cm2; expected a T1w image of a human head"
        )
        raise ScanError(message)
    return float(min(low[2] + (full[-1] + 1) * thickness, high[2]))


def place_grid(
    head_mask: Mask,
    affine: Affine,
    *,
    resolution_mm: float,
    shape: tuple[int, int, int] | None = None,
) -> Grid:
    """Study grid on a head: only neck and chin can fall off.

    Left-right and front-back the grid is centred on the bounding box of the top 170 mm of the
    head; its upper edge lies 10 mm above the vertex.

    Parameters
    ----------
    head_mask
        Boolean array of shape (I, J, K), any orientation.
    affine
        4x4 voxel-to-world matrix of the mask, mm, RAS+.
    resolution_mm
        Isotropic voxel size of the study, mm.
    shape
        Shape of the study grid; by default :func:`study_shape`.

    Returns
    -------
    Grid
        Axes parallel to the world's, RAS+.

    Raises
    ------
    ScanError
        If the mask holds no head.
    """
    shape = shape or study_shape(resolution_mm)
    extent = np.array(shape) * resolution_mm
    vertex = vertex_height_mm(head_mask, affine)
    reach = np.array([[np.inf, -np.inf]] * 2)
    for x, y, z in world_points(head_mask, affine, axes=(0, 1, 2)):
        upper = z > vertex - HEAD_HEIGHT_MM
        if upper.any():
            for row, places in zip(reach, (x[upper], y[upper]), strict=True):
                row[:] = min(row[0], float(places.min())), max(row[1], float(places.max()))
    corner = np.empty(3)
    corner[:2] = (reach.sum(axis=1) - extent[:2]) / 2
    corner[2] = vertex + TOP_MARGIN_MM - extent[2]
    return straight_grid(corner, resolution_mm=resolution_mm, shape=shape)
