"""Fitting and keeping of the harmonizers of a study: the delivered ones and the half models.

A model whose scans, settings and seed are unchanged is read back instead of fitted. New ones are
written beside the old and take their place at the end, in one go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.config import settings_hash
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.harmonizers import HARMONIZERS, make_harmonizer
from bids_harmonize.harmonizers.base import (
    JOINT,
    PAIRWISE,
    FitReport,
    Frame,
    Harmonizer,
    TrainingData,
)
from bids_harmonize.harmonizers.card import ReferenceCard
from bids_harmonize.harmonizers.card_localhistogram import CardLocalHistogram
from bids_harmonize.harmonizers.median_reference import median_high, median_reference
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.harmonization.card_reference import load_reference_card
from bids_harmonize.stages.harmonization.files import (
    HELD,
    training_facts,
    training_table,
    write_model,
)
from bids_harmonize.stages.harmonization.halves import half_of_participants
from bids_harmonize.stages.harmonization.methods import harmonizer_settings
from bids_harmonize.stages.inputs import generator_resolution_mm, scan_files, takes_sub_boxes
from bids_harmonize.training.checkpoint import load_weights
from bids_harmonize.training.splits import check_no_leak, make_monitor
from bids_harmonize.training.volumes import (
    DiskVolumes,
    MappedVolumes,
    SelectedVolumes,
    map_volumes,
)

_VERSION = 3  # raise when fitted models change, so that old ones are not reused


@dataclass(frozen=True)
class Fitted:
    """A fitted harmonizer and how it came about.

    Attributes
    ----------
    harmonizer
        Ready to transform.
    folder
        Where its files lie: already in ``models/`` if it was reused, else waiting.
    report
        What happened while fitting; that of the earlier run if it was reused.
    reused
        Whether nothing had changed.
    """

    harmonizer: Harmonizer
    folder: Path
    report: FitReport
    reused: bool


@dataclass(frozen=True)
class TrainingSet:
    """The scans that may be trained on, on both grids, and who they are; ``fine`` for boxes."""

    context: StageContext
    native: DiskVolumes
    network: MappedVolumes
    sha256: Mapping[str, str]
    card: ReferenceCard | None = None
    fine: MappedVolumes | None = None

    def fit(self, name: str, people: frozenset[str], *, part: str | None, new: Path) -> Fitted:
        """A harmonizer fitted on some participants, or the unchanged one of an earlier run.

        Parameters
        ----------
        name
            Its row in the table.
        people
            Participants to fit on, the monitor among them. Those held back give nothing to the
            fit, and stand in its ``splits.tsv``.
        part
            ``half-1`` or ``half-2``; ``None`` for the delivered model.
        new
            Folder in which new models wait.

        Returns
        -------
        Fitted
            With all files of the model written where ``folder`` says.

        Raises
        ------
        LeakError
            If a travelling subject is among them.
        """
        study, settings = self.context.study, self.context.settings
        check_no_leak(people, held_out=study.travelling)
        site_of = {p: site for p, site in study.site_of_participant().items() if p in people}
        monitor = make_monitor(site_of, seed=settings.run.random_seed)
        own = harmonizer_settings(settings, name)
        sources = settings.group.sources if HARMONIZERS[name].trained else PAIRWISE
        fingerprint = self._fingerprint(name, people, own, sources=sources)
        final = harmonizer_folder(study.output_dir, name, study.reference_site)
        if part is not None:
            final = final / part
        if settings.run.resume and (found := _unchanged(final, fingerprint)) is not None:
            return found
        data = self._data(people, monitor)
        harmonizer = self._make(name, own, data, sources=sources)
        work = self.context.work_dir / "harmonize" / "-".join(filter(None, (name, part)))
        report = harmonizer.fit(
            data,
            runtime=self.context.runtime,
            seed=settings.run.random_seed,
            work_dir=work,
            resume=settings.run.resume,
        )
        folder = new / final.relative_to(study.output_dir)
        write_model(
            folder,
            harmonizer,
            report,
            training=training_table(study, self._scans(data), self.sha256),
            splits=self._splits(people, data),
            provenance={
                "grid": {"shape": list(study.grid_shape), "voxel_size_mm": study.voxel_size_mm},
                "random_seed": settings.run.random_seed,
                "fingerprint": fingerprint,
                "settings_hash": settings_hash(name, own),
                "run_id": self.context.run_id,
                **training_facts(study),
            },
        )
        return Fitted(harmonizer, folder, report, reused=False)

    def _make(
        self, name: str, own: Mapping[str, Any], data: TrainingData, *, sources: str
    ) -> Harmonizer:
        study = self.context.study
        if study.outside_reference and HARMONIZERS[name].trained:
            frame = Frame(
                reference_site=study.reference_site,
                source_sites=study.trained_sites,
                voxel_size_mm=study.voxel_size_mm,
                scaling_mask=study.scaling_mask,
            )
            return CardLocalHistogram(frame, own, self.card or self._median(data))
        return make_harmonizer(
            name,
            reference_site=study.reference_site,
            source_sites=study.trained_sites,
            voxel_size_mm=study.voxel_size_mm,
            scaling_mask=study.scaling_mask,
            settings=own,
            sources=sources,
        )

    def _data(self, people: frozenset[str], monitor: frozenset[str]) -> TrainingData:
        study = self.context.study
        chosen = [n for n, s in enumerate(self.native.scans) if s.participant_id in people]
        data = TrainingData(
            native=SelectedVolumes(self.native, chosen),
            network=SelectedVolumes(self.network, chosen),
            reference_site=study.reference_site,
            monitor=monitor,
            reference_high=self.card.high_ref if self.card else None,
            fine=SelectedVolumes(self.fine, chosen) if self.fine is not None else None,
        )
        if study.virtual_reference:
            return replace(data, reference_high=median_high(data, study.trained_sites))
        return data

    def _median(self, data: TrainingData) -> ReferenceCard:
        """The virtual reference, from these scans alone: each half has its own."""
        study, device = self.context.study, self.context.runtime.device
        return median_reference(
            data, study.trained_sites, scaling_mask=study.scaling_mask, device=device
        )

    def _scans(self, data: TrainingData) -> list[DerivedScan]:
        return [self.context.study.scan(scan.key) for scan in data.native.scans]

    def _splits(self, people: frozenset[str], data: TrainingData) -> pd.DataFrame:
        """Who trained, who watched, who was held back, and in which half everybody stands."""
        study = self.context.study
        site_of = {scan.participant_id: scan.site for scan in data.native.scans}
        held = study.usable_scans(people & study.held_back)
        site_of |= {scan.participant_id: scan.site for scan in held}
        words = {**dict.fromkeys(data.monitor, "monitor"), **dict.fromkeys(study.held_back, HELD)}
        half_of = half_of_participants(study, self.context.settings)
        frame = pd.DataFrame({"participant_id": site_of.keys(), "site": site_of.values()})
        return frame.assign(
            split=frame["participant_id"].map(words).fillna("train"),
            half=frame["participant_id"].map(half_of),
        )

    def _fingerprint(
        self, name: str, people: frozenset[str], own: Mapping[str, Any], *, sources: str
    ) -> str:
        study, runtime = self.context.study, self.context.runtime
        return settings_hash(
            _VERSION,
            name,
            dict(own),
            sorted((scan.key, scan.site, self.sha256[scan.key]) for scan in self.network.scans),
            sorted(people),
            [study.reference_site, study.trained_sites, study.scaling_mask],
            [self.network.shape, self.network.voxel_size_mm, runtime.device.type],
            *([JOINT] if sources == JOINT else []),
            *(["sub-boxes"] if self.fine is not None and HARMONIZERS[name].trained else []),
            [runtime.precision, self.context.settings.run.random_seed],
            *([self.card.sources] if self.card else []),
        )


def load_training_set(context: StageContext) -> TrainingSet:
    """The scans of a study that models are fitted on, on the study grid and the network's.

    Parameters
    ----------
    context
        The study and its settings.

    Returns
    -------
    TrainingSet
        Without anybody travelling or held back.

    Raises
    ------
    LeakError
        If somebody who must stay unseen is among the scans.
    UnusableDataError
        If a reference card does not fit the study.
    """
    study = context.study
    card = load_reference_card(study, context.settings)
    scans = study.training_scans
    people = (scan.participant_id for scan in scans)
    check_no_leak(people, held_out=study.travelling | study.held_back)
    native = DiskVolumes([scan_files(scan) for scan in scans], study.scaling_mask)
    resolution_mm = generator_resolution_mm(study, context.settings, context.runtime)
    if card is not None:  # its numbers hold on its own grid only
        resolution_mm = card.voxel_size_mm
    network = map_volumes(native, resolution_mm=resolution_mm, folder=context.work_dir)
    fine = None
    if takes_sub_boxes(study, context.settings, context.runtime):
        fine = map_volumes(native, resolution_mm=study.voxel_size_mm, folder=context.work_dir)
    sha256 = {scan.stem: file_sha256(scan.t1w) for scan in scans}
    return TrainingSet(context, native, network, sha256, card, fine)


def _unchanged(folder: Path, fingerprint: str) -> Fitted | None:
    if not (folder / "model.json").is_file():
        return None
    try:
        _, model = load_weights(folder)
        if model.get("fingerprint") != fingerprint:
            return None
        harmonizer = load_harmonizer(folder)
    except UnusableDataError:
        return None  # of another version, or half written: fitted again
    fell_back = tuple(model["learnt"].get("fell_back", []))
    report = FitReport(fell_back=fell_back, warnings=tuple(model.get("warnings", [])))
    return Fitted(harmonizer, folder, report, reused=True)
