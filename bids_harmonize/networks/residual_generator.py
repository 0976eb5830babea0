"""The generator of the classical CycleGAN in 3D: it draws the change of every voxel.

Choice: Johnson's residual network as CycleGAN took it over, in 3D. It is here for users who want
exactly that. It changes each voxel as it likes, so it *can* draw and erase structure, lesions
among it; the bilateral generator cannot. Two things differ from the paper: the network gives what
is added to the input, zero at the start, instead of the image; and no tanh bounds it, for
intensities have no upper end. The first and last convolutions are 3x3x3, not 7: in 3D
that halves the time of the whole (1.25 s of CPU for 2.5 s, a step on 48x56x48 voxels) for .3 % of
the weights, and through the blocks every voxel sees 60 voxels to each side anyway. Rejected:
resize and convolution instead of transposed convolutions (no deterministic gradient on CUDA),
sliding windows (instance norm would see each window's own mean, so an image would depend on how
it was cut). Revisit when memory, not time, decides where it can be used.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bids_harmonize.networks.generators import GeneratorPlan
from bids_harmonize.networks.separable import (
    apply_matrices,
    interpolation_matrices,
    on_device,
)

_STRIDE: Final = 4  # of the residual blocks, after two convolutions of stride 2
_SAME_MM: Final = 1e-3


class ResidualGenerator(nn.Module):
    """Maps a rescaled volume to the same volume with another site's look.

    All convolutions are 3x3x3: one, two of stride 2, two in each residual block, two transposed
    ones of stride 2, one; instance normalisation without weights and ReLU in between, reflection
    padding where the stride is 1. With 32 maps and seven blocks it has 6,747,841 weights; the
    paper has six blocks for 128 pixels a side and nine for 256.

    Parameters
    ----------
    voxel_size_mm
        Voxel size of the volumes that the change is predicted from, mm.
    width
        Feature maps of the first convolution, at least 1; twice and four times as many below.
    n_blocks
        Residual blocks, at least 1.

    References
    ----------
    Johnson et al. 2016, doi:10.1007/978-3-319-46475-6_43 (the network); Zhu et al. 2017,
    doi:10.1109/ICCV.2017.244 (in a cycle).
    """

    def __init__(self, *, voxel_size_mm: float, width: int = 32, n_blocks: int = 7) -> None:
        super().__init__()
        self.voxel_size_mm = voxel_size_mm
        layers = [*_convolution(1, width), *_normalised(width)]
        for n_in, n_out in ((width, 2 * width), (2 * width, 4 * width)):
            down = nn.Conv3d(n_in, n_out, 3, stride=2, padding=1, bias=False)
            layers += [down, *_normalised(n_out)]
        layers += [_ResidualBlock(4 * width) for _ in range(n_blocks)]
        for n_in, n_out in ((4 * width, 2 * width), (2 * width, width)):
            up = nn.ConvTranspose3d(
                n_in, n_out, 3, stride=2, padding=1, output_padding=1, bias=False
            )
            layers += [up, *_normalised(n_out)]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Conv3d(width, 1, 3, padding=1, padding_mode="reflect")
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # the layer has a bias

    def predict_grid(self, volume: Tensor, mask: Tensor) -> Tensor:
        """The change of every voxel; the grid is the volume's own.

        Parameters
        ----------
        volume
            Shape (B, 1, I, J, K), units of the 99th percentile, at ``voxel_size_mm``; at least 8
            voxels a side.
        mask
            Head mask; the network looks at the image alone, so it is not used.

        Returns
        -------
        Tensor
            Shape (B, 1, I, J, K), what is to be added.
        """
        del mask
        i, j, k = volume.shape[2:]
        padding = [n for size in (k, j, i) for n in (0, -size % _STRIDE)]
        padded = F.pad(volume, padding)  # (B, 1, I', J', K'), multiples of 4
        change: Tensor = self.head(self.trunk(padded))
        return change[:, :, :i, :j, :k]

    def apply_grid(
        self, volume: Tensor, mask: Tensor, grid: Tensor, *, voxel_size_mm: float
    ) -> Tensor:
        """The volume with the change added, zero outside the mask.

        Parameters
        ----------
        volume
            Shape (B, 1, I, J, K), units of the 99th percentile, any resolution.
        mask
            Head mask, 0 or 1, same shape.
        grid
            What :meth:`predict_grid` returned. Where the volume is finer, the change is
            interpolated linearly between its voxels, around the common centre: what it holds is
            then as coarse as ``self.voxel_size_mm``, and the volume's own detail stays.
        voxel_size_mm
            Voxel size of ``volume``, mm.

        Returns
        -------
        Tensor
            Same shape, at least 0.
        """
        if grid.shape[2:] != volume.shape[2:] or self._differs(voxel_size_mm):
            matrices = interpolation_matrices(
                volume.shape[2:],
                voxel_size_mm=voxel_size_mm,
                cells=grid.shape[2:],
                cell_mm=self.voxel_size_mm,
            )
            grid = apply_matrices(grid, on_device(matrices, volume.device))
        return torch.relu(volume + grid) * mask

    def forward(self, volume: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Changed volume and change of a volume at ``voxel_size_mm``; shapes as above."""
        grid = self.predict_grid(volume, mask)
        return self.apply_grid(volume, mask, grid, voxel_size_mm=self.voxel_size_mm), grid

    def _differs(self, voxel_size_mm: float) -> bool:
        return abs(voxel_size_mm - self.voxel_size_mm) > _SAME_MM


class _ResidualBlock(nn.Module):
    def __init__(self, n_maps: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(n_maps, n_maps), *_normalised(n_maps),
            *_convolution(n_maps, n_maps), nn.InstanceNorm3d(n_maps),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """Features with what the block adds, same shape."""
        added: Tensor = self.layers(features)
        return features + added


def _convolution(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Conv3d(n_in, n_out, 3, padding=1, padding_mode="reflect", bias=False)]


def _normalised(n_maps: int) -> list[nn.Module]:
    # No bias before it, for its mean takes any bias out again.
    return [nn.InstanceNorm3d(n_maps), nn.ReLU(inplace=True)]


def make(plan: GeneratorPlan) -> ResidualGenerator:
    """The generator of a plan; it needs no sharpening weights, for it can sharpen anyway."""
    return ResidualGenerator(
        voxel_size_mm=plan.voxel_size_mm, width=plan.width, n_blocks=plan.n_blocks
    )
