"""The method that changes nothing but the scale: what every other one is compared with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from bids_harmonize.harmonizers.base import FitReport, Frame, TrainingData
from bids_harmonize.imaging.types import Mask, Volume
from bids_harmonize.training.runtime import Runtime


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Settings:
    """There is nothing to set."""


class Identity:
    """Returns volumes as they are; see :class:`~bids_harmonize.harmonizers.base.Harmonizer`."""

    name = "identity"

    def __init__(self, frame: Frame, settings: Mapping[str, Any]) -> None:
        self.frame = frame
        self.settings = settings
        self.high: Mapping[str, float] = {}

    def fit(
        self, data: TrainingData, *, runtime: Runtime, seed: int, work_dir: Path, resume: bool
    ) -> FitReport:
        """Learn the unit of every site."""
        del runtime, seed, work_dir, resume
        self.high = {site: data.median_high(site) for site in self.frame.sites}
        return FitReport()

    def transform(
        self,
        volume: Volume,
        *,
        site: str,
        to_site: str | None = None,
        head_mask: Mask,
        brain_mask: Mask,
    ) -> Volume:
        """The input; only the direction is checked."""
        del head_mask, brain_mask
        self.frame.direction(site, to_site)
        return volume

    def method(self, site: str) -> str:
        """Always ``identity``."""
        del site
        return self.name

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Nothing beyond the units was learnt."""
        return {}, {}

    def restore(self, tensors: Mapping[str, Tensor], learnt: Mapping[str, Any]) -> None:
        """There is nothing to put back."""


def make(frame: Frame, settings: Mapping[str, Any]) -> Identity:
    """A harmonizer that leaves volumes as they are."""
    return Identity(frame, settings)
