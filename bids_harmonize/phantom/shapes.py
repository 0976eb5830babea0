"""Signed distances of simple solids, in mm: negative inside, positive outside."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]
Point = tuple[float, float, float]


def ellipsoid(at: Coordinates, *, centre: Point, radii: Point) -> np.ndarray:
    """Approximate distance to an ellipsoid's surface, mm.

    Parameters
    ----------
    at
        World coordinates I, J, K in mm; they may be open (broadcastable) grids.
    centre, radii
        In mm.

    Returns
    -------
    numpy.ndarray
        Negative inside; exact on the surface, good within a radius of it.
    """
    scaled = [(axis - c) / r for axis, c, r in zip(at, centre, radii, strict=True)]
    steep = [axis / r for axis, r in zip(scaled, radii, strict=True)]
    first = np.sqrt(sum(axis**2 for axis in scaled)) + 1e-6
    second = np.sqrt(sum(axis**2 for axis in steep)) + 1e-6
    return (first * (first - 1.0) / second).astype(np.float32)


def tube(at: Coordinates, *, points: Sequence[Point], radius: float) -> np.ndarray:
    """Distance to a tube around a line of straight pieces, mm.

    Parameters
    ----------
    at
        World coordinates in mm, open grids allowed.
    points
        The line's corners in mm, at least two.
    radius
        In mm.

    Returns
    -------
    numpy.ndarray
        Negative inside.
    """
    nearest: np.ndarray | None = None
    for start, stop in pairwise(points):
        along = np.subtract(stop, start)
        offset = [axis - s for axis, s in zip(at, start, strict=True)]
        place = sum(o * a for o, a in zip(offset, along, strict=True)) / float(along @ along)
        place = np.clip(place, 0.0, 1.0)
        squared = sum((o - place * a) ** 2 for o, a in zip(offset, along, strict=True))
        nearest = squared if nearest is None else np.minimum(nearest, squared)
    if nearest is None:
        message = f"a tube needs at least two points, found {len(points)}"
        raise ValueError(message)
    return (np.sqrt(nearest) - radius).astype(np.float32)


def smooth_union(first: np.ndarray, second: np.ndarray, *, width_mm: float) -> np.ndarray:
    """Union of two solids whose seam is rounded over about ``width_mm``.

    Parameters
    ----------
    first, second
        Signed distances in mm.
    width_mm
        Rounding, > 0.

    Returns
    -------
    numpy.ndarray
        Signed distance in mm, never above the smaller of the two.
    """
    blend = np.maximum(width_mm - np.abs(first - second), 0.0) / width_mm
    return (np.minimum(first, second) - blend**2 * width_mm / 4).astype(np.float32)


def soft_inside(distance: np.ndarray, *, width_mm: float) -> np.ndarray:
    """Share of a voxel inside a solid, from the signed distance of its centre.

    Parameters
    ----------
    distance
        Signed distance in mm, negative inside.
    width_mm
        Width of the linear ramp, about the voxel size.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1].
    """
    return np.clip(0.5 - distance / width_mm, 0.0, 1.0).astype(np.float32)
