"""Training on random boxes of a grid that is finer than the network's.

Choice: what is to change is predicted from a coarse copy of the whole scan, as in every later
use; it is looked up in one random box of the fine scan, and losses are taken there. A box is two
cells of the local histograms along each axis (96 mm), so cells are seen whole or not at all, and
only those that were seen move their running means. Weights undo that cells in the middle are
drawn more often than those at the border, so that each loss is on average that of the whole
volume. Reason: sharpening weights are in voxels and can only be learnt at the voxel size at which
they will be applied; and a step costs a fifth of the voxels. Rejected: whole fine volumes (eight
times the time and memory for the same targets), boxes at any place (cells cut in half). Revisit
when the adversary, which sees each box with equal weight, is more than a small part of the losses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from bids_harmonize.networks.bilateral_generator import REACH_VOXELS, BilateralGenerator
from bids_harmonize.networks.separable import Window
from bids_harmonize.training.augmentation import apply_augmentation
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import LocalHistograms
from bids_harmonize.training.pair_data import PairData
from bids_harmonize.training.pair_steps import draw_to_target
from bids_harmonize.training.runtime import Runtime, seeded_generator
from bids_harmonize.training.sight import Seen, Sight, WholeVolumes
from bids_harmonize.training.sources import VolumeSource
from bids_harmonize.training.targets import Target

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator

BOX_CELLS: Final = 2  # along each axis
# Around a box: what two generators' sharpening, one after the other, and a gradient look at.
MARGIN_VOXELS: Final = 2 * REACH_VOXELS + 1


class SubBoxes:
    """Draws a box for every iteration; see the protocol ``Sight``.

    Parameters
    ----------
    data, fine
        The scans on the network's grid, and the same on the finer one.
    histograms
        Of the finer grid.
    runtime
        Device and precision.
    seed
        The training's seed.
    """

    def __init__(
        self,
        data: PairData,
        fine: VolumeSource,
        histograms: LocalHistograms,
        *,
        runtime: Runtime,
        seed: int,
    ) -> None:
        self.data, self.fine, self.histograms = data, fine, histograms
        self.runtime, self.seed = runtime, seed

    def at(self, iteration: int) -> "SubBox":
        """The box of an iteration."""
        rng = seeded_generator(self.seed, "sub-boxes", f"iteration-{iteration}")
        return SubBox(self, [int(rng.integers(_n_places(n))) for n in self.histograms.cells])


class SubBox:
    """One box of two cells along each axis; see the protocol ``Look``.

    Parameters
    ----------
    boxes
        Where it comes from.
    first_cells
        First cell along each axis.
    """

    def __init__(self, boxes: SubBoxes, first_cells: Sequence[int]) -> None:
        self.boxes = boxes
        histograms, device = boxes.histograms, boxes.runtime.device
        axes = [
            _along_axis(nearest.cpu(), first, n_cells)
            for nearest, first, n_cells in zip(
                histograms.nearest, first_cells, histograms.cells, strict=True
            )
        ]
        self.window = Window(
            histograms.shape,
            _three(axis.start for axis in axes),
            _three(len(axis.voxel_factors) for axis in axes),
        )
        # Shape (I, J, K): how much a voxel counts, 0 in the margin.
        self.voxel_factors = _product([axis.voxel_factors for axis in axes]).to(device)
        numbers = torch.arange(prod(histograms.cells)).reshape(histograms.cells)
        i, j, k = (axis.cells for axis in axes)
        self.cells = numbers[i, j, k].flatten().to(device)
        self.cell_factors = _product([axis.cell_factors for axis in axes]).flatten().to(device)

    def draw(self, side: str, number: int) -> Seen:
        """The box of a shifted fine scan, and the coarse one, shifted alike."""
        data, fine = self.boxes.data, self.boxes.fine
        index, change = data.choose(side, number, seed=self.boxes.seed)
        coarse = data.volumes.volume(index), data.volumes.head_mask(index)
        scale = data.volumes.voxel_size_mm / fine.voxel_size_mm
        start = _three(
            first - round(step * scale)
            for first, step in zip(self.window.start, change.shift_voxels, strict=True)
        )
        window = Window(self.window.whole, start, self.window.shape)
        device = self.boxes.runtime.device
        volume, mask = (
            as_tensor(window.cut(torch.from_numpy(array)).numpy(), device)
            for array in (fine.volume(index), fine.head_mask(index))
        )
        shifted, shifted_mask = (
            as_tensor(apply_augmentation(array, change), device) for array in coarse
        )
        return Seen(volume, mask, shifted, shifted_mask)

    def generate(
        self, generator: "TrainedGenerator", scan: Seen, *, goes_on: bool = False
    ) -> tuple[Seen, Tensor]:
        """The box after a generator; looking its changes up is always in 32 bit."""
        if not isinstance(generator, BilateralGenerator):
            message = f"{type(generator).__name__} cannot be applied to a part of a volume"
            raise TypeError(message)
        with self.boxes.runtime.fabric.autocast():
            grid = generator.predict_grid(scan.coarse, scan.coarse_mask)
        grid = grid.float()
        size = self.boxes.fine.voxel_size_mm
        made = generator.apply_grid(
            scan.volume, scan.mask, grid, voxel_size_mm=size, window=self.window
        )
        coarse = scan.coarse
        if goes_on:
            size = self.boxes.data.volumes.voxel_size_mm
            coarse = generator.apply_grid(coarse, scan.coarse_mask, grid, voxel_size_mm=size)
        return Seen(made, scan.mask, coarse, scan.coarse_mask), grid

    def patches(self, scan: Seen) -> Tensor:
        """The box without its margin."""
        i, j, k = (slice(MARGIN_VOXELS, -MARGIN_VOXELS) for _ in range(3))
        return scan.volume[:, :, i, j, k]

    def difference(self, first: Seen, second: Seen) -> Tensor:
        """On average over all boxes, the mean over the whole volume."""
        weighted = (first.volume - second.volume).abs() * self.voxel_factors
        return weighted.sum() / prod(self.window.whole)

    def histogram_loss(
        self, running: Tensor, scan: Seen, made: Seen, target: Target
    ) -> tuple[Tensor, Tensor]:
        """Distance of the box's cells; on average over all boxes, that of all cells."""
        cells, wanted = self.cells, None
        if target.curve is not None:
            matched = self._measure(target.curve.apply(scan.volume, scan.mask), scan.mask)
            wanted = target.of_scan(matched)[cells]
        current = self._measure(made.volume, made.mask)[cells]
        weights = target.weights[cells] * self.cell_factors
        loss, moved = draw_to_target(running[:, cells], current, wanted, weights=weights)
        return loss, running.index_copy(1, cells, moved)

    def _measure(self, volume: Tensor, mask: Tensor) -> Tensor:
        """Histograms of all cells, of which those outside the box are empty."""
        inside = mask * (self.voxel_factors > 0)
        return self.boxes.histograms.measure(volume, inside, window=self.window)


def make_sight(
    data: PairData, histograms: LocalHistograms, *, runtime: Runtime, seed: int
) -> Sight:
    """Boxes of the fine scans where there are any, else whole volumes on the network's grid.

    Parameters
    ----------
    data
        The scans.
    histograms
        Of the grid on which losses are taken.
    runtime
        Device and precision.
    seed
        The training's seed.
    """
    if data.fine is None:
        return WholeVolumes(data, histograms, runtime=runtime, seed=seed)
    return SubBoxes(data, data.fine, histograms, runtime=runtime, seed=seed)


@dataclass(frozen=True, eq=False)
class _Axis:
    """A box along one axis: its first voxel, its cells, and how much both count."""

    start: int
    cells: slice
    cell_factors: Tensor
    voxel_factors: Tensor


def _along_axis(nearest: Tensor, first: int, n_cells: int) -> _Axis:
    """The box that begins with a cell, given the cell of every voxel of the axis."""
    span = slice(first, min(first + BOX_CELLS, n_cells))
    firsts, cell = torch.arange(_n_places(n_cells))[:, None], torch.arange(n_cells)
    chances = ((cell >= firsts) & (cell < firsts + BOX_CELLS)).float().mean(dim=0)
    places = torch.nonzero((nearest >= span.start) & (nearest < span.stop))[:, 0]
    margin = torch.zeros(MARGIN_VOXELS)
    return _Axis(
        start=int(places[0]) - MARGIN_VOXELS,
        cells=span,
        cell_factors=1 / chances[span],
        voxel_factors=torch.cat([margin, 1 / chances[nearest[places]], margin]),
    )


def _n_places(n_cells: int) -> int:
    """Number of cells of an axis with which a box can begin."""
    return max(1, n_cells - BOX_CELLS + 1)


def _product(axes: Sequence[Tensor]) -> Tensor:
    """Outer product of three vectors."""
    i, j, k = axes
    return i[:, None, None] * j[None, :, None] * k[None, None, :]


def _three(values: Iterable[int]) -> tuple[int, int, int]:
    i, j, k = values
    return i, j, k
