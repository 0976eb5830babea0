"""Where volumes lie in the world: grids and world coordinates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bids_harmonize.imaging.types import Affine, Array, Mask, Volume


@dataclass(frozen=True, eq=False)
class Grid:
    """Shape and place of a volume.

    Parameters
    ----------
    shape
        Voxels along I, J, K.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @property
    def voxel_size_mm(self) -> tuple[float, float, float]:
        """Voxel size along I, J, K in mm."""
        return voxel_size_mm(self.affine)

    @property
    def centre_mm(self) -> Array:
        """World coordinates (3,) of the middle of the grid, mm."""
        middle = (np.array(self.shape) - 1) / 2
        return self.affine[:3, :3] @ middle + self.affine[:3, 3]


def voxel_size_mm(affine: Affine) -> tuple[float, float, float]:
    """Voxel size along I, J, K in mm of a 4x4 voxel-to-world matrix."""
    i, j, k = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return float(i), float(j), float(k)


def invert(affine: Affine) -> Affine:
    """Inverse of a 4x4 matrix, float64."""
    return np.asarray(np.linalg.inv(affine), dtype=np.float64)


def straight_grid(corner_mm: Array, *, resolution_mm: float, shape: tuple[int, int, int]) -> Grid:
    """RAS+ grid whose lowest left back *edge* lies at a world point.

    Parameters
    ----------
    corner_mm
        World coordinates (3,) of the outer corner of voxel (0, 0, 0), mm.
    resolution_mm
        Isotropic voxel size, mm.
    shape
        Voxels along I, J, K.

    Returns
    -------
    Grid
        Axes parallel to the world's.
    """
    affine = np.diag([resolution_mm, resolution_mm, resolution_mm, 1.0])
    affine[:3, 3] = np.asarray(corner_mm) + resolution_mm / 2
    return Grid(shape=shape, affine=affine)


def cover_grid(shape: tuple[int, ...], affine: Affine, *, resolution_mm: float) -> Grid:
    """Smallest RAS+ grid of a voxel size that holds a whole volume, oblique or not.

    Parameters
    ----------
    shape, affine
        Shape (I, J, K) and voxel-to-world matrix of the volume.
    resolution_mm
        Isotropic voxel size of the result, mm.

    Returns
    -------
    Grid
        Axes parallel to the world's, centred on the volume.
    """
    low, high = world_box(shape, affine)
    counts = np.maximum(1, np.ceil((high - low) / resolution_mm - 1e-6)).astype(int)
    corner = (low + high - counts * resolution_mm) / 2
    i, j, k = (int(count) for count in counts)
    return straight_grid(corner, resolution_mm=resolution_mm, shape=(i, j, k))


def world_box(shape: tuple[int, ...], affine: Affine) -> tuple[Array, Array]:
    """World corners (3,) and (3,) of the box around a volume, voxel edges included."""
    ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape])).reshape(3, -1)
    world = affine[:3, :3] @ ends + affine[:3, 3:]
    return world.min(axis=1), world.max(axis=1)


def world_coordinate(mask: Mask, affine: Affine, *, axis: int) -> Volume:
    """One world coordinate, mm, of every voxel of a mask (in C order)."""
    slices = [points[0] for points in world_points(mask, affine, axes=(axis,))]
    return np.concatenate(slices) if slices else np.empty(0, np.float32)


def world_points(mask: Mask, affine: Affine, *, axes: Sequence[int]) -> Iterator[list[Volume]]:
    """World coordinates (n,), mm, of the voxels of a mask, slice by slice along I (in C order).

    Slices without a voxel are left out. At 0.7 mm the coordinates of a whole head take 500 MB.
    """
    rows = affine[list(axes)].astype(np.float32)
    i, j, k = (np.arange(n, dtype=np.float32) for n in mask.shape)
    for place, inside in enumerate(mask):
        if inside.any():
            yield [
                ((row[0] * i[place] + row[1] * j)[:, None] + (row[2] * k + row[3]))[inside]
                for row in rows
            ]
