"""What the generators are trained on: local histograms, smooth grids, and least-squares GAN terms.

Choice: the histogram of each 48 mm cell, of intensities and of gradients, is drawn to its mean
over the target site's scans. Reason: no pairs are needed, a coil's field is seen (a global
histogram hides it: 5 dB less), and the gradients hold the resolution. Rejected: finer cells
(nothing gained), histogram distance as a figure of merit. Revisit when sites differ in anatomy.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from bids_harmonize.networks.separable import AxisMatrices, Window, n_cells, overlap_matrices

CELL_MM: Final = 48.0
INTENSITY_BINS: Final = 24
GRADIENT_BINS: Final = 16
HIGHEST_INTENSITY: Final = 1.5  # units of the 99th percentile
HIGHEST_GRADIENT: Final = 0.75  # the same, per voxel
_GRADIENT_FLOOR: Final = 1e-6  # keeps the slope of the square root finite in flat regions


class LocalHistograms:
    """Soft histograms of intensity and gradient magnitude in cells of 48 mm.

    Parameters
    ----------
    shape
        Shape (I, J, K) of the volumes.
    voxel_size_mm
        Voxel size, mm.
    device
        Where the volumes live.
    """

    def __init__(
        self, shape: Sequence[int], *, voxel_size_mm: float, device: torch.device
    ) -> None:
        i, j, k = shape
        self.shape = (i, j, k)
        self.cells = tuple(n_cells(n, voxel_size_mm=voxel_size_mm, cell_mm=CELL_MM) for n in shape)
        matrices = overlap_matrices(
            shape, voxel_size_mm=voxel_size_mm, cells=self.cells, cell_mm=CELL_MM
        )
        # A voxel belongs to the cell that holds most of it: histograms are then plain counts.
        first, second, third = (matrix.argmax(dim=0).to(device) for matrix in matrices)
        self.nearest = (first, second, third)  # cell of each voxel, along each axis
        self._cell = self._numbers(self.nearest)

    def measure(self, volume: Tensor, mask: Tensor, *, window: Window | None = None) -> Tensor:
        """Mass of each bin in each cell.

        Parameters
        ----------
        volume
            Shape (1, 1, I, J, K), units of the 99th percentile.
        mask
            Head mask, 0 or 1, same shape; only its voxels count.
        window
            Which box of the whole they are, for a part of it.

        Returns
        -------
        Tensor
            Shape (cells, 40): 24 intensity bins, then 16 gradient bins, in voxels;
            differentiable in ``volume``.
        """
        inside = mask[0, 0] > 0
        cell = (self._cell if window is None else self._in(window))[inside]  # (voxels,)
        total = self.cells[0] * self.cells[1] * self.cells[2]
        intensity = soft_histogram(
            volume[0, 0][inside], cell, total, INTENSITY_BINS, HIGHEST_INTENSITY
        )
        gradient = soft_histogram(
            gradient_magnitude(volume[0, 0])[inside], cell, total, GRADIENT_BINS, HIGHEST_GRADIENT
        )
        return torch.cat([intensity, gradient], dim=1)

    def _in(self, window: Window) -> Tensor:
        axes = zip(self.nearest, window.places(), strict=True)
        i, j, k = (nearest[places.to(nearest.device)] for nearest, places in axes)
        return self._numbers((i, j, k))

    def _numbers(self, nearest: AxisMatrices) -> Tensor:
        """Number of each voxel's cell, shape (I, J, K), from the cells along each axis."""
        i, j, k = nearest
        _, n_j, n_k = self.cells
        return (i[:, None, None] * n_j + j[None, :, None]) * n_k + k[None, None, :]


def local_histogram_distance(
    found: Tensor, target: Tensor, *, weights: Tensor | None = None
) -> Tensor:
    """Mean distance of cumulated local histograms, for intensities plus for gradients.

    Parameters
    ----------
    found, target
        Shape (cells, 40), masses as :meth:`LocalHistograms.measure` gives them; means over scans
        are welcome.
    weights
        Shape (cells,), how much each cell counts; by default :func:`cell_weights` of the target.

    Returns
    -------
    Tensor
        Scalar, units of the 99th percentile; 0 for equal histograms, lower is better.
    """
    weight = cell_weights(target) if weights is None else weights
    parts = ((0, INTENSITY_BINS, HIGHEST_INTENSITY), (INTENSITY_BINS, None, HIGHEST_GRADIENT))
    distance = found.new_zeros(())
    for start, stop, highest in parts:
        first, second = cumulated(found[:, start:stop]), cumulated(target[:, start:stop])
        width = highest / (first.shape[1] - 1)
        distance = distance + (weight[:, None] * (first - second).abs()).sum() * width
    return distance


def cell_weights(target: Tensor) -> Tensor:
    """Share of a target's voxels in each of its cells, shape (cells,); sums to 1."""
    weight = target[:, :INTENSITY_BINS].sum(dim=1)
    return weight / weight.sum().clamp(min=1e-6)


def gradient_magnitude(volume: Tensor) -> Tensor:
    """Length of the forward differences, per voxel.

    Parameters
    ----------
    volume
        Shape (I, J, K).

    Returns
    -------
    Tensor
        Same shape; the last plane of an axis takes no difference along it.
    """
    squares = torch.full_like(volume, _GRADIENT_FLOOR)
    for axis in range(3):
        n = volume.shape[axis]
        step = volume.narrow(axis, 1, n - 1) - volume.narrow(axis, 0, n - 1)
        padding = [0, 0] * (2 - axis) + [0, 1]
        squares = squares + torch.nn.functional.pad(step * step, padding)
    return squares.sqrt()


def grid_roughness(grid: Tensor) -> Tensor:
    """Mean squared difference of neighbouring grid cells and bins; 0 for a constant grid.

    Parameters
    ----------
    grid
        Shape (B, bins, i, j, k).

    Returns
    -------
    Tensor
        Scalar; lower is smoother.
    """
    roughness = grid.new_zeros(())
    for axis in (1, 2, 3, 4):
        n = grid.shape[axis]
        if n > 1:
            step = grid.narrow(axis, 1, n - 1) - grid.narrow(axis, 0, n - 1)
            roughness = roughness + (step * step).mean()
    return roughness


def mean_difference(first: Tensor, second: Tensor) -> Tensor:
    """Mean absolute difference over the whole volume, the air around the head included.

    Parameters
    ----------
    first, second
        Equal shapes, 0 outside the head.

    Returns
    -------
    Tensor
        Scalar, units of the 99th percentile; lower is better. The mean in the head would be about
        2.3 times as much, and holds a cycle at the identity for two thirds of its training.
    """
    return (first - second).abs().mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Least-squares loss of patch scores: real patches to 1, made ones to 0.

    Parameters
    ----------
    real, fake
        Patch scores of any shape.

    Returns
    -------
    Tensor
        Scalar; .25 for a discriminator that cannot tell.

    References
    ----------
    Mao et al. 2017, doi:10.1109/ICCV.2017.304.
    """
    return 0.5 * (((real - 1) ** 2).mean() + (fake**2).mean())


def generator_loss(fake: Tensor) -> Tensor:
    """Least-squares loss of patch scores for a generator: made patches to 1."""
    return ((fake - 1) ** 2).mean()


def soft_histogram(
    values: Tensor, cell: Tensor, total_cells: int, n_bins: int, highest: float
) -> Tensor:
    """Histogram with linear sharing between neighbouring bins, one for each cell.

    Parameters
    ----------
    values
        Shape (voxels,).
    cell
        Index of each voxel's cell, same shape.
    total_cells, n_bins
        Size of the result.
    highest
        Value of the last bin; the first stands at 0. Values beyond are counted in the last.

    Returns
    -------
    Tensor
        Shape (total_cells, n_bins); differentiable in ``values``.
    """
    histogram: Tensor = _SoftHistogram.apply(values, cell, total_cells, n_bins, highest)
    return histogram


class _SoftHistogram(torch.autograd.Function):
    """Adds each voxel to its two bins; the gradient is the difference of these bins' gradients."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, cell: Tensor, total_cells: int, n_bins: int, highest: float
    ) -> Tensor:
        scale = (n_bins - 1) / highest
        place = values.clamp(0, highest) * scale
        lower = place.floor().clamp_(max=n_bins - 2)
        share = place - lower
        index = cell * n_bins + lower.long()
        histogram = values.new_zeros(total_cells * n_bins)
        histogram.index_add_(0, index, 1 - share)
        histogram.index_add_(0, index + 1, share)
        inside = (values > 0) & (values < highest)
        ctx.save_for_backward(index, inside)
        ctx.scale = scale
        return histogram.view(total_cells, n_bins)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        index, inside = ctx.saved_tensors
        flat = gradients[0].reshape(-1)
        slope = torch.zeros_like(flat)
        slope[:-1] = flat[1:] - flat[:-1]
        return slope[index] * inside * ctx.scale, None, None, None, None


def cumulated(histogram: Tensor) -> Tensor:
    """Cumulated histograms along the last axis, ending at 1 where there are voxels; same shape."""
    mass = histogram.sum(dim=-1, keepdim=True).clamp(min=1e-6)
    return (histogram / mass).cumsum(dim=-1)
