"""Linear maps of a volume that factor over its three axes, as small matrices.

Choice: interpolation, pooling into cells and Gaussian smoothing are all three small matrix
products, with coordinates in mm from the common centre. Reason: one tool for any voxel size, the
transposed matrices are the exact gradient, and the result is deterministic on every device.
Rejected: ``interpolate`` and ``adaptive_avg_pool3d`` (slower here, no deterministic gradient on
CUDA, coordinates in voxels). Revisit when volumes of over 256 voxels a side are common.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import torch
from torch import Tensor

AxisMatrices: TypeAlias = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Window:
    """A box of a volume, for maps that depend on where in the volume a voxel lies.

    Attributes
    ----------
    whole
        Shape (I, J, K) of the volume.
    start
        First voxel along I, J, K; below 0 where the box begins outside of the volume.
    shape
        Voxels of the box along I, J, K.
    """

    whole: tuple[int, int, int]
    start: tuple[int, int, int]
    shape: tuple[int, int, int]

    def places(self) -> tuple[Tensor, Tensor, Tensor]:
        """Along each axis the voxel of the volume that each voxel of the box is.

        Outside of the volume it is the nearest one.
        """
        i, j, k = (
            torch.arange(start, start + n).clamp(0, whole - 1)
            for whole, start, n in zip(self.whole, self.start, self.shape, strict=True)
        )
        return i, j, k

    def cut(self, volume: Tensor) -> Tensor:
        """The box of a volume, 0 outside of it.

        Parameters
        ----------
        volume
            Shape (..., I, J, K).

        Returns
        -------
        Tensor
            Shape (..., *shape), a copy.
        """
        box = volume.new_zeros(*volume.shape[:-3], *self.shape)
        found, into = [], []
        for whole, start, n in zip(self.whole, self.start, self.shape, strict=True):
            first, last = max(start, 0), min(start + n, whole)
            found.append(slice(first, max(first, last)))
            into.append(slice(first - start, max(first, last) - start))
        box[..., into[0], into[1], into[2]] = volume[..., found[0], found[1], found[2]]
        return box


def apply_matrices(volume: Tensor, matrices: AxisMatrices) -> Tensor:
    """Volume after one matrix product along each of its last three axes.

    Parameters
    ----------
    volume
        Tensor of shape (..., I, J, K).
    matrices
        Three matrices of shapes (I', I), (J', J), (K', K).

    Returns
    -------
    Tensor
        Shape (..., I', J', K').
    """
    along_i, along_j, along_k = matrices
    if along_i.shape[0] > along_i.shape[1]:  # grows: the large axis comes last
        volume = torch.matmul(along_j, torch.matmul(volume, along_k.T))
        return _along_first(volume, along_i)
    volume = _along_first(volume, along_i)
    return torch.matmul(torch.matmul(along_j, volume), along_k.T)


def transposed(matrices: AxisMatrices) -> AxisMatrices:
    """Matrices of the adjoint map: what carries gradients back."""
    along_i, along_j, along_k = matrices
    return along_i.T, along_j.T, along_k.T


def n_cells(n_voxels: int, *, voxel_size_mm: float, cell_mm: float) -> int:
    """Number of cells that cover an axis.

    Parameters
    ----------
    n_voxels
        Voxels along the axis.
    voxel_size_mm, cell_mm
        Edges, mm.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> n_cells(64, voxel_size_mm=3.0, cell_mm=48.0), n_cells(56, voxel_size_mm=4.0, cell_mm=48.0)
    (4, 5)
    """
    return max(1, ceil(n_voxels * voxel_size_mm / cell_mm - 1e-6))


def interpolation_matrices(
    shape: Sequence[int], *, voxel_size_mm: float, cells: Sequence[int], cell_mm: float
) -> AxisMatrices:
    """Matrices that interpolate linearly from cell centres to voxels.

    Parameters
    ----------
    shape
        Voxels along I, J, K.
    voxel_size_mm
        Voxel edge, mm.
    cells
        Cells along I, J, K; volume and cells share their centre.
    cell_mm
        Cell edge, mm.

    Returns
    -------
    tuple of Tensor
        Shapes (voxels, cells), rows sum to 1; beyond the outermost centres the value is held.
    """
    first, second, third = (
        _interpolation(_centres(n, voxel_size_mm), n_cell, cell_mm)
        for n, n_cell in zip(shape, cells, strict=True)
    )
    return first, second, third


def overlap_matrices(
    shape: Sequence[int], *, voxel_size_mm: float, cells: Sequence[int], cell_mm: float
) -> AxisMatrices:
    """Matrices that hold which share of each voxel lies in each cell.

    Parameters
    ----------
    shape
        Voxels along I, J, K.
    voxel_size_mm
        Voxel edge, mm.
    cells
        Cells along I, J, K; volume and cells share their centre.
    cell_mm
        Cell edge, mm.

    Returns
    -------
    tuple of Tensor
        Shapes (cells, voxels), 0 to 1.
    """
    first, second, third = (
        _overlap(_centres(n, voxel_size_mm), voxel_size_mm, _centres(n_cell, cell_mm), cell_mm)
        for n, n_cell in zip(shape, cells, strict=True)
    )
    return first, second, third


def mean_matrices(
    shape: Sequence[int], *, voxel_size_mm: float, cells: Sequence[int], cell_mm: float
) -> AxisMatrices:
    """Matrices that average the voxels of each cell; see :func:`overlap_matrices`.

    Parameters
    ----------
    shape
        Voxels along I, J, K.
    voxel_size_mm
        Voxel edge, mm.
    cells
        Cells along I, J, K; each must touch the volume.
    cell_mm
        Cell edge, mm.

    Returns
    -------
    tuple of Tensor
        Shapes (cells, voxels), rows sum to 1.
    """
    first, second, third = (
        matrix / matrix.sum(dim=1, keepdim=True)
        for matrix in overlap_matrices(
            shape, voxel_size_mm=voxel_size_mm, cells=cells, cell_mm=cell_mm
        )
    )
    return first, second, third


def gaussian_matrices(shape: Sequence[int], *, sigma_voxels: float) -> AxisMatrices:
    """Matrices that smooth by a Gaussian, cut at four standard deviations.

    Parameters
    ----------
    shape
        Voxels along I, J, K.
    sigma_voxels
        Standard deviation, voxels, positive.

    Returns
    -------
    tuple of Tensor
        Square, symmetric; the border is treated as zeros.
    """
    first, second, third = (_gaussian(n, sigma_voxels) for n in shape)
    return first, second, third


def on_device(matrices: AxisMatrices, device: torch.device) -> AxisMatrices:
    """The same matrices on another device."""
    first, second, third = (matrix.to(device) for matrix in matrices)
    return first, second, third


def rows_of(matrices: AxisMatrices, places: AxisMatrices) -> AxisMatrices:
    """The rows of each matrix at the given places: the map to a part of its result."""
    first, second, third = (
        matrix[chosen] for matrix, chosen in zip(matrices, places, strict=True)
    )
    return first, second, third


def _along_first(volume: Tensor, matrix: Tensor) -> Tensor:
    *batch, _, n_j, n_k = volume.shape
    flat = volume.reshape(*batch, matrix.shape[1], n_j * n_k)
    return torch.matmul(matrix, flat).reshape(*batch, matrix.shape[0], n_j, n_k)


def _centres(n: int, size_mm: float) -> Tensor:
    return (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * size_mm


def _interpolation(positions_mm: Tensor, n_cell: int, cell_mm: float) -> Tensor:
    place = (positions_mm / cell_mm + (n_cell - 1) / 2).clamp(0, n_cell - 1)
    distance = (place[:, None] - torch.arange(n_cell)[None, :]).abs()
    return (1 - distance).clamp(min=0).float()


def _overlap(voxels: Tensor, voxel_mm: float, cells: Tensor, cell_mm: float) -> Tensor:
    upper = torch.minimum(cells[:, None] + cell_mm / 2, voxels[None, :] + voxel_mm / 2)
    lower = torch.maximum(cells[:, None] - cell_mm / 2, voxels[None, :] - voxel_mm / 2)
    return ((upper - lower).clamp(min=0) / voxel_mm).float()


def _gaussian(n: int, sigma: float) -> Tensor:
    places = torch.arange(n, dtype=torch.float64)
    distance = (places[:, None] - places[None, :]).abs()
    weights = torch.exp(-0.5 * (distance / sigma) ** 2) * (distance <= ceil(4 * sigma))
    total = torch.exp(
        -0.5 * (torch.arange(-ceil(4 * sigma), ceil(4 * sigma) + 1).double() / sigma) ** 2
    ).sum()
    return (weights / total).float()
