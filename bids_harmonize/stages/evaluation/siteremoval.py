"""Site probes of the unharmonized images, the best baseline and the chosen harmonizer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.tables import write_table
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.models import FoldModel, unseen_predictions
from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.evaluation.forest_probe import forest_predictions, texture_table
from bids_harmonize.stages.evaluation.fresh_probe import (
    ALL_NAMED,
    CONVERGED_LENGTH,
    FreshAnswers,
    FreshProbe,
    ProbeTraining,
    fresh_answers,
    without_site,
)
from bids_harmonize.stages.evaluation.probe_images import ProbeImages
from bids_harmonize.stages.evaluation.probes import PROBE_COLUMNS, histogram_mmd, probe_row
from bids_harmonize.stages.evaluation.tables import probe_columns
from bids_harmonize.stages.kept_answers import KeptAnswers
from bids_harmonize.stages.trainings import Trainers
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.volumes import VolumeSource

# A quick run trains as few probes as can still be cross-validated, and none for the baseline.
QUICK_SEEDS, FULL_SEEDS = 1, 5
QUICK_FOLDS = 2
_LEAST_SITES = 2  # for one to be told from another

Row = dict[str, object]
"""One line of group_siteprobe.tsv."""


@dataclass(frozen=True)
class SiteRemoval:
    """What the probes found.

    Attributes
    ----------
    probes
        Rows of group_siteprobe.tsv; without numbers where nothing can be told.
    fresh
        Predictions of the fresh probes on the chosen harmonizer's images, first seed; ``None``
        where none was trained.
    """

    probes: pd.DataFrame
    fresh: pd.DataFrame | None
    files: tuple[Path, ...]
    warnings: tuple[str, ...]
    failures: tuple[str, ...]


def probe_sites(
    context: StageContext,
    images: ProbeImages,
    *,
    baseline: str,
    folds: Sequence[FoldModel],
    trainers: Trainers,
) -> SiteRemoval:
    """Train and ask the probes, and write their table.

    Parameters
    ----------
    context
        The study and its settings.
    images
        What the probes look at.
    baseline
        The training-free method to stand beside the chosen one.
    folds
        The cross-validated site classifiers; without any there is no frozen probe.
    trainers
        Train the fresh ones.

    Returns
    -------
    SiteRemoval
        A failure for every suspected leak.
    """
    study, settings = context.study, context.settings
    chosen = settings.group.harmonizer
    warnings = []
    if images.why_none is not None:
        warnings.append(f"the site probes cannot tell whether the site is gone: {images.why_none}")
    if not folds:
        warnings.append("there is no frozen probe: the stage classify has not run")
    own_methods = tuple(dict.fromkeys((IDENTITY, baseline, chosen)))
    probing = _Probing(context, images, own_methods, tuple(folds), trainers)
    rows, fresh = [], None
    for method in (*own_methods, *images.foreign):
        if method in images.foreign and images.of(method) is None:
            warnings.append(
                f"{method} was not probed: some scan of a source site has no image in "
                f"{images.foreign[method].folder}"
            )
        own, first = probing.rows(method)
        rows += own
        fresh = first if method == chosen else fresh
    frame = pd.DataFrame(rows, columns=list(PROBE_COLUMNS))
    frame = frame.astype({"seed": "Int64", "n": "Int64"})
    path = group_output(study.output_dir, "group_siteprobe")
    effort = settings.group.effort
    columns = probe_columns(
        effort=effort, n_folds=probing.n_folds, resolution_mm=images.resolution_mm
    )
    write_table(path, frame, columns)
    failures = tuple(
        f"leak suspected: a fresh probe of {row['method']} images is far below chance "
        f"({row['balanced_accuracy']:.2f}, {row['probe']}, seed {row['seed']})"
        for row in rows
        if row["leak_suspected"]
    )
    return SiteRemoval(frame, fresh, (path,), tuple(warnings), failures)


def _leaves_room(reseeded: Sequence[Row]) -> bool:
    """Whether a longer training could name more than the short ones did, by their mean."""
    return float(np.mean([row["balanced_accuracy"] for row in reseeded])) < ALL_NAMED


def _n_sites(images: VolumeSource) -> int:
    return len({scan.site for scan in images.scans})


class _Probing:
    """Probes of one run, asked about one method after the other."""

    def __init__(
        self,
        context: StageContext,
        images: ProbeImages,
        own_methods: tuple[str, ...],
        folds: tuple[FoldModel, ...],
        trainers: Trainers,
    ) -> None:
        self.context = context
        self.images = images
        self.folds = folds
        self.trainers = trainers
        self.kept = KeptAnswers(
            context.work_dir / "evaluate" / "probes", context.settings.run.resume
        )
        self.quick = context.settings.group.effort == "quick"
        chosen = context.settings.group.harmonizer
        self.probed_afresh = (
            *((IDENTITY, chosen) if self.quick else own_methods),
            *images.foreign,
        )
        self.n_folds = QUICK_FOLDS if self.quick else context.settings.group.folds
        start = context.settings.run.random_seed
        self.seeds = range(start, start + (QUICK_SEEDS if self.quick else FULL_SEEDS))

    def rows(self, method: str) -> tuple[list[Row], pd.DataFrame | None]:
        """Rows of the table, and the first fresh probe's predictions."""
        reference = self.context.study.reference_site
        facts: Row = {"method": method, "sites": "all"}
        images = self.images.of(method)
        if images is None:
            rows = [self._untold(facts, "frozen")]
            if method in self.probed_afresh:
                rows.append(self._untold(facts, "reseeded"))
            return rows, None
        facts["mmd"] = histogram_mmd(images, reference_site=reference)
        rows = [self._untold(facts, "frozen")]
        if self.folds:
            predictions = unseen_predictions(images, self.folds)
            rows = [{**facts, "seed": None, **self._numbers(facts, predictions, "frozen", 0)}]
        if method not in self.probed_afresh:
            return rows, None
        parts = self._parts(method, images)
        if not parts:
            return [*rows, self._untold(facts, "reseeded")], None
        found = self._fresh([self._probe(facts, images, parts, seed) for seed in self.seeds])
        reseeded = [
            self._fresh_row(facts, answers, "reseeded", seed)
            for seed, answers in zip(self.seeds, found, strict=True)
        ]
        rows += reseeded
        if not self.quick and _leaves_room(reseeded):
            rows += self._converged_rows(facts, images, parts)
        rows += self._forest_rows(facts, images, parts)
        return rows, found[0].predictions

    def _parts(self, method: str, images: VolumeSource) -> tuple[frozenset[str], ...]:
        """Inside whom probes are cross-validated: each half, or for another tool everybody.

        A tool that was fitted on everybody leaves the people of a fold too little of their site
        where those that train have too much; inside halves this would be overlooked.
        """
        if _n_sites(images) < _LEAST_SITES:
            return ()
        if method in self.images.foreign:
            return (frozenset(scan.participant_id for scan in images.scans),)
        return self.images.halves

    def _choices(self, images: VolumeSource) -> dict[str, VolumeSource]:
        """Scans of all sites, and of the source sites alone where there are two or more."""
        choices: dict[str, VolumeSource] = {"all": images}
        sources = without_site(images, self.context.study.reference_site)
        if len(sources) < len(images) and _n_sites(sources) >= _LEAST_SITES:
            choices["sources"] = sources
        return choices

    def _converged_rows(
        self, facts: Row, images: VolumeSource, parts: Sequence[frozenset[str]]
    ) -> Iterator[Row]:
        choices = self._choices(images)
        seed = self.seeds[0]
        asked = [{**facts, "sites": sites} for sites in choices]
        probes = [
            self._probe(own, scans, parts, seed, length=CONVERGED_LENGTH)
            for own, scans in zip(asked, choices.values(), strict=True)
        ]
        for own, found in zip(asked, self._fresh(probes), strict=True):
            yield self._fresh_row(own, found, "converged", seed)

    def _forest_rows(
        self, facts: Row, images: VolumeSource, parts: Sequence[frozenset[str]]
    ) -> Iterator[Row]:
        seed = self.seeds[0]
        table = texture_table(images)
        for sites, scans in self._choices(images).items():
            rows = table.loc[[scan.key for scan in scans.scans]]
            found = forest_predictions(rows, parts, n_folds=self.n_folds, seed=seed)
            asked = {**facts, "sites": sites}
            yield {**asked, "seed": seed, **self._numbers(asked, found, "forest", seed)}

    def _probe(
        self,
        facts: Row,
        images: VolumeSource,
        parts: Sequence[frozenset[str]],
        seed: int,
        *,
        length: int = 1,
    ) -> FreshProbe:
        training = ProbeTraining(
            settings=self.context.settings.classifier,
            n_folds=self.n_folds,
            seed=seed,
            name=f"{facts['method']}_{facts['sites']}_length-{length}".replace(":", "-"),
            length=length,
        )
        return FreshProbe(images, tuple(parts), training)

    def _fresh(self, probes: Sequence[FreshProbe]) -> list[FreshAnswers]:
        return fresh_answers(probes, trainers=self.trainers, kept=self.kept)

    def _fresh_row(self, facts: Row, found: FreshAnswers, probe: str, seed: int) -> Row:
        numbers = self._numbers(facts, found.predictions, probe, seed)
        return {**facts, "seed": seed, **numbers, "train_accuracy": found.train_accuracy}

    def _numbers(self, facts: Row, predictions: pd.DataFrame, probe: str, seed: int) -> Row:
        start = self.context.settings.run.random_seed
        purpose = f"{facts['method']}-{facts['sites']}"
        rng = seeded_generator(start, "evaluate", probe, purpose, str(seed))
        reference = self.context.study.reference_site
        return probe_row(predictions, probe=probe, reference_site=reference, rng=rng)

    def _untold(self, facts: Row, probe: str) -> Row:
        n_sites = len(self.context.study.trained_sites)
        empty = dict.fromkeys(PROBE_COLUMNS)
        return {**empty, "chance": 1 / n_sites, **facts, "probe": probe}
