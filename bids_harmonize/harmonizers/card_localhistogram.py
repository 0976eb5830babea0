"""``localhistogram`` towards a reference without images: a generator a source site, one way only.

The reference is that of a card, or the median of all sites. Where the training and its restart
both diverge, the scans of that source site are only scaled, said aloud: ``n4_histogram``, which
serves otherwise, needs images of the reference.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from bids_harmonize.config import settings_hash
from bids_harmonize.errors import DirectionError
from bids_harmonize.harmonizers.base import FitReport, Frame, TrainingData, keep_outside
from bids_harmonize.harmonizers.bilateral import (
    is_same_grid,
    load_generator,
    sharpened_mm,
    training_fingerprint,
)
from bids_harmonize.harmonizers.card import ReferenceCard
from bids_harmonize.imaging.types import Mask, Volume
from bids_harmonize.training.card_run import CardResult, train_on_card
from bids_harmonize.training.card_training import CardSettings
from bids_harmonize.training.generation import generate
from bids_harmonize.training.pair_data import SOURCE, PairData, PairSettings
from bids_harmonize.training.pairs import PairRun
from bids_harmonize.training.runtime import Runtime, derived_seed

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator

FALLBACK: Final = "identity"
CARDS: Final = "cards"  # in ``learnt``: tells such a model from one with a reference of images
WITHOUT_IMAGES: Final = ("identity", "n4", "localhistogram")
"""Harmonizers that need no image of the reference."""
_SEPARATOR: Final = "/"


class CardLocalHistogram:
    """Generators from every source site to a reference without images; see ``base``.

    Parameters
    ----------
    frame
        Sites and units; the reference is that of the card, or virtual.
    settings
        All settings of ``localhistogram``.
    card
        The reference; ``None`` for a model that is read back and not fitted.
    """

    name = "localhistogram"

    def __init__(
        self, frame: Frame, settings: Mapping[str, Any], card: ReferenceCard | None = None
    ) -> None:
        self.frame = frame
        self.settings = settings
        self.card = card
        self.high: Mapping[str, float] = {}
        self.generators: dict[str, TrainedGenerator] = {}
        self.network_voxel_size_mm = frame.voxel_size_mm
        self.fell_back: tuple[str, ...] = ()
        self.device = torch.device("cpu")
        self.cards = [dict(source) for source in card.sources] if card else []
        self.person_distance = card.person_distance if card else float("nan")

    def fit(
        self, data: TrainingData, *, runtime: Runtime, seed: int, work_dir: Path, resume: bool
    ) -> FitReport:
        """Train every source site towards the card; see the protocol."""
        if self.card is None:
            message = "a harmonizer without its card cannot be fitted again; give the card"
            raise ValueError(message)
        self.high = {site: data.median_high(site) for site in self.frame.sites}
        self.network_voxel_size_mm = data.network.voxel_size_mm
        self.device = runtime.device
        self.generators = {}
        failed: list[str] = []
        warnings: list[str] = []
        rows: list[Mapping[str, Any]] = []
        for number, site in enumerate(self.frame.source_sites):
            result = train_on_card(
                _site_data(data, site),
                self.card.target,
                CardSettings(**_used(self.settings)),
                runtime=runtime,
                seed=derived_seed(seed, self.name, site),
                sharpens=is_same_grid(self.network_voxel_size_mm, self.frame),
                run=PairRun(
                    name=f"{self.name} {site} to {self._goal}",
                    folder=work_dir / f"card-{number}",
                    resume=resume,
                    fingerprint=self._fingerprint(data, site, seed),
                ),
            )
            rows += [{**row, "source_site": site} for row in result.rows]
            warnings += self._warnings(result, site)
            if result.diverged:
                failed.append(site)
            else:
                self.generators[site] = self._make_generator(result.weights)
        self.fell_back = tuple(failed)
        return FitReport(tuple(rows), fell_back=self.fell_back, warnings=tuple(warnings))

    def transform(
        self,
        volume: Volume,
        *,
        site: str,
        to_site: str | None = None,
        head_mask: Mask,
        brain_mask: Mask,
    ) -> Volume:
        """Volume of a source site with the reference's brightness; see the protocol."""
        del brain_mask
        direction = self.frame.direction(site, to_site)
        if direction is None:
            return volume
        if direction[1] != self.frame.reference_site:
            message = (
                f"no way from site {site} to site {direction[1]}: this model was trained on "
                f"{self._goal}, without images of it, and goes there only"
            )
            raise DirectionError(message)
        if site in self.fell_back:
            return volume
        changed = generate(
            self.generators[site],
            volume,
            head_mask=head_mask,
            voxel_size_mm=self.frame.voxel_size_mm,
        )
        return keep_outside(changed, volume, head_mask)

    def method(self, site: str) -> str:
        """Its own name, or ``identity`` for a site whose training diverged twice."""
        return FALLBACK if site in self.fell_back else self.name

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All generators, and which cards they were trained on."""
        tensors = {
            _SEPARATOR.join(("generator", str(self.frame.sites.index(site)), "0", name)): tensor
            for site, generator in self.generators.items()
            for name, tensor in generator.state_dict().items()
        }
        return tensors, {
            "network_voxel_size_mm": self.network_voxel_size_mm,
            "fell_back": list(self.fell_back),
            CARDS: self.cards,
            "person_distance": self.person_distance,
        }

    def restore(self, tensors: Mapping[str, Tensor], learnt: Mapping[str, Any]) -> None:
        """Put the generators back."""
        self.network_voxel_size_mm = learnt["network_voxel_size_mm"]
        self.fell_back = tuple(learnt["fell_back"])
        self.cards = list(learnt[CARDS])
        self.person_distance = learnt["person_distance"]
        weights: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            _, origin, _, name = key.split(_SEPARATOR, 3)
            weights.setdefault(self.frame.sites[int(origin)], {})[name] = tensor
        self.generators = {site: self._make_generator(own) for site, own in weights.items()}

    def _warnings(self, result: CardResult, site: str) -> list[str]:
        """What the user must know about the training of a site."""
        last = max(row["attempt"] for row in result.rows)
        found = [row["distance_to_reference"] for row in result.rows if row["attempt"] == last]
        way = f"{self.name}: training of {site} on {self._goal}"
        if result.diverged:
            return [f"{way} diverged twice; its scans are only scaled instead"]
        if min(found) < found[0]:
            return []
        return [
            f"{way}: the monitor scans came no nearer to it than they were ({found[0]:.3f}; its "
            f"own people lie at {self.person_distance:.3f}), so its scans are only scaled"
        ]

    def _make_generator(self, weights: Mapping[str, Tensor]) -> "TrainedGenerator":
        return load_generator(
            PairSettings(),
            weights,
            voxel_size_mm=self.network_voxel_size_mm,
            sharpened_mm=sharpened_mm(self.network_voxel_size_mm, self.frame),
            device=self.device,
        )

    def _fingerprint(self, data: TrainingData, site: str, seed: int) -> str:
        own = training_fingerprint(self.name, self.settings, self.frame, data, (site,), seed)
        if self.card is None or not self.frame.is_virtual:
            return settings_hash(own, self.cards)
        target = hashlib.sha256(self.card.histograms.numpy().tobytes()).hexdigest()
        return settings_hash(own, self.cards, target)

    @property
    def _goal(self) -> str:
        if self.frame.is_virtual:
            return "the median of all sites"
        return f"the card of {self.frame.reference_site}"


def _used(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that need no image of the reference; the command line refuses the others by name."""
    known = {field.name for field in fields(CardSettings)}
    return {key: value for key, value in settings.items() if key in known}


def _site_data(data: TrainingData, site: str) -> PairData:
    train, monitor = data.split_site(site)
    return PairData(volumes=data.network, train={SOURCE: train}, monitor={SOURCE: monitor})
