"""Stage ``disorder``: what differs between cases and controls, with the site dealt with four ways.

The arms stand side by side in tables of identical columns, because no way is right by itself: raw
shows what the site does, and a difference that only one arm shows is that arm's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.config import Settings
from bids_harmonize.errors import MissingInputError, ScanError, UnusableDataError
from bids_harmonize.stages import FeatureContext, StageContext, StageResult
from bids_harmonize.stages.case_control.arms import Arm, CombatFeatures, make_arms
from bids_harmonize.stages.case_control.checks import read_maps
from bids_harmonize.stages.case_control.cohort import Cohort, make_cohort
from bids_harmonize.stages.case_control.columns import (
    COMPARED_P,
    arm_column,
    deviation_columns,
    disorder_columns,
    score_columns,
)
from bids_harmonize.stages.case_control.deviations import (
    deal_folds,
    deviations,
    normative_rows,
)
from bids_harmonize.stages.case_control.effects import (
    ALL_SITES,
    case_control_rows,
    meta_rows,
    site_effect_rows,
)
from bids_harmonize.stages.case_control.given import read_given, with_given
from bids_harmonize.stages.case_control.keeping import keep_combat
from bids_harmonize.stages.case_control.network import NETWORK, network_scores
from bids_harmonize.stages.case_control.own_table import run_on_own_table
from bids_harmonize.stages.case_control.prediction import (
    LOGISTIC,
    classification_rows,
    held_out_sites,
)
from bids_harmonize.stages.case_control.published import PublishedMap, comparison_row
from bids_harmonize.stages.case_control.refitting import told_by_regression
from bids_harmonize.stages.case_control.voxelmaps import write_voxel_maps
from bids_harmonize.stages.case_control.writing import write_tables
from bids_harmonize.stages.feature_table.study import (
    FeatureStudy,
)
from bids_harmonize.training.runtime import seeded_generator

TABLES = (
    *("casecontrol", "meta", "siteeffects", "comparedmaps", "normative", "deviations"),
    *("classification", "casescores"),
)
"""What the stage writes, without ``group_``."""

_CALLED = 0.05

Rows = list[dict[str, Any]]


@dataclass
class _Results:
    """Rows of the tables, and what is to be said."""

    rows: dict[str, Rows] = field(default_factory=dict)
    frames: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    combat: tuple[Cohort, CombatFeatures] | None = None

    def add(self, table: str, rows: Rows) -> Rows:
        self.rows.setdefault(table, []).extend(rows)
        return rows


def run(context: StageContext) -> StageResult:
    """Compare cases with controls in the table that the stage ``features`` wrote.

    Parameters
    ----------
    context
        The study; its output directory holds ``group_features.tsv``.

    Returns
    -------
    StageResult
        As :func:`run_on_tables`, and maps of the differences voxel by voxel.

    Raises
    ------
    MissingInputError
        If there is no table of features.
    UsageError, UnusableDataError
        As :func:`run_on_tables`.
    """
    return run_on_own_table(context, "disorder", lambda tables: _run(tables, context))


def run_on_tables(context: FeatureContext) -> StageResult:
    """Compare cases with controls in tables of features.

    Parameters
    ----------
    context
        The tables as studies, the settings and the output directory.

    Returns
    -------
    StageResult
        The tables of the stage; notes give the figures of each arm.

    Raises
    ------
    UsageError
        If the group column does not tell one group of cases, or a column is not there.
    UnusableDataError
        If cases and controls cannot be compared, or the ComBat of ``--model-dir`` does not fit.
    """
    return _run(context, None)


def _run(context: FeatureContext, images: StageContext | None) -> StageResult:
    """Everything that the tables give, and the images where there are any."""
    settings = context.settings
    published = read_maps(settings)
    results = _Results()
    found = read_given(settings)
    cohorts = [with_given(make_cohort(study, settings), found) for study in context.studies]
    for cohort in cohorts:
        _compare(cohort, settings, published, results)
    results.warnings += _different_people(cohorts)
    files: tuple[Path, ...] = ()
    if images is not None:
        maps = write_voxel_maps(images, cohorts)
        files = maps.files
        results.notes += maps.notes
        results.warnings += maps.warnings
        if settings.group.case_network:
            _tell_by_network(images, cohorts, results)
    files += _write(context.output_dir, context.studies, cohorts, results)
    if results.combat is not None:
        files += keep_combat(context, *results.combat)
    return StageResult(
        "disorder",
        files=files,
        warnings=tuple(results.warnings),
        notes=tuple(results.notes),
    )


def _compare(
    cohort: Cohort, settings: Settings, published: Sequence[PublishedMap], results: _Results
) -> None:
    """Add what one table tells to the results."""
    results.notes.append(f"{cohort.arm}: {cohort.words}")
    results.warnings += [f"{cohort.arm}: {words}" for words in cohort.left_out]
    made = make_arms(cohort)
    if made.why_no_combat:
        results.warnings.append(made.why_no_combat)
    if made.combat is not None and cohort.given is None:
        results.combat = (cohort, made.combat)
    for arm in made.arms:
        try:
            _effects(arm, settings, published, results)
        except ValueError as error:
            message = f"the table of the arm {cohort.arm} cannot be used: {error}"
            raise UnusableDataError(message) from None
    for arm in made.arms:
        _deviate(arm, settings, results)
        _predict(arm, settings, results)


def _effects(
    arm: Arm, settings: Settings, published: Sequence[PublishedMap], results: _Results
) -> None:
    rows = results.add("casecontrol", case_control_rows(arm))
    results.add("meta", meta_rows(arm))
    shares = pd.DataFrame(results.add("siteeffects", site_effect_rows(arm)))
    found = pd.DataFrame(rows)
    largest = found.iloc[int(found["d"].abs().to_numpy().argmax())]
    results.notes.append(
        f"{arm.name}: {int((found['q'] < _CALLED).sum())} of {len(found)} features differ at a "
        f"false discovery rate of {_CALLED:g}; largest {largest['feature']}, d {largest['d']:.2f} "
        f"({largest['low']:.2f} to {largest['high']:.2f}); the site explains "
        f"{shares['r2_site'].median():.3f} of the median feature's variance (by chance "
        f"{shares['r2_site_chance'].iloc[0]:.3f}), the group {shares['r2_group'].median():.4f}"
    )
    for one in published:
        rng = seeded_generator(settings.run.random_seed, "compare-map", arm.name, one.name)
        row = comparison_row(rows, one, rng=rng)
        results.add("comparedmaps", [row])
        results.notes.append(
            f"{arm.name}: correlation with {one.name} over {row['n_regions']} regions "
            f"{row['r']:.2f} (p {row['p_permutation']:.2g})"
        )


def _deviate(arm: Arm, settings: Settings, results: _Results) -> None:
    folds = deal_folds(arm, n_folds=settings.group.folds, seed=settings.run.random_seed)
    try:
        found = deviations(arm, folds)
    except ValueError as error:
        results.warnings.append(f"{arm.name}: no normative deviations: {error}")
        return
    results.frames.setdefault("deviations", []).append(found)
    results.add("normative", normative_rows(arm, found))


def _predict(arm: Arm, settings: Settings, results: _Results) -> None:
    seed = settings.run.random_seed
    folds = held_out_sites(arm, seed=seed)
    if not folds:
        results.warnings.append(
            f"{arm.name}: nobody is predicted across sites: no site has enough cases and controls"
        )
        return
    try:
        scores, rows = told_by_regression(arm, folds, seed=seed)
    except ValueError as error:
        results.warnings.append(f"{arm.name}: nobody is predicted across sites: {error}")
        return
    _add_scores(scores, rows, results)


def _tell_by_network(context: StageContext, cohorts: Sequence[Cohort], results: _Results) -> None:
    seed = context.settings.run.random_seed
    for cohort in cohorts:
        try:
            scores, folds = network_scores(context, cohort)
        except (ScanError, MissingInputError, UnusableDataError) as error:
            results.warnings.append(f"{cohort.arm}: no network was trained: {error}")
            continue
        if folds:
            rng = seeded_generator(seed, "disorder-permutations", cohort.arm, NETWORK)
            _add_scores(scores, classification_rows(scores, folds, rng=rng), results)


def _add_scores(scores: pd.DataFrame, rows: Rows, results: _Results) -> None:
    """Scores of one arm and model, and what they are worth within held-out sites."""
    arm, model = str(scores["arm"].iloc[0]), str(scores["model"].iloc[0])
    results.add("classification", rows)
    results.frames.setdefault("casescores", []).append(
        scores.assign(is_case=scores["is_case"].astype(int))
    )
    pooled = next(row for row in rows if row["held_out_site"] == ALL_SITES)
    by = "" if model == LOGISTIC else f" by the {model}"
    results.notes.append(
        f"{arm}: cases told from controls of a site that was held out{by}: AUC "
        f"{pooled['auc']:.3f} ({pooled['low']:.3f} to {pooled['high']:.3f}; p "
        f"{pooled['p_permutation']:.2g}), {len(rows) - 1} sites, {pooled['n_cases']} cases, "
        f"{pooled['n_controls']} controls"
    )


def _different_people(cohorts: Sequence[Cohort]) -> list[str]:
    first, *others = cohorts
    return [
        f"the tables {first.arm} and {other.arm} do not hold the same people, so their arms "
        "cannot be compared"
        for other in others
        if not other.people.equals(first.people)
    ]


def _write(
    output_dir: Path,
    studies: Sequence[FeatureStudy],
    cohorts: Sequence[Cohort],
    results: _Results,
) -> tuple[Path, ...]:
    given = any(cohort.given is not None for cohort in cohorts)
    arm = arm_column(studies, list(cohorts[0].covariates.columns), given=given)
    columns = disorder_columns(arm)
    names = list(dict.fromkeys(n for cohort in cohorts for n in cohort.features.columns))
    special = {
        "comparedmaps": {**columns, "p_permutation": COMPARED_P},
        "deviations": deviation_columns(names, columns),
        "casescores": score_columns(columns),
    }
    frames = {key: pd.DataFrame(rows) for key, rows in results.rows.items()}
    frames |= {key: pd.concat(p, ignore_index=True) for key, p in results.frames.items()}
    described = {**dict.fromkeys(TABLES, columns), **special}
    return write_tables(output_dir, frames, names=TABLES, columns=described)
