"""The generators, each by name, and the face that training and application know of them.

A generator works in two steps, so that one trained on a coarse grid serves finer volumes: from
the volume on the network's grid it predicts what is to change, and then applies that at any
resolution.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor, nn

    from bids_harmonize.networks.bilateral_generator import BilateralGenerator
    from bids_harmonize.networks.residual_generator import ResidualGenerator

    TrainedGenerator: TypeAlias = BilateralGenerator | ResidualGenerator

__all__ = ["GENERATORS", "Generator", "GeneratorPlan", "GeneratorRow", "make_generator"]


class Generator(Protocol):
    """What applies to a volume; an ``nn.Module`` besides.

    Attributes
    ----------
    voxel_size_mm
        Voxel size of the volumes that changes are predicted from, mm.
    """

    voxel_size_mm: float

    def predict_grid(self, volume: "Tensor", mask: "Tensor") -> "Tensor":
        """What is to change.

        Parameters
        ----------
        volume
            Shape (B, 1, I, J, K), units of the 99th percentile, at ``voxel_size_mm``.
        mask
            Head mask, 0 or 1, same shape.

        Returns
        -------
        Tensor
            Shape (B, n, i, j, k), centred on the volume's centre; cells and n are the
            generator's own.
        """
        ...

    def apply_grid(
        self, volume: "Tensor", mask: "Tensor", grid: "Tensor", *, voxel_size_mm: float
    ) -> "Tensor":
        """The changed volume, at least 0, and 0 outside the mask; any resolution."""
        ...

    def parameters(self) -> "Iterator[nn.Parameter]":
        """The weights; they tell the device."""
        ...


@dataclass(frozen=True, kw_only=True)
class GeneratorPlan:
    """What a generator is made from; each takes what concerns it.

    Attributes
    ----------
    voxel_size_mm
        Voxel size of the network's grid, mm.
    sharpened_mm
        Voxel size for which a bilateral one learns sharpening weights, mm; ``None``: it learns
        none.
    width, n_blocks
        Feature maps of the first convolution and number of blocks of a residual one.
    """

    voxel_size_mm: float
    sharpened_mm: float | None
    width: int
    n_blocks: int


@dataclass(frozen=True)
class GeneratorRow:
    """One generator.

    Attributes
    ----------
    name
        Its name in the settings.
    target
        Function that makes it from a plan.
    draws
        Whether it can draw and erase structure.
    description
        What it is, for messages and model cards.
    """

    name: str
    target: str
    draws: bool
    description: str


GENERATORS: dict[str, GeneratorRow] = {
    row.name: row
    for row in (
        GeneratorRow(
            "bilateral",
            "bids_harmonize.networks.bilateral_generator:make",
            False,
            "a coarse grid of intensity changes, 0.07 million weights; cannot draw structure",
        ),
        GeneratorRow(
            "residual",
            "bids_harmonize.networks.residual_generator:make",
            True,
            "the classical residual network, 6.8 million weights; can draw and erase structure",
        ),
    )
}


def make_generator(name: str, plan: GeneratorPlan) -> "TrainedGenerator":
    """A generator with fresh weights; the identity before training.

    Parameters
    ----------
    name
        A name of :data:`GENERATORS`.
    plan
        Its sizes.

    Returns
    -------
    nn.Module
        With the face of :class:`Generator`.

    Raises
    ------
    KeyError
        If there is no such generator; the message lists those there are.
    """
    if name not in GENERATORS:
        message = f"unknown generator {name!r}. Available: {', '.join(GENERATORS)}"
        raise KeyError(message)
    make: Callable[[GeneratorPlan], TrainedGenerator] = resolve_name(GENERATORS[name].target)
    return make(plan)
