"""What every harmonizer is, and the rules that all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from bids_harmonize.config import MEDIAN_REFERENCE
from bids_harmonize.errors import DirectionError
from bids_harmonize.imaging.types import Array, Mask, Volume
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.sources import VolumeSource

PAIRWISE: Final = "pairwise"
JOINT: Final = "joint"


@dataclass(frozen=True)
class Frame:
    """Between which sites, and in which units, a harmonizer works.

    Attributes
    ----------
    reference_site, source_sites
        The site to harmonize to, and those to harmonize from.
    voxel_size_mm
        Voxel size of the study grid, mm.
    scaling_mask
        ``brain`` or ``head``: where the 99th percentile that sets the unit is taken.
    sources
        ``pairwise``: between the reference and each source, both ways. ``joint``: from any site,
        one that was never seen too, to the reference, and no other way.
    """

    reference_site: str
    source_sites: tuple[str, ...]
    voxel_size_mm: float
    scaling_mask: str
    sources: str = PAIRWISE

    @property
    def serves_unseen(self) -> bool:
        """Whether scans of a site that was not trained on can be brought to the reference."""
        return self.sources == JOINT

    @property
    def is_virtual(self) -> bool:
        """Whether the reference is the median of all source sites, where nobody was scanned."""
        return self.reference_site == MEDIAN_REFERENCE

    @property
    def reference_words(self) -> str:
        """The reference in a sentence: its name, or what stands behind a virtual one."""
        if not self.is_virtual:
            return self.reference_site
        return f"a virtual site, the median of {', '.join(self.source_sites)}"

    @property
    def sites(self) -> tuple[str, ...]:
        """All sites, the reference first."""
        return (self.reference_site, *self.source_sites)

    def serves(self, site: str) -> bool:
        """Whether a scan of this site can be brought to the reference; ``n/a`` is no site."""
        return self.serves_unseen or site in self.sites

    def direction(self, site: str, to_site: str | None) -> tuple[str, str] | None:
        """Origin and target of a transform, or ``None`` where they are the same site.

        Raises
        ------
        DirectionError
            If it is neither from a source site to the reference nor the other way; for a joint
            model, if it does not go to the reference.
        """
        target = self.reference_site if to_site is None else to_site
        if self.serves_unseen and site != target:
            if target != self.reference_site:
                self._refuse(site, target)
            return site, target
        if site not in self.sites or target not in self.sites:
            self._refuse(site, target)
        if site == target:
            return None
        if self.reference_site not in (site, target):
            self._refuse(site, target)
        return site, target

    def unit_mask(self, head_mask: Mask, brain_mask: Mask) -> Mask:
        """The mask in which the 99th percentile is 1."""
        return brain_mask if self.scaling_mask == "brain" else head_mask

    def _refuse(self, site: str, target: str) -> None:
        sources = ", ".join(self.source_sites) or "none"
        if self.serves_unseen:
            message = (
                f"no way from site {site} to site {target}: this joint model goes from any site "
                f"to the reference {self.reference_site} and to no other (trained on: {sources}); "
                "fit a model with --sources pairwise, or with the other reference"
            )
            raise DirectionError(message)
        message = (
            f"no way from site {site} to site {target}: this model goes between the reference "
            f"{self.reference_site} and each of: {sources}; fit a model with these sites"
        )
        raise DirectionError(message)


@dataclass(frozen=True)
class TrainingData:
    """Scans to fit on; nobody who must stay unseen is among them.

    Attributes
    ----------
    native
        The scans on the study grid, read on demand.
    network
        The same scans in the same order on the network's grid.
    reference_site
        The site to harmonize to.
    monitor
        Participants who give no gradient but steer the choice of the weights.
    reference_high
        Native intensity of 1 at a reference of which there is no scan: a card, or the median of
        all sites.
    fine
        The same scans mapped at the study's voxel size, for trainings that take their losses
        there, in random boxes; ``None``: losses are taken on ``network``.
    """

    native: VolumeSource
    network: VolumeSource
    reference_site: str
    monitor: frozenset[str]
    reference_high: float | None = None
    fine: VolumeSource | None = None

    @property
    def loss_voxel_size_mm(self) -> float:
        """Voxel size of the volumes on which the losses of a training are taken, mm."""
        return (self.network if self.fine is None else self.fine).voxel_size_mm

    def of_site(self, site: str) -> tuple[int, ...]:
        """Positions of a site's scans."""
        return tuple(n for n, scan in enumerate(self.network.scans) if scan.site == site)

    def split_site(self, site: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Positions of a site's scans that train, and of those that watch.

        A site too small for a monitor watches its training scans: better than no alarm.
        """
        indices = self.of_site(site)
        watched = {n for n in indices if self.network.scans[n].participant_id in self.monitor}
        return tuple(n for n in indices if n not in watched), tuple(sorted(watched or indices))

    def median_high(self, site: str) -> float:
        """Native intensity of 1: median over a site's scans, or what is known without any."""
        if site == self.reference_site and self.reference_high is not None:
            return self.reference_high
        return float(np.median([self.network.scaling(n).high for n in self.of_site(site)]))


@dataclass(frozen=True)
class FitReport:
    """What happened while fitting.

    Attributes
    ----------
    rows
        Losses and distances at every check, with ``source_site``; empty for methods without
        training.
    fell_back
        Source sites whose training and restart both diverged; they are served by
        ``n4_histogram``.
    warnings
        Sentences for the user.
    """

    rows: tuple[Mapping[str, Any], ...] = ()
    fell_back: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Harmonizer(Protocol):
    """A method that maps rescaled volumes between the reference site and source sites.

    Attributes
    ----------
    name
        Its row in the table.
    frame
        Sites and units.
    settings
        All of its settings, plain values.
    high
        Site to the native intensity of 1; filled by ``fit``.
    """

    name: str
    frame: Frame
    settings: Mapping[str, Any]
    high: Mapping[str, float]

    def fit(
        self, data: TrainingData, *, runtime: Runtime, seed: int, work_dir: Path, resume: bool
    ) -> FitReport:
        """Learn from scans of all sites; checkpoints go to ``work_dir``."""
        ...

    def transform(
        self,
        volume: Volume,
        *,
        site: str,
        to_site: str | None = None,
        head_mask: Mask,
        brain_mask: Mask,
    ) -> Volume:
        """Volume of ``site`` as ``to_site`` would show it.

        Parameters
        ----------
        volume
            Float32, shape (I, J, K), on the study grid, units of the 99th percentile, 0 outside
            the head.
        site
            Where it was scanned.
        to_site
            The site wanted; ``None`` is the reference. Equal to ``site``: the input comes back.
        head_mask, brain_mask
            Bool, same shape.

        Returns
        -------
        np.ndarray
            Float32, same shape; outside the head the input's bits.

        Raises
        ------
        DirectionError
            If the method does not go from one to the other.
        """
        ...

    def method(self, site: str) -> str:
        """Name of the method that really serves a site; another one where training failed."""
        ...

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What was learnt: tensors for the weights file, plain values for ``model.json``."""
        ...

    def restore(self, tensors: Mapping[str, Tensor], learnt: Mapping[str, Any]) -> None:
        """Put back what ``capture`` returned."""
        ...


@runtime_checkable
class KnowsDistance(Protocol):
    """A harmonizer that can say how far a scan lies from the sites it was trained on."""

    def usual_distance(self) -> float:
        """The largest distance of its own training scans, each measured without itself."""
        ...

    def distance(self, volume: Volume, *, head_mask: Mask) -> float:
        """Distance of a scan to the nearest training site.

        Parameters
        ----------
        volume
            Float32, shape (I, J, K), on the study grid, units of the 99th percentile, 0 outside
            the head; as scanned, not harmonized.
        head_mask
            Bool, same shape.

        Returns
        -------
        float
            1 for a scan as far from the mean of a training site as half of that site's own scans
            are; at least 0.
        """
        ...


def keep_outside(changed: Array, volume: Volume, head_mask: Mask) -> Volume:
    """The changed volume in the head and the input, bit for bit, outside of it."""
    return np.where(head_mask, changed, volume).astype(np.float32, copy=False)
