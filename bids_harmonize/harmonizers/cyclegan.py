"""CycleGAN between each source site and the reference.

Two generators, two patch discriminators; least-squares adversarial, cycle and identity losses,
trained without pairs. The generators are bilateral ones that cannot draw, with local-histogram
and smoothness losses besides, or the residual ones of the classical CycleGAN without these.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from bids_harmonize.harmonizers.base import Frame, Harmonizer
from bids_harmonize.harmonizers.bilateral import Bilateral
from bids_harmonize.harmonizers.joint import Joint
from bids_harmonize.networks.generators import GENERATORS

_STRICT: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class BilateralSettings:
    """Length, rates and weights of the losses; the defaults are the measured recipe."""

    generator: Literal["bilateral"] = "bilateral"
    n_iterations: int = Field(default=300, ge=1)
    check_every: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    discriminator_learning_rate: float = Field(default=4e-4, gt=0)
    histogram_weight: float = Field(default=1.0, ge=0)
    smoothness_weight: float = Field(default=1.0, ge=0)
    identity_weight: float = Field(default=2.0, ge=0)
    cycle_weight: float = Field(default=2.0, ge=0)
    adversarial_weight: float = Field(default=0.3, gt=0)
    splits_differences: bool = True


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ResidualSettings:
    """The classical recipe, and the size of the generators.

    Weights (adversarial 1, cycle 10, identity half of that) and rates (2e-4) are those of Zhu et
    al. 2017; the identity comes in every second iteration, as with the other generator. The
    classical recipe has no local-histogram and no smoothness term, so their weights are 0.
    ``n_iterations`` is for a GPU or a small network; the paper's 200 rounds over 20 scans a site
    would be 4000.

    References
    ----------
    Zhu et al. 2017, doi:10.1109/ICCV.2017.244, sections 4 and 5.2.
    """

    generator: Literal["residual"]
    residual_width: int = Field(default=32, ge=1)
    residual_blocks: int = Field(default=7, ge=1)
    n_iterations: int = Field(default=1000, ge=1)
    check_every: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=2e-4, gt=0)
    discriminator_learning_rate: float = Field(default=2e-4, gt=0)
    identity_weight: float = Field(default=5.0, ge=0)
    cycle_weight: float = Field(default=10.0, ge=0)
    adversarial_weight: float = Field(default=1.0, gt=0)
    histogram_weight: float = Field(default=0.0, ge=0)
    smoothness_weight: float = Field(default=0.0, ge=0)


def _generator_of(values: Any) -> str | None:
    """Which settings are meant; ``None``, which pydantic refuses, for an unknown generator."""
    found = values.get("generator", "bilateral") if isinstance(values, Mapping) else None
    return found if isinstance(found, str) and found in GENERATORS else None


Settings = Annotated[
    Annotated[BilateralSettings, Tag("bilateral")] | Annotated[ResidualSettings, Tag("residual")],
    Discriminator(
        _generator_of,
        custom_error_type="unknown_generator",
        custom_error_message=f"generator (--generator) must be one of: {', '.join(GENERATORS)}",
    ),
]


def make(frame: Frame, settings: Mapping[str, Any]) -> Harmonizer:
    """A harmonizer of generators trained in a cycle against discriminators."""
    return (Joint if frame.serves_unseen else Bilateral)("cyclegan", frame, settings)
