"""The generators of ``cyclegan`` without adversary and cycle, trained on local histograms."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from bids_harmonize.harmonizers.base import Frame, Harmonizer
from bids_harmonize.harmonizers.bilateral import Bilateral
from bids_harmonize.harmonizers.joint import Joint


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    """Length, rate and weights of the losses; the defaults are the measured recipe."""

    n_iterations: int = Field(default=300, ge=1)
    check_every: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=5e-4, gt=0)
    histogram_weight: float = Field(default=1.0, gt=0)
    smoothness_weight: float = Field(default=1.0, ge=0)
    identity_weight: float = Field(default=2.0, ge=0)
    splits_differences: bool = True


def make(frame: Frame, settings: Mapping[str, Any]) -> Harmonizer:
    """A harmonizer of generators trained on local histograms."""
    return (Joint if frame.serves_unseen else Bilateral)("localhistogram", frame, settings)
