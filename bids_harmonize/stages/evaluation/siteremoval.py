"""Site probes of the unharmonized images, the best baseline and the chosen harmonizer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_harmonize.bids.judged import JudgedImages
from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.tables import write_table
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.models import FoldModel, unseen_predictions
from bids_harmonize.stages.evaluation.comparison import IDENTITY
from bids_harmonize.stages.evaluation.forest_probe import forest_predictions, texture_table
from bids_harmonize.stages.evaluation.judged import judged_volumes
from bids_harmonize.stages.evaluation.probes import (
    PROBE_COLUMNS,
    ProbeTraining,
    histogram_mmd,
    probe_row,
    reseeded_predictions,
    too_small_half,
)
from bids_harmonize.stages.evaluation.tables import probe_columns
from bids_harmonize.stages.harmonization.crossfit import (
    HalfModels,
    cross_fitted_images,
    fit_baseline_halves,
)
from bids_harmonize.stages.inputs import scan_files
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.volumes import DiskVolumes, VolumeSource, map_volumes

# A quick run trains as few probes as can still be cross-validated, and none for the baseline.
QUICK_SEEDS, FULL_SEEDS = 1, 5
QUICK_FOLDS = 2
_LEAST_SITES = 2  # for one to be told from another


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
    *,
    baseline: str,
    half_models: HalfModels | None,
    folds: Sequence[FoldModel],
    resolution_mm: float,
    judged: Sequence[JudgedImages] = (),
) -> SiteRemoval:
    """Train and ask the probes, and write their table.

    Parameters
    ----------
    context
        The study and its settings.
    baseline
        The training-free method to stand beside the chosen one.
    half_models
        The chosen harmonizer fitted on each half; ``None`` where it was not.
    folds
        The cross-validated site classifiers; without any there is no frozen probe.
    resolution_mm
        Voxel size that the probes see.
    judged
        Images of other tools; as they are, so whoever trained a tool is seen by it.

    Returns
    -------
    SiteRemoval
        A failure for every suspected leak.
    """
    study, settings = context.study, context.settings
    chosen = settings.group.harmonizer
    native = DiskVolumes([scan_files(scan) for scan in study.training_scans], study.scaling_mask)
    network = map_volumes(native, resolution_mm=resolution_mm, folder=context.work_dir)
    reason = too_small_half(
        study.site_of_participant(), half_models.halves if half_models else (), study.trained_sites
    )
    warnings = []
    if reason is not None:
        warnings.append(f"the site probes cannot tell whether the site is gone: {reason}")
    if not folds:
        warnings.append("there is no frozen probe: the stage classify has not run")
    foreign = {one.method: one for one in judged}
    own_methods = tuple(dict.fromkeys((IDENTITY, baseline, chosen)))
    fitted = half_models if reason is None else None
    probing = _Probing(context, own_methods, foreign, tuple(folds), fitted)
    rows, fresh = [], None
    for method in (*own_methods, *foreign):
        images = probing.images(method, native, network)
        if images is None and method in foreign:
            warnings.append(
                f"{method} was not probed: some scan of a source site has no image in "
                f"{foreign[method].folder}"
            )
        own, first = probing.rows(method, images)
        rows += own
        fresh = first if method == chosen else fresh
    frame = pd.DataFrame(rows, columns=list(PROBE_COLUMNS))
    frame = frame.astype({"seed": "Int64", "n": "Int64"})
    path = group_output(study.output_dir, "group_siteprobe")
    effort = settings.group.effort
    columns = probe_columns(effort=effort, n_folds=probing.n_folds, resolution_mm=resolution_mm)
    write_table(path, frame, columns)
    failures = tuple(
        f"leak suspected: a fresh probe of {row['method']} images is far below chance "
        f"({row['balanced_accuracy']:.2f}, {row['probe']}, seed {row['seed']})"
        for row in rows
        if row["leak_suspected"]
    )
    return SiteRemoval(frame, fresh, (path,), tuple(warnings), failures)


class _Probing:
    """Probes of one run, asked about one method after the other."""

    def __init__(
        self,
        context: StageContext,
        own_methods: tuple[str, ...],
        foreign: Mapping[str, JudgedImages],
        folds: tuple[FoldModel, ...],
        half_models: HalfModels | None,
    ) -> None:
        self.context = context
        self.foreign = foreign
        self.folds = folds
        self.half_models = half_models
        quick = context.settings.group.effort == "quick"
        chosen = context.settings.group.harmonizer
        self.probed_afresh = (*((IDENTITY, chosen) if quick else own_methods), *foreign)
        self.n_folds = QUICK_FOLDS if quick else context.settings.group.folds
        start = context.settings.run.random_seed
        self.seeds = range(start, start + (QUICK_SEEDS if quick else FULL_SEEDS))

    def images(
        self, method: str, native: DiskVolumes, network: VolumeSource
    ) -> VolumeSource | None:
        """Cross-fitted images of a method, those of another tool as they are; ``None`` if none."""
        if method == IDENTITY:
            return network
        folder = self.context.work_dir / "evaluate"
        if method in self.foreign:
            return judged_volumes(
                self.foreign[method],
                (native, network),
                reference_site=self.context.study.reference_site,
                path=folder / f"judged-{self.foreign[method].name}.npy",
            )
        if self.half_models is None:
            return None
        fitted = self.half_models
        if method != self.context.settings.group.harmonizer:
            fitted = fit_baseline_halves(
                method,
                (native, network),
                fitted.halves,
                reference_site=self.context.study.reference_site,
                runtime=self.context.runtime,
                work_dir=folder,
                reference_high=self._outside_high(fitted),
            )
        return cross_fitted_images(
            fitted, (native, network), path=folder / f"crossfitted-{method}.npy"
        )

    def _outside_high(self, fitted: HalfModels) -> float | None:
        """Unit of a reference without images here."""
        study = self.context.study
        return fitted.models[0].high[study.reference_site] if study.outside_reference else None

    def rows(
        self, method: str, images: VolumeSource | None
    ) -> tuple[list[dict[str, object]], pd.DataFrame | None]:
        """Rows of the table, and the first fresh probe's predictions."""
        reference = self.context.study.reference_site
        facts: dict[str, object] = {"method": method, "sites": "all"}
        if images is None:
            rows = [self._untold(facts, "frozen")]
            if method in self.probed_afresh:
                rows.append(self._untold(facts, "reseeded"))
            return rows, None
        facts["mmd"] = histogram_mmd(images, reference_site=reference)
        rows = [self._untold(facts, "frozen")]
        if self.folds:
            predictions = unseen_predictions(images, self.folds)
            rows = [{**facts, "seed": None, **self._numbers(predictions, "frozen", method, 0)}]
        if method not in self.probed_afresh:
            return rows, None
        halves = self._parts(method, images)
        if not halves:
            return [*rows, self._untold(facts, "reseeded")], None
        first = None
        for seed in self.seeds:
            predictions = self._fresh(images, halves, seed)
            first = predictions if first is None else first
            numbers = self._numbers(predictions, "reseeded", method, seed)
            rows.append({**facts, "seed": seed, **numbers})
        return [*rows, *self._forest_rows(facts, images, halves)], first

    def _parts(self, method: str, images: VolumeSource) -> tuple[frozenset[str], ...]:
        """Inside whom probes are cross-validated: each half, or for another tool everybody.

        A tool that was fitted on everybody leaves the people of a fold too little of their site
        where those that train have too much; inside halves this would be overlooked.
        """
        if len({scan.site for scan in images.scans}) < _LEAST_SITES:
            return ()
        if method in self.foreign:
            return (frozenset(scan.participant_id for scan in images.scans),)
        return () if self.half_models is None else self.half_models.halves

    def _forest_rows(
        self,
        facts: Mapping[str, object],
        images: VolumeSource,
        halves: Sequence[frozenset[str]],
    ) -> Iterator[dict[str, object]]:
        """Forests on all sites, and on the source sites alone where there are two or more."""
        seed, method = self.seeds[0], str(facts["method"])
        table = texture_table(images)
        asked = {"all": table}
        sources = table[table["site"] != self.context.study.reference_site]
        if len(sources) < len(table) and sources["site"].nunique() >= _LEAST_SITES:
            asked["sources"] = sources
        for sites, rows in asked.items():
            found = forest_predictions(rows, halves, n_folds=self.n_folds, seed=seed)
            numbers = self._numbers(found, "forest", f"{method}-{sites}", seed)
            yield {**facts, "sites": sites, "seed": seed, **numbers}

    def _fresh(
        self, images: VolumeSource, halves: Sequence[frozenset[str]], seed: int
    ) -> pd.DataFrame:
        training = ProbeTraining(
            settings=self.context.settings.classifier,
            runtime=self.context.runtime,
            n_folds=self.n_folds,
            seed=seed,
        )
        return reseeded_predictions(images, halves, training=training)

    def _numbers(
        self, predictions: pd.DataFrame, probe: str, method: str, seed: int
    ) -> dict[str, object]:
        start = self.context.settings.run.random_seed
        rng = seeded_generator(start, "evaluate", probe, method, str(seed))
        reference = self.context.study.reference_site
        return probe_row(predictions, probe=probe, reference_site=reference, rng=rng)

    def _untold(self, facts: dict[str, object], probe: str) -> dict[str, object]:
        n_sites = len(self.context.study.trained_sites)
        empty = dict.fromkeys(PROBE_COLUMNS)
        return {**empty, "chance": 1 / n_sites, **facts, "probe": probe}
