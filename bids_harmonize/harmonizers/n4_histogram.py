"""Taking out the bias field, then matching the histogram: what a laboratory would do first."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from bids_harmonize.harmonizers.base import Frame
from bids_harmonize.harmonizers.histogram import even_percentiles
from bids_harmonize.harmonizers.matching import Matching


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    """Voxel size of the field's estimation and distance of its first knots, mm; percentiles."""

    shrink_mm: float = Field(default=8.0, gt=0)
    knots_mm: float = Field(default=200.0, gt=0)
    n_percentiles: int = Field(default=200, ge=2)


def make(frame: Frame, settings: Mapping[str, Any]) -> Matching:
    """A harmonizer that takes the bias field out and matches histograms."""
    return Matching("n4_histogram", frame, settings, even_percentiles(settings["n_percentiles"]))
