"""Matching of the whole histogram to the mean histogram of the other site."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from bids_harmonize.harmonizers.base import Frame
from bids_harmonize.harmonizers.matching import Matching
from bids_harmonize.imaging.types import Array


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    """Number of percentiles, evenly spaced between the outermost half percents."""

    n_percentiles: int = Field(default=200, ge=2)


def make(frame: Frame, settings: Mapping[str, Any]) -> Matching:
    """A harmonizer that matches histograms."""
    return Matching("histogram", frame, settings, even_percentiles(settings["n_percentiles"]))


def even_percentiles(n_percentiles: int) -> Array:
    """Centres of equal shares of the voxels, percent."""
    return (np.arange(n_percentiles) + 0.5) * 100 / n_percentiles
