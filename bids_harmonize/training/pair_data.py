"""Source sites and the reference site as a training of generators sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from bids_harmonize.imaging.types import Mask, Volume
from bids_harmonize.networks.generators import GeneratorPlan, make_generator
from bids_harmonize.training.augmentation import (
    Augmentation,
    AugmentationSettings,
    draw_augmentation,
)
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.sources import VolumeSource

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator

SOURCE: Final = "source"
REFERENCE: Final = "reference"
TO_REFERENCE: Final = "to_reference"
TO_SOURCE: Final = "to_source"
# direction -> (where its input comes from, where its output belongs)
DIRECTIONS: Final[Mapping[str, tuple[str, str]]] = {
    TO_REFERENCE: (SOURCE, REFERENCE),
    TO_SOURCE: (REFERENCE, SOURCE),
}
# No flips: a coil's field is not symmetric, and a mirrored head compared with the unmirrored
# target cells teaches the wrong field (23.9 dB with flips, 25.3 without, phantom, strong coils).
AUGMENTATION: Final = AugmentationSettings(max_shift_voxels=2)


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """Weights and rates of a pair training; weights of 0 switch a term off.

    Attributes
    ----------
    n_iterations, check_every
        Length of the training, and iterations between two looks at the monitor scans.
    learning_rate, discriminator_learning_rate
        Rates of Adam at the start.
    histogram_weight, smoothness_weight, identity_weight, cycle_weight, adversarial_weight
        Weights of the losses.
    splits_differences
        Tell people's differences from the sites' in the targets of local histograms, see
        :mod:`bids_harmonize.training.targets`; else targets are the sites' plain means.
    generator, residual_width, residual_blocks
        A name of ``GENERATORS``, and the size of a residual one.
    """

    n_iterations: int = 300
    check_every: int = 50
    learning_rate: float = 5e-4
    discriminator_learning_rate: float = 4e-4
    histogram_weight: float = 1.0
    smoothness_weight: float = 1.0
    identity_weight: float = 2.0
    cycle_weight: float = 0.0
    adversarial_weight: float = 0.0
    splits_differences: bool = True
    generator: str = "bilateral"
    residual_width: int = 32
    residual_blocks: int = 7

    @property
    def splits_targets(self) -> bool:
        """Whether there are targets in which differences can be told apart."""
        return self.splits_differences and self.histogram_weight > 0

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Name of each loss of the generators to its weight."""
        return {
            "local_histogram": self.histogram_weight,
            "smoothness": self.smoothness_weight,
            "identity": self.identity_weight,
            "cycle": self.cycle_weight,
            "adversarial": self.adversarial_weight,
        }

    def slower(self, share: float) -> Self:
        """The same with this share of the learning rates."""
        return replace(
            self,
            learning_rate=self.learning_rate * share,
            discriminator_learning_rate=self.discriminator_learning_rate * share,
        )

    def make_generator(
        self, *, voxel_size_mm: float, sharpened_mm: float | None
    ) -> "TrainedGenerator":
        """A generator with fresh weights; see :class:`GeneratorPlan` for its voxel sizes (mm)."""
        plan = GeneratorPlan(
            voxel_size_mm=voxel_size_mm,
            sharpened_mm=sharpened_mm,
            width=self.residual_width,
            n_blocks=self.residual_blocks,
        )
        return make_generator(self.generator, plan)


@dataclass(frozen=True)
class PairData:
    """The scans of a pair of sites, or of several, on the network's grid.

    Attributes
    ----------
    volumes
        All scans.
    train, monitor
        Side to positions in ``volumes``. Sides are ``source`` and ``reference``, or in a joint
        training the names of the sites.
    fine
        The same scans on a finer grid, on which the losses are taken; ``None``: on ``volumes``.
    """

    volumes: VolumeSource
    train: Mapping[str, tuple[int, ...]]
    monitor: Mapping[str, tuple[int, ...]]
    fine: VolumeSource | None = None

    @property
    def seen(self) -> VolumeSource:
        """The scans as the losses see them."""
        return self.volumes if self.fine is None else self.fine

    def load(self, index: int) -> tuple[Volume, Mask]:
        """Volume and head mask of one scan, as the losses see it."""
        return self.seen.volume(index), self.seen.head_mask(index)

    def choose(self, side: str, iteration: int, *, seed: int) -> tuple[int, Augmentation]:
        """One training scan and what is to be done to it; each scan comes once a round.

        Parameters
        ----------
        side
            One of ``train``.
        iteration
            Of the iterations that draw from this side. Equal numbers give equal draws: nothing is
            remembered between calls.
        seed
            The training's seed.

        Returns
        -------
        tuple
            Position in ``volumes``, and a shift in their voxels.
        """
        indices = self.train[side]
        turn, place = divmod(iteration, len(indices))
        order = seeded_generator(seed, side, f"round-{turn}").permutation(len(indices))
        rng = seeded_generator(seed, side, f"iteration-{iteration}")
        change = draw_augmentation(rng, self.volumes.shape, AUGMENTATION)
        return indices[order[place]], change
