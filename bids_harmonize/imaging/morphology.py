"""Shapes of masks in mm, by exact distance maps; isotropic grids."""

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.types import Mask


def largest_component(mask: Mask) -> Mask:
    """The largest part of a mask whose voxels touch by a face; an empty mask stays empty.

    Examples
    --------
    >>> largest_component(np.array([[[1, 1, 0, 1]]], dtype=bool)).astype(int).tolist()
    [[[1, 1, 0, 0]]]
    """
    labels, n_parts = ndimage.label(mask)
    if n_parts <= 1:
        return mask.copy()
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def box_around(mask: Mask, *, margin_voxels: int = 0) -> tuple[slice, slice, slice]:
    """Slices of the smallest box that holds a mask and a margin, cut at the array's edge.

    The mask must hold at least one voxel.
    """
    places = np.argwhere(mask)
    low = np.maximum(places.min(axis=0) - margin_voxels, 0)
    high = np.minimum(places.max(axis=0) + 1 + margin_voxels, mask.shape)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def dilate_mm(mask: Mask, resolution_mm: float, *, radius_mm: float) -> Mask:
    """Mask grown by a ball: voxels at most ``radius_mm`` from it."""
    if not mask.any():
        return mask.copy()
    return ndimage.distance_transform_edt(~mask, sampling=resolution_mm) <= radius_mm


def erode_mm(mask: Mask, resolution_mm: float, *, radius_mm: float) -> Mask:
    """Mask shrunk by a ball; the world outside the array counts as mask."""
    return ~dilate_mm(~mask, resolution_mm, radius_mm=radius_mm)


def close_mm(mask: Mask, resolution_mm: float, *, radius_mm: float) -> Mask:
    """Mask with its gaps and dents narrower than twice the radius filled.

    The array is padded first, so that nothing sticks to its edge.
    """
    pad = int(np.ceil(radius_mm / resolution_mm)) + 1
    grown = dilate_mm(np.pad(mask, pad), resolution_mm, radius_mm=radius_mm)
    closed = erode_mm(grown, resolution_mm, radius_mm=radius_mm)
    inner = slice(pad, -pad)
    return closed[inner, inner, inner] | mask


def open_mm(mask: Mask, resolution_mm: float, *, radius_mm: float) -> Mask:
    """Mask without its parts narrower than twice the radius."""
    shrunk = erode_mm(mask, resolution_mm, radius_mm=radius_mm)
    return dilate_mm(shrunk, resolution_mm, radius_mm=radius_mm) & mask
