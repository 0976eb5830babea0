"""Joint harmonizers: one generator from every site, seen or not, to the reference.

``cyclegan`` and ``localhistogram`` with ``--sources joint`` are this one class with other weights
of the losses. One generator stands or falls for all: where its training and its restart both
diverge, every scan is served by ``n4_histogram``, said aloud.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from bids_harmonize.harmonizers import check_harmonizer_settings, n4_histogram
from bids_harmonize.harmonizers.alarm import training_warning
from bids_harmonize.harmonizers.base import FitReport, Frame, TrainingData, keep_outside
from bids_harmonize.harmonizers.bilateral import (
    FALLBACK,
    is_same_grid,
    load_generator,
    pair_data,
    sharpened_mm,
    training_fingerprint,
)
from bids_harmonize.harmonizers.site_shares import SITE_SHARES, read_shares, share_rows
from bids_harmonize.imaging.types import Mask, Volume
from bids_harmonize.training.generation import generate
from bids_harmonize.training.joint import JointResult, train_joint
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pairs import PairResult, PairRun
from bids_harmonize.training.runtime import Runtime, derived_seed
from bids_harmonize.training.site_distance import SiteDistance, fit_site_distance
from bids_harmonize.training.targets import SiteShares
from bids_harmonize.training.volumes import to_network_grid

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator

_GENERATOR, _FALLBACK = "generator/", "fallback/"
_MEANS, _SPREADS = "sites/means", "sites/spreads"
_NAME: Final = "joint"


class Joint:
    """One generator to the reference; see the protocols in ``base``.

    Parameters
    ----------
    name
        The method's row.
    frame
        Sites and units; its ``sources`` is ``joint``.
    settings
        All settings of the row.
    """

    def __init__(self, name: str, frame: Frame, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.frame = frame
        self.settings = settings
        self.high: Mapping[str, float] = {}
        self.generator: TrainedGenerator | None = None
        self.sites: SiteDistance | None = None
        self.shares: dict[tuple[str, str], SiteShares] = {}
        self.network_voxel_size_mm = self.loss_voxel_size_mm = frame.voxel_size_mm
        self.fell_back: tuple[str, ...] = ()
        self.device = torch.device("cpu")
        self._fallback = n4_histogram.make(frame, check_harmonizer_settings(FALLBACK, {}))

    def fit(
        self, data: TrainingData, *, runtime: Runtime, seed: int, work_dir: Path, resume: bool
    ) -> FitReport:
        """Train the one generator; see the protocol."""
        self.high = {site: data.median_high(site) for site in self.frame.sites}
        self.network_voxel_size_mm = data.network.voxel_size_mm
        self.loss_voxel_size_mm = data.loss_voxel_size_mm
        self.device = runtime.device
        self._fallback.fit(data, runtime=runtime, seed=seed, work_dir=work_dir, resume=resume)
        self.sites = fit_site_distance(
            data.network, {site: data.of_site(site) for site in self.frame.sites}
        )
        sources, reference = self.frame.source_sites, self.frame.reference_site
        joint_seed = derived_seed(seed, self.name, _NAME)
        result = train_joint(
            _joint_data(data, self.frame),
            PairSettings(**self.settings),
            reference=reference,
            runtime=runtime,
            seed=joint_seed,
            sharpens=is_same_grid(self.loss_voxel_size_mm, self.frame),
            run=PairRun(
                name=f"{self.name} of {len(sources)} sites to {reference}",
                folder=work_dir / _NAME,
                resume=resume,
                fingerprint=training_fingerprint(
                    self.name, self.settings, self.frame, data, self.frame.sites, seed
                ),
            ),
        )
        self.fell_back = sources if result.diverged else ()
        self.generator, self.shares = None, {}
        if not result.diverged:
            self.generator = self._load(result.weights)
            self.shares = {(site, reference): found for site, found in result.shares.items()}
        warnings = tuple(
            f"{self.name}: {warning}"
            for site in sources
            if (warning := self._warning(result, data, site, joint_seed)) is not None
        )
        return FitReport(result.rows, fell_back=self.fell_back, warnings=warnings)

    def transform(
        self,
        volume: Volume,
        *,
        site: str,
        to_site: str | None = None,
        head_mask: Mask,
        brain_mask: Mask,
    ) -> Volume:
        """Volume of any site with the reference's brightness; see the protocol."""
        if self.frame.direction(site, to_site) is None:
            return volume
        if self.generator is None:
            return self._fallback.transform(
                volume, site=site, to_site=to_site, head_mask=head_mask, brain_mask=brain_mask
            )
        size = self.frame.voxel_size_mm
        changed = generate(self.generator, volume, head_mask=head_mask, voxel_size_mm=size)
        return keep_outside(changed, volume, head_mask)

    def distance(self, volume: Volume, *, head_mask: Mask) -> float:
        """Distance of a scan to the nearest training site; see the protocol."""
        coarse, head, _ = to_network_grid(
            volume,
            head_mask,
            head_mask,
            voxel_size_mm=self.frame.voxel_size_mm,
            resolution_mm=self.network_voxel_size_mm,
        )
        return self._fitted_sites().measure(coarse, head)

    def usual_distance(self) -> float:
        """The largest distance of its own training scans; see the protocol."""
        return self._fitted_sites().usual

    def method(self, site: str) -> str:
        """Its own name, or ``n4_histogram`` if training diverged twice; the same for all sites."""
        del site
        return FALLBACK if self.fell_back else self.name

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The generator, or the fallback that serves in its place, and the sites' histograms."""
        sites = self._fitted_sites()
        tensors = {_MEANS: sites.means, _SPREADS: sites.spreads}
        if self.generator is None:
            curves, _ = self._fallback.capture()
            tensors |= {f"{_FALLBACK}{site}": curve for site, curve in curves.items()}
        else:
            weights = self.generator.state_dict()
            tensors |= {f"{_GENERATOR}{name}": tensor for name, tensor in weights.items()}
        return tensors, {
            "network_voxel_size_mm": self.network_voxel_size_mm,
            "loss_voxel_size_mm": self.loss_voxel_size_mm,
            "network_shape": list(sites.shape),
            "fell_back": list(self.fell_back),
            "usual_distance": sites.usual,
            SITE_SHARES: share_rows(self.shares),
        }

    def restore(self, tensors: Mapping[str, Tensor], learnt: Mapping[str, Any]) -> None:
        """Put the generator and the histograms back."""
        self.network_voxel_size_mm = learnt["network_voxel_size_mm"]
        self.loss_voxel_size_mm = learnt.get("loss_voxel_size_mm", self.network_voxel_size_mm)
        self.fell_back = tuple(learnt["fell_back"])
        self.shares = read_shares(learnt)
        self.sites = SiteDistance(
            tensors[_MEANS],
            tensors[_SPREADS],
            learnt["usual_distance"],
            tuple(learnt["network_shape"]),
            self.network_voxel_size_mm,
        )
        weights, curves = (
            {key.removeprefix(start): t for key, t in tensors.items() if key.startswith(start)}
            for start in (_GENERATOR, _FALLBACK)
        )
        self.generator = self._load(weights) if weights else None
        self._fallback.restore(curves, {})

    def _load(self, weights: Mapping[str, Tensor]) -> "TrainedGenerator":
        return load_generator(
            PairSettings(**self.settings),
            weights,
            voxel_size_mm=self.network_voxel_size_mm,
            sharpened_mm=sharpened_mm(self.loss_voxel_size_mm, self.frame),
            device=self.device,
        )

    def _warning(
        self, result: JointResult, data: TrainingData, site: str, seed: int
    ) -> str | None:
        """What is to be said about one source's monitor scans under the weights that were kept."""
        kept = {"attempt": 1, "distance_to_reference": result.distances[site]}
        pair = PairResult(weights={}, rows=(kept,), diverged=result.diverged)
        return training_warning(
            pair,
            pair_data(data, site),
            site=site,
            reference_site=data.reference_site,
            rival=self._fallback,
            seed=seed,
        )

    def _fitted_sites(self) -> SiteDistance:
        if self.sites is None:
            message = f"{self.name} has not been fitted; call fit, or load a model"
            raise RuntimeError(message)
        return self.sites


def _joint_data(data: TrainingData, frame: Frame) -> PairData:
    """Scans of all sites; those of a pair with the sites' own names for its sides."""
    pairs = {site: pair_data(data, site) for site in frame.source_sites}
    train = {site: pair.train["source"] for site, pair in pairs.items()}
    monitor = {site: pair.monitor["source"] for site, pair in pairs.items()}
    any_pair = next(iter(pairs.values()))
    train[frame.reference_site] = any_pair.train["reference"]
    monitor[frame.reference_site] = any_pair.monitor["reference"]
    return PairData(volumes=data.network, train=train, monitor=monitor, fine=data.fine)
