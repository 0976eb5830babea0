"""The canvas on which heads are built, and smooth fields on it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

# A box around head and neck in the template's world, mm (the neck leaves it at the bottom).
_LOW_MM = np.array([-108.0, -142.0, -164.0])
_HIGH_MM = np.array([108.0, 126.0, 114.0])
LATTICE_MM = 6.0


@dataclass(frozen=True)
class Canvas:
    """A box of cubic voxels in the world of the ICBM152 template, RAS+.

    Attributes
    ----------
    voxel_mm
        Edge of a voxel in mm.
    """

    voxel_mm: float

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along I, J, K."""
        count = np.ceil((_HIGH_MM - _LOW_MM) / self.voxel_mm).astype(int)
        return int(count[0]), int(count[1]), int(count[2])

    @cached_property
    def affine(self) -> np.ndarray:
        """Voxel-to-world matrix 4x4, mm, RAS+."""
        affine = np.diag([self.voxel_mm] * 3 + [1.0])
        affine[:3, 3] = _LOW_MM + self.voxel_mm / 2
        return affine

    def coordinates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """World coordinates in mm as open grids of shapes (I,1,1), (1,J,1), (1,1,K)."""
        axes = [
            (self.affine[axis, 3] + self.voxel_mm * np.arange(count)).astype(np.float32)
            for axis, count in enumerate(self.shape)
        ]
        i, j, k = np.ix_(*axes)
        return i, j, k

    def from_lattice(self, field: np.ndarray, lattice: "Canvas") -> np.ndarray:
        """A smooth field of a coarser canvas, interpolated linearly onto this one.

        Parameters
        ----------
        field
            Shape ``(..., i, j, k)`` of ``lattice``.
        lattice
            The coarser canvas; it covers the same box.

        Returns
        -------
        numpy.ndarray
            float32, shape ``(..., I, J, K)``.
        """
        for axis in range(3):
            weights = _linear_weights(self, lattice, axis)
            field = np.tensordot(field, weights, axes=([-3], [1]))  # oldest axis to the end
        return field.astype(np.float32, copy=False)


def _linear_weights(fine: Canvas, coarse: Canvas, axis: int) -> np.ndarray:
    """Matrix (fine, coarse) that interpolates linearly along one axis, edges held."""
    count = coarse.shape[axis]
    place = (np.arange(fine.shape[axis]) + 0.5) * fine.voxel_mm / coarse.voxel_mm - 0.5
    place = np.clip(place, 0.0, count - 1.0)
    nodes = np.arange(count)
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - nodes[None])).astype(np.float32)


def smooth_noise(rng: np.random.Generator, canvas: Canvas, *, sigma_mm: float) -> np.ndarray:
    """Gaussian random field with mean 0 and standard deviation 1.

    Parameters
    ----------
    rng
        Source of the numbers.
    canvas
        Where it is drawn.
    sigma_mm
        Standard deviation of the smoothing kernel, mm.

    Returns
    -------
    numpy.ndarray
        float32, shape of the canvas.
    """
    white = rng.standard_normal(canvas.shape, dtype=np.float32)
    field = ndimage.gaussian_filter(white, sigma_mm / canvas.voxel_mm, mode="wrap", truncate=3.0)
    return (field / field.std()).astype(np.float32)
