"""CycleGAN between each source site and the reference, with generators that cannot draw.

Two bilateral generators, two patch discriminators; least-squares adversarial, cycle, identity,
local-histogram and smoothness losses, trained without pairs.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from bids_harmonize.harmonizers.base import Frame, Harmonizer
from bids_harmonize.harmonizers.bilateral import Bilateral
from bids_harmonize.harmonizers.joint import Joint


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    """Length, rates and weights of the losses; the defaults are the measured recipe."""

    n_iterations: int = Field(default=300, ge=1)
    check_every: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    discriminator_learning_rate: float = Field(default=4e-4, gt=0)
    histogram_weight: float = Field(default=1.0, ge=0)
    smoothness_weight: float = Field(default=1.0, ge=0)
    identity_weight: float = Field(default=2.0, ge=0)
    cycle_weight: float = Field(default=2.0, ge=0)
    adversarial_weight: float = Field(default=0.3, gt=0)


def make(frame: Frame, settings: Mapping[str, Any]) -> Harmonizer:
    """A harmonizer of generators trained in a cycle against discriminators."""
    return (Joint if frame.serves_unseen else Bilateral)("cyclegan", frame, settings)
