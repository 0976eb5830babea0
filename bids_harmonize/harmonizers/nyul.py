"""Standardisation of landmarks (Nyul and Udupa): eleven percentiles to their mean elsewhere."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from bids_harmonize.harmonizers.base import Frame
from bids_harmonize.harmonizers.matching import Matching


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    """Landmarks, percent of the voxels in the mask of the unit."""

    landmarks: tuple[float, ...] = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)


def make(frame: Frame, settings: Mapping[str, Any]) -> Matching:
    """A harmonizer that matches a few landmarks."""
    return Matching("nyul", frame, settings, np.array(settings["landmarks"], dtype=float))
