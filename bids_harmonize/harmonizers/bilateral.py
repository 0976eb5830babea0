"""Trained harmonizers: a pair of generators between each source and the reference.

``cyclegan`` and ``localhistogram`` are this one class with other weights of the losses. Where a
pair's training and its restart both diverge, its scans are served by ``n4_histogram``, said aloud.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bids_harmonize.config import settings_hash
from bids_harmonize.harmonizers import check_harmonizer_settings, n4_histogram
from bids_harmonize.harmonizers.alarm import training_warning
from bids_harmonize.harmonizers.base import FitReport, Frame, TrainingData, keep_outside
from bids_harmonize.harmonizers.site_shares import SITE_SHARES, read_shares, share_rows
from bids_harmonize.imaging.types import Mask, Volume
from bids_harmonize.training.generation import generate
from bids_harmonize.training.pair_data import (
    DIRECTIONS,
    REFERENCE,
    SOURCE,
    PairData,
    PairSettings,
)
from bids_harmonize.training.pairs import PairResult, PairRun, PairTask, train_pairs
from bids_harmonize.training.runtime import Runtime, derived_seed
from bids_harmonize.training.targets import SiteShares

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator

FALLBACK = "n4_histogram"
_SAME_MM = 1e-3
_TRAINING_VERSION = 3  # raise when a training's state changes, so that old checkpoints are left
_SEPARATOR = "/"


class Bilateral:
    """Generators for every source site and both directions; see the protocol in ``base``.

    Parameters
    ----------
    name
        The method's row.
    frame
        Sites and units.
    settings
        All settings of the row.
    """

    def __init__(self, name: str, frame: Frame, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.frame = frame
        self.settings = settings
        self.high: Mapping[str, float] = {}
        self.generators: dict[tuple[str, str], TrainedGenerator] = {}
        self.shares: dict[tuple[str, str], SiteShares] = {}
        self.network_voxel_size_mm = self.loss_voxel_size_mm = frame.voxel_size_mm
        self.fell_back: tuple[str, ...] = ()
        self.device = torch.device("cpu")
        self._fallback = n4_histogram.make(frame, check_harmonizer_settings(FALLBACK, {}))

    def fit(
        self, data: TrainingData, *, runtime: Runtime, seed: int, work_dir: Path, resume: bool
    ) -> FitReport:
        """Train every pair; see the protocol."""
        self.high = {site: data.median_high(site) for site in self.frame.sites}
        self.network_voxel_size_mm = data.network.voxel_size_mm
        self.loss_voxel_size_mm = data.loss_voxel_size_mm
        self.device = runtime.device
        self._fallback.fit(data, runtime=runtime, seed=seed, work_dir=work_dir, resume=resume)
        self.generators, self.shares = {}, {}
        failed: list[str] = []
        warnings: list[str] = []
        rows: list[Mapping[str, Any]] = []
        tasks = {
            site: self._task(data, site, seed=seed, work_dir=work_dir, resume=resume)
            for site in self.frame.source_sites
        }
        results = train_pairs(list(tasks.values()), runtime=runtime)
        for (site, task), result in zip(tasks.items(), results, strict=True):
            rows += [{**row, "source_site": site} for row in result.rows]
            warning = training_warning(
                result,
                task.data,
                site=site,
                reference_site=data.reference_site,
                rival=self._fallback,
                seed=task.seed,
            )
            warnings += [f"{self.name}: {warning}"] if warning else []
            if result.diverged:
                failed.append(site)
            else:
                self._take(site, result)
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
        """Volume of one site with the other's brightness; see the protocol."""
        direction = self.frame.direction(site, to_site)
        if direction is None:
            return volume
        if direction not in self.generators:
            return self._fallback.transform(
                volume, site=site, to_site=to_site, head_mask=head_mask, brain_mask=brain_mask
            )
        changed = generate(
            self.generators[direction],
            volume,
            head_mask=head_mask,
            voxel_size_mm=self.frame.voxel_size_mm,
        )
        return keep_outside(changed, volume, head_mask)

    def method(self, site: str) -> str:
        """Its own name, or ``n4_histogram`` for a site whose training diverged twice."""
        return FALLBACK if site in self.fell_back else self.name

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All generators, and the fallback where it serves a site."""
        tensors = {
            _SEPARATOR.join(
                (
                    "generator",
                    str(self.frame.sites.index(origin)),
                    str(self.frame.sites.index(target)),
                    name,
                )
            ): tensor
            for (origin, target), generator in self.generators.items()
            for name, tensor in generator.state_dict().items()
        }
        if self.fell_back:
            curves, _ = self._fallback.capture()
            tensors |= {f"fallback{_SEPARATOR}{site}": curve for site, curve in curves.items()}
        return tensors, {
            "network_voxel_size_mm": self.network_voxel_size_mm,
            "loss_voxel_size_mm": self.loss_voxel_size_mm,
            "fell_back": list(self.fell_back),
            SITE_SHARES: share_rows(self.shares),
        }

    def restore(self, tensors: Mapping[str, Tensor], learnt: Mapping[str, Any]) -> None:
        """Put the generators back."""
        self.network_voxel_size_mm = learnt["network_voxel_size_mm"]
        self.loss_voxel_size_mm = learnt.get("loss_voxel_size_mm", self.network_voxel_size_mm)
        self.fell_back = tuple(learnt["fell_back"])
        self.shares = read_shares(learnt)
        self.generators = {}
        weights: dict[tuple[str, str], dict[str, Tensor]] = {}
        curves: dict[str, Tensor] = {}
        for key, tensor in tensors.items():
            kind, rest = key.split(_SEPARATOR, 1)
            if kind == "fallback":
                curves[rest] = tensor
                continue
            origin, target, name = rest.split(_SEPARATOR, 2)
            direction = (self.frame.sites[int(origin)], self.frame.sites[int(target)])
            weights.setdefault(direction, {})[name] = tensor
        for direction, state in weights.items():
            self.generators[direction] = self._make_generator(state)
        self._fallback.restore(curves, {})

    def _task(
        self, data: TrainingData, site: str, *, seed: int, work_dir: Path, resume: bool
    ) -> PairTask:
        """The training of one source site and the reference."""
        frame = self.frame
        pair = (site, frame.reference_site)
        return PairTask(
            data=pair_data(data, site),
            settings=PairSettings(**self.settings),
            seed=derived_seed(seed, self.name, site),
            sharpens=is_same_grid(self.loss_voxel_size_mm, frame),
            run=PairRun(
                name=f"{self.name} {site} and {frame.reference_site}",
                folder=work_dir / f"pair-{frame.source_sites.index(site)}",
                resume=resume,
                fingerprint=training_fingerprint(
                    self.name, self.settings, frame, data, pair, seed
                ),
            ),
        )

    def _take(self, site: str, result: PairResult) -> None:
        names = {SOURCE: site, REFERENCE: self.frame.reference_site}
        for direction, (origin, target) in DIRECTIONS.items():
            way = names[origin], names[target]
            self.generators[way] = self._make_generator(result.weights[direction])
            if direction in result.shares:
                self.shares[way] = result.shares[direction]

    def _make_generator(self, weights: Mapping[str, Tensor]) -> "TrainedGenerator":
        return load_generator(
            PairSettings(**self.settings),
            weights,
            voxel_size_mm=self.network_voxel_size_mm,
            sharpened_mm=sharpened_mm(self.loss_voxel_size_mm, self.frame),
            device=self.device,
        )


def load_generator(
    settings: PairSettings,
    weights: Mapping[str, Tensor],
    *,
    voxel_size_mm: float,
    sharpened_mm: float | None,
    device: torch.device,
) -> "TrainedGenerator":
    """A trained generator, ready to use.

    Parameters
    ----------
    settings
        Of its training; they name its kind.
    weights
        As its ``state_dict`` gave them.
    voxel_size_mm
        That of the grid on which it was trained, mm.
    sharpened_mm
        See :func:`sharpened_mm`.
    device
        Where it shall live.

    Returns
    -------
    TrainedGenerator
        Without gradients.
    """
    generator = settings.make_generator(voxel_size_mm=voxel_size_mm, sharpened_mm=sharpened_mm)
    generator.load_state_dict(weights)
    return generator.eval().requires_grad_(False).to(device)


def is_same_grid(voxel_size_mm: float, frame: Frame) -> bool:
    """Whether a grid of a training has the voxels of the study (mm)."""
    return abs(voxel_size_mm - frame.voxel_size_mm) < _SAME_MM


def sharpened_mm(loss_voxel_size_mm: float, frame: Frame) -> float | None:
    """Voxel size (mm) that sharpening weights were learnt for, or ``None`` where there are none.

    They are in voxels: of use only where losses were taken at the voxel size of the study.
    """
    return frame.voxel_size_mm if is_same_grid(loss_voxel_size_mm, frame) else None


def training_fingerprint(
    name: str,
    settings: Mapping[str, Any],
    frame: Frame,
    data: TrainingData,
    sites: Iterable[str],
    seed: int,
) -> str:
    """Hash of all that shapes a training on the scans of some sites."""
    of_sites = set(sites)
    scans = [
        [scan.key, scan.site, data.network.scaling(index).high]
        for index, scan in enumerate(data.network.scans)
        if scan.site in of_sites
    ]
    return settings_hash(
        _TRAINING_VERSION,
        name,
        dict(settings),
        frame,
        scans,
        sorted(data.monitor),
        seed,
        data.network.shape,
        data.network.voxel_size_mm,
        *([] if data.fine is None else [data.fine.shape, data.fine.voxel_size_mm]),
    )


def pair_data(data: TrainingData, site: str) -> PairData:
    """The scans of a source site and of the reference, those of ``monitor`` apart."""
    sides = {SOURCE: data.split_site(site), REFERENCE: data.split_site(data.reference_site)}
    return PairData(
        volumes=data.network,
        train={side: train for side, (train, _) in sides.items()},
        monitor={side: monitor for side, (_, monitor) in sides.items()},
        fine=data.fine,
    )
