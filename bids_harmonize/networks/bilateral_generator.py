"""The generator: a coarse grid of intensity changes, sliced at full resolution.

Choice: the network may say *how bright* each intensity becomes *here*, and nothing else. A coarse
3D grid holds an additive change for each of a few intensity bins; every voxel looks its change up
by its place and its own intensity. Reason: it cannot draw anatomy, so lesions and volumes stay;
it is small, and a grid predicted from a coarse copy serves any finer resolution. Rejected: a
residual CNN (doubled lesion contrast, 50 times the memory), coordinate channels and a finer grid
(worse in the direction that sharpens). Revisit when sites differ by more than brightness and blur.
"""

from math import floor, log2
from typing import Any, Final

import torch
from torch import Tensor, nn

from bids_harmonize.networks.generators import GeneratorPlan
from bids_harmonize.networks.separable import (
    AxisMatrices,
    Window,
    apply_matrices,
    gaussian_matrices,
    interpolation_matrices,
    mean_matrices,
    n_cells,
    on_device,
    rows_of,
    transposed,
)

N_BINS: Final = 8
CELL_MM: Final = 48.0
HIGHEST: Final = 1.5  # the bins span 0 to this, in units of the 99th percentile
POOLED_MM: Final = 6.0  # voxel size after the first pooling
BLURS_VOXELS: Final = (0.6, 1.2)
REACH_VOXELS: Final = 5  # how far sharpening looks: four standard deviations of the wider blur
_SAME_MM: Final = 1e-3
_NARROW, _WIDE = 16, 32


class BilateralGenerator(nn.Module):
    """Maps a rescaled volume to the same volume with another site's brightness.

    Parameters
    ----------
    voxel_size_mm
        Voxel size of the volumes that the grid is predicted from, mm.
    sharpened_mm
        Also learn two sharpening weights for differences of resolution. They are in voxels, so
        they hold for volumes of this voxel size (mm) and do nothing to others; ``None`` for none.

    References
    ----------
    Gharbi et al. 2017, doi:10.1145/3072959.3073592 (slicing a predicted bilateral grid).
    """

    def __init__(self, *, voxel_size_mm: float, sharpened_mm: float | None) -> None:
        super().__init__()
        self.voxel_size_mm = voxel_size_mm
        self.sharpened_mm = sharpened_mm
        pool = max(1, round(POOLED_MM / voxel_size_mm))
        n_strided = min(3, max(1, floor(log2(CELL_MM / (pool * voxel_size_mm)) + 1e-6)))
        self.feature_mm = voxel_size_mm * pool * 2**n_strided
        strides = [2] * n_strided + [1] * (3 - n_strided)
        self.pool = nn.AvgPool3d(pool, ceil_mode=True)
        self.encode = nn.Sequential(
            _block(2, _NARROW, stride=strides[0]),
            _block(_NARROW, _WIDE, stride=strides[1]),
            _block(_WIDE, _WIDE, stride=strides[2]),
        )
        self.refine = _block(_WIDE, _WIDE, stride=1)
        self.overall = nn.Linear(_WIDE, _WIDE)
        self.head = nn.Conv3d(_WIDE, N_BINS, kernel_size=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # the layer has a bias
        if sharpened_mm is not None:
            self.sharpening = nn.Parameter(torch.zeros(len(BLURS_VOXELS)))

    def predict_grid(self, volume: Tensor, mask: Tensor) -> Tensor:
        """The coarse grid of intensity changes.

        Parameters
        ----------
        volume
            Shape (B, 1, I, J, K), units of the 99th percentile, at ``voxel_size_mm``.
        mask
            Head mask, 0 or 1, same shape.

        Returns
        -------
        Tensor
            Shape (B, bins, i, j, k), cells of 48 mm around the volume's centre.
        """
        cells = tuple(
            n_cells(n, voxel_size_mm=self.voxel_size_mm, cell_mm=CELL_MM) for n in volume.shape[2:]
        )
        features = self.encode(self.pool(torch.cat([volume, mask], dim=1)))  # (B, 32, i', j', k')
        to_cells = mean_matrices(
            features.shape[2:], voxel_size_mm=self.feature_mm, cells=cells, cell_mm=CELL_MM
        )
        features = apply_matrices(features, on_device(to_cells, volume.device))  # (B, 32, i, j, k)
        features = self.refine(features)
        overall = self.overall(features.mean(dim=(2, 3, 4)))  # (B, 32)
        grid: Tensor = self.head(features + overall[:, :, None, None, None])  # (B, bins, i, j, k)
        return grid

    def apply_grid(
        self,
        volume: Tensor,
        mask: Tensor,
        grid: Tensor,
        *,
        voxel_size_mm: float,
        window: Window | None = None,
    ) -> Tensor:
        """The volume after its grid's changes, zero outside the mask.

        Parameters
        ----------
        volume
            Shape (B, 1, I, J, K), units of the 99th percentile, any resolution.
        mask
            Head mask, 0 or 1, same shape.
        grid
            What :meth:`predict_grid` returned.
        voxel_size_mm
            Voxel size of ``volume``, mm.
        window
            Which box of the whole ``volume`` is, for a part of it. Sharpening is then right but
            for the outermost ``REACH_VOXELS`` of the box.

        Returns
        -------
        Tensor
            Same shape, at least 0.
        """
        matrices = interpolation_matrices(
            volume.shape[2:] if window is None else window.whole,
            voxel_size_mm=voxel_size_mm,
            cells=grid.shape[2:],
            cell_mm=CELL_MM,
        )
        if window is not None:
            matrices = rows_of(matrices, window.places())
        matrices = on_device(matrices, volume.device)
        result = volume + slice_grid(grid, volume[:, 0], matrices)[:, None]
        if self.sharpened_mm is not None and abs(self.sharpened_mm - voxel_size_mm) < _SAME_MM:
            result = result + self._sharpening_change(volume, mask)
        return torch.relu(result) * mask

    def forward(self, volume: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Changed volume and grid of a volume at ``voxel_size_mm``; shapes as above."""
        grid = self.predict_grid(volume, mask)
        return self.apply_grid(volume, mask, grid, voxel_size_mm=self.voxel_size_mm), grid

    def _sharpening_change(self, volume: Tensor, mask: Tensor) -> Tensor:
        change = torch.zeros_like(volume)
        for weight, sigma in zip(self.sharpening, BLURS_VOXELS, strict=True):
            matrices = on_device(
                gaussian_matrices(volume.shape[2:], sigma_voxels=sigma), volume.device
            )
            weights = apply_matrices(mask, matrices).clamp(min=1e-3)
            smooth = apply_matrices(volume, matrices) / weights
            change = change + weight * (volume - smooth)
        return change


def make(plan: GeneratorPlan) -> BilateralGenerator:
    """The generator of a plan."""
    return BilateralGenerator(voxel_size_mm=plan.voxel_size_mm, sharpened_mm=plan.sharpened_mm)


def slice_grid(grid: Tensor, volume: Tensor, matrices: AxisMatrices) -> Tensor:
    """Change that a bilateral grid holds for every voxel, by its place and intensity.

    Parameters
    ----------
    grid
        Shape (B, bins, i, j, k); bin 0 stands at intensity 0, the last at 1.5.
    volume
        Shape (B, I, J, K); intensities beyond the bins look up the outermost one.
    matrices
        Interpolation from cells to voxels, shapes (I, i), (J, j), (K, k).

    Returns
    -------
    Tensor
        Shape (B, I, J, K), differentiable in ``grid`` and ``volume``.
    """
    change: Tensor = _SliceGrid.apply(grid, volume, *matrices)
    return change


class _SliceGrid(torch.autograd.Function):
    """Loops over the bins and keeps nothing per bin: memory and time stay near one volume's."""

    @staticmethod
    def forward(ctx: Any, grid: Tensor, volume: Tensor, *matrices: Tensor) -> Tensor:
        up = (matrices[0], matrices[1], matrices[2])
        ctx.save_for_backward(grid, volume, *matrices)
        n_bins = grid.shape[1]
        place = _bin_place(volume, n_bins)
        change = torch.zeros_like(volume)
        for index in range(n_bins):
            weight = (place - index).abs_().neg_().add_(1).clamp_(min=0)
            change.addcmul_(weight, apply_matrices(grid[:, index], up))
        return change

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        grid, volume, *matrices = ctx.saved_tensors
        up = (matrices[0], matrices[1], matrices[2])
        down = transposed(up)
        n_bins = grid.shape[1]
        place = _bin_place(volume, n_bins)
        to_grid = torch.empty_like(grid)
        slope = torch.zeros_like(volume) if ctx.needs_input_grad[1] else None
        for index in range(n_bins):
            offset = place - index
            weight = offset.abs().neg_().add_(1).clamp_(min=0)
            if slope is not None:
                rising = offset.sign_().mul_(weight > 0)
                slope.addcmul_(rising, apply_matrices(grid[:, index], up), value=-1)
            to_grid[:, index] = apply_matrices(weight.mul_(gradient), down)
        if slope is not None:
            inside = (volume > 0) & (volume < HIGHEST)
            slope = slope * gradient * inside * ((n_bins - 1) / HIGHEST)
        return to_grid, slope, None, None, None


def _bin_place(volume: Tensor, n_bins: int) -> Tensor:
    return volume.clamp(0, HIGHEST).mul_((n_bins - 1) / HIGHEST)


def _block(n_in: int, n_out: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(n_in, n_out, kernel_size=3, stride=stride, padding=1),
        nn.InstanceNorm3d(n_out, affine=True),
        nn.LeakyReLU(0.2),
    )
