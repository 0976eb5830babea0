"""Taking out the smooth bias field (N4), and nothing else."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from bids_harmonize.harmonizers.base import Frame
from bids_harmonize.harmonizers.matching import Matching


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    """Voxel size on which the field is estimated, and distance of its first knots, mm."""

    shrink_mm: float = Field(default=8.0, gt=0)
    knots_mm: float = Field(default=200.0, gt=0)


def make(frame: Frame, settings: Mapping[str, Any]) -> Matching:
    """A harmonizer that takes the bias field out."""
    return Matching("n4", frame, settings, np.array([]))
