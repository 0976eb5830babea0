"""Stage ``subtypes``: whether cases are of several kinds, with the site dealt with four ways.

"No subtypes" is a normal answer. Clusters are looked for in deviations from controls, whitened by
the controls' covariance, in the directions in which cases vary more than controls: k-means on raw
values finds sites.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.config import Settings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages import FeatureContext, StageContext, StageResult
from bids_harmonize.stages.case_control.arms import Arm, make_arms
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.columns import arm_column
from bids_harmonize.stages.case_control.own_table import run_on_own_table
from bids_harmonize.stages.case_control.writing import write_tables
from bids_harmonize.stages.heterogeneity.columns import subtype_columns
from bids_harmonize.stages.heterogeneity.meaning import (
    association_rows,
    map_rows,
    null_rows,
    validity_rows,
)
from bids_harmonize.stages.heterogeneity.quality import read_quality
from bids_harmonize.stages.heterogeneity.search import (
    EFFORTS,
    ArmSubtypes,
    search_subtypes,
    subtype_table,
)

Rows = list[dict[str, Any]]

TABLES = ("subtypes", "subtypevalidity", "subtypenulls", "subtypemaps", "subtypeassociations")
"""What the stage writes, without ``group_``."""

_COUNTS = ("k", "chosen", "n_dimensions", "subtype", "n_cases", "n_controls", "n", "draw")


@dataclass
class _Results:
    """Parts of the tables, and what is to be said."""

    parts: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, table: str, rows: Rows | pd.DataFrame) -> None:
        frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
        if len(frame):
            self.parts.setdefault(table, []).append(frame)


def run(context: StageContext) -> StageResult:
    """Look for subtypes in the table that the stage ``features`` wrote.

    Parameters
    ----------
    context
        The study; its output directory holds ``group_features.tsv``.

    Returns
    -------
    StageResult
        As :func:`run_on_tables`.

    Raises
    ------
    MissingInputError
        If there is no table of features.
    UsageError, UnusableDataError
        As :func:`run_on_tables`.
    """
    return run_on_own_table(context, "subtypes", run_on_tables)


def run_on_tables(context: FeatureContext) -> StageResult:
    """Look for subtypes of cases in tables of features.

    Parameters
    ----------
    context
        The tables as studies, the settings and the output directory.

    Returns
    -------
    StageResult
        The tables of the stage; a note gives the verdict of each arm.

    Raises
    ------
    UsageError
        If the group column does not tell one group of cases, or a column is not there.
    UnusableDataError
        If cases and controls cannot be compared, or the stage was asked for by name and they are
        too few in every arm; else a warning says so.
    """
    results, settings = _Results(), context.settings
    quality = read_quality(context.output_dir)
    cohorts = [make_cohort(study, settings) for study in context.studies]
    for cohort in cohorts:
        made = make_arms(cohort)
        if made.why_no_combat:
            results.warnings.append(made.why_no_combat)
        for arm in made.arms:
            _search(arm, settings, quality, results)
    if not results.parts and settings.group.stages is not None:
        raise UnusableDataError("no arm can be searched for subtypes: " + results.warnings[-1])
    columns = subtype_columns(
        arm_column(context.studies, list(cohorts[0].covariates.columns)),
        EFFORTS[settings.group.effort],
    )
    return StageResult(
        "subtypes",
        files=_write(context.output_dir, results, columns),
        warnings=tuple(results.warnings),
        notes=tuple(results.notes),
    )


def _search(arm: Arm, settings: Settings, quality: pd.DataFrame, results: _Results) -> None:
    """Add what one arm tells to the results."""
    try:
        subtypes = search_subtypes(arm, settings)
    except ValueError as error:
        results.warnings.append(f"{arm.name}: no subtypes were looked for: {error}")
        return
    rows = validity_rows(subtypes, quality)
    results.add("subtypevalidity", rows)
    results.add("subtypes", subtype_table(subtypes))
    results.add("subtypenulls", null_rows(subtypes))
    results.add("subtypemaps", map_rows(subtypes))
    results.add("subtypeassociations", association_rows(subtypes, quality))
    results.notes.append(_words(subtypes, next(row for row in rows if row.get("chosen"))))


def _words(subtypes: ArmSubtypes, row: dict[str, Any]) -> str:
    found = subtypes.found
    words = (
        f"{subtypes.arm.name}: {found.verdict}: cases vary more than controls in "
        f"{row['n_dimensions']} direction(s), {found.k} cluster(s) describe them best"
    )
    if found.k == 1:
        return words
    sizes = np.bincount(found.labels[subtypes.arm.cohort.is_case], minlength=found.k)
    return (
        f"{words} ({', '.join(map(str, sizes))} people); come again: resampled "
        f"{row['bootstrap_ari']:.2f}, halves {row['splithalf_ari']:.2f}, sites left out "
        f"{row['leavesite_ari']:.2f}; nulls p {row['p_null_full']:.3g} and "
        f"{row['p_null_subspace']:.3g}; Cramer's V with the site {row['v_site']:.2f}"
    )


def _write(
    output_dir: Path, results: _Results, columns: dict[str, dict[str, Any]]
) -> tuple[Path, ...]:
    frames = {}
    for key, parts in results.parts.items():
        frame = pd.concat(parts, ignore_index=True)
        frames[key] = frame.astype({name: "Int64" for name in _COUNTS if name in frame})
    return write_tables(output_dir, frames, names=TABLES, columns=dict.fromkeys(TABLES, columns))
