"""What one iteration of a training of generators sees of its scans: here, the whole of them.

A trainer draws scans, sends them through generators and takes losses by a :class:`Look`, and
does not know whether it looks at whole volumes on the network's grid or at boxes on a finer one
(:mod:`bids_harmonize.training.sub_boxes`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from bids_harmonize.training.augmentation import apply_augmentation
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import LocalHistograms, mean_difference
from bids_harmonize.training.pair_data import PairData
from bids_harmonize.training.pair_steps import draw_to_target
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.targets import Target

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator


@dataclass(frozen=True, eq=False)
class Seen:
    """A scan as an iteration sees it; all tensors have shape (1, 1, I, J, K).

    Attributes
    ----------
    volume, mask
        Where losses are taken, and the head there.
    coarse, coarse_mask
        The whole scan on the network's grid, from which changes are predicted.
    """

    volume: Tensor
    mask: Tensor
    coarse: Tensor
    coarse_mask: Tensor


class Sight(Protocol):
    """Chooses what each iteration looks at."""

    def at(self, iteration: int) -> "Look":
        """The look of an iteration; equal numbers give equal looks."""
        ...


class Look(Protocol):
    """How one iteration of a trainer looks at its scans."""

    def draw(self, side: str, number: int) -> Seen:
        """A randomly shifted training scan of a side, in that side's own count of draws."""
        ...

    def generate(
        self, generator: "TrainedGenerator", scan: Seen, *, goes_on: bool = False
    ) -> tuple[Seen, Tensor]:
        """A scan after a generator, and the grid of what it changed.

        Parameters
        ----------
        generator
            On the device of the scan.
        scan
            What :meth:`draw` or this method gave.
        goes_on
            Whether another generator is to see the result. If not, its ``coarse`` is not made.

        Returns
        -------
        tuple
            The made scan, and the grid in 32 bit.
        """
        ...

    def patches(self, scan: Seen) -> Tensor:
        """What an adversary looks at."""
        ...

    def difference(self, first: Seen, second: Seen) -> Tensor:
        """Mean absolute difference over the whole volume, or an unbiased guess of it."""
        ...

    def histogram_loss(
        self, running: Tensor, scan: Seen, made: Seen, target: Target
    ) -> tuple[Tensor, Tensor]:
        """Distance of what is made to what is wanted, and both running means moved on.

        Parameters
        ----------
        running
            Shape (2, cells, 40), see ``draw_to_target``.
        scan, made
            A scan, and what a generator made of it.
        target
            Where local histograms are drawn to.

        Returns
        -------
        tuple of Tensor
            The loss, and ``running`` after this scan.
        """
        ...


class WholeVolumes:
    """Whole volumes on the network's grid, in every iteration.

    Parameters
    ----------
    data
        The scans.
    histograms
        Of the same grid.
    runtime
        Device and precision.
    seed
        The training's seed.
    """

    def __init__(
        self, data: PairData, histograms: LocalHistograms, *, runtime: Runtime, seed: int
    ) -> None:
        self.data, self.histograms, self.runtime, self.seed = data, histograms, runtime, seed

    def at(self, iteration: int) -> "WholeVolumes":
        """Every iteration looks at everything."""
        del iteration
        return self

    def draw(self, side: str, number: int) -> Seen:
        """A shifted scan; see the protocol."""
        index, change = self.data.choose(side, number, seed=self.seed)
        volume, mask = (
            as_tensor(apply_augmentation(array, change), self.runtime.device)
            for array in self.data.load(index)
        )
        return Seen(volume, mask, volume, mask)

    def generate(
        self, generator: "TrainedGenerator", scan: Seen, *, goes_on: bool = False
    ) -> tuple[Seen, Tensor]:
        """A scan after a generator; looking its changes up is always in 32 bit."""
        del goes_on  # the made volume is the coarse one too
        with self.runtime.fabric.autocast():
            grid = generator.predict_grid(scan.volume, scan.mask)
        grid = grid.float()
        size = self.data.volumes.voxel_size_mm
        made = generator.apply_grid(scan.volume, scan.mask, grid, voxel_size_mm=size)
        return Seen(made, scan.mask, made, scan.mask), grid

    def patches(self, scan: Seen) -> Tensor:
        """The whole volume."""
        return scan.volume

    def difference(self, first: Seen, second: Seen) -> Tensor:
        """The mean over the volume."""
        return mean_difference(first.volume, second.volume)

    def histogram_loss(
        self, running: Tensor, scan: Seen, made: Seen, target: Target
    ) -> tuple[Tensor, Tensor]:
        """Distance of all cells; see the protocol."""
        measure = self.histograms.measure
        wanted = None
        if target.curve is not None:
            matched = target.curve.apply(scan.volume, scan.mask)
            wanted = target.of_scan(measure(matched, scan.mask))
        current = measure(made.volume, made.mask)
        return draw_to_target(running, current, wanted, weights=target.weights)
