"""Cases and controls of one table of features: one row a person, with covariates.

A person counts once: several sessions at a site become their mean. People of several sites take
no part, for their site is not one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_harmonize.config import Settings
from bids_harmonize.errors import UnusableDataError, UsageError
from bids_harmonize.stages.case_control.covariates import (
    TIV,
    covariate_columns,
    find_covariates,
)
from bids_harmonize.stages.feature_table.study import FeatureStudy
from bids_harmonize.stats import Combat
from bids_harmonize.tables.measures import intracranial_column

MIN_CONTROLS = 2
"""Controls that a site needs, so that its own mean can be told from the disorder's."""

_GROUP = "group"
_SAME = 1e-12
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class GivenCombat:
    """A ComBat that was fitted on other people, and these people's columns of its design.

    Attributes
    ----------
    combat
        The fit; its features are the cohort's, in their order.
    design
        Float64, shape (n_people, n_covariates).
    covariates
        Names of its columns.
    """

    combat: Combat
    design: np.ndarray
    covariates: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Cohort:
    """People who are compared.

    Attributes
    ----------
    arm
        ``raw`` or ``harmonized``: the table that they come from.
    people
        Index participant_id, sorted; ``site``, ``group`` (the table's word), ``is_case``.
    covariates
        Float64, same index, no NaN, no constant column.
    features
        Float64, same index.
    details
        Everything else that is known of each person, as text; same index.
    left_out
        Sentences on who takes no part, and why.
    given
        The ComBat of ``--model-dir``; ``None`` where ComBat is fitted on these people.
    """

    arm: str
    people: pd.DataFrame
    covariates: pd.DataFrame
    features: pd.DataFrame
    details: pd.DataFrame
    left_out: tuple[str, ...]
    given: GivenCombat | None = None

    @property
    def is_case(self) -> np.ndarray:
        """Bool, shape (n_people,)."""
        return self.people["is_case"].to_numpy(dtype=bool)

    @property
    def sites(self) -> np.ndarray:
        """Text, shape (n_people,)."""
        return self.people["site"].to_numpy(dtype=object)

    @property
    def words(self) -> str:
        """One phrase for logs."""
        n_cases = int(self.is_case.sum())
        return (
            f"{n_cases} cases and {len(self.people) - n_cases} controls of "
            f"{self.people['site'].nunique()} sites, {self.features.shape[1]} features, adjusted "
            f"for {', '.join(self.covariates.columns) or 'nothing'}"
        )


def make_cohort(study: FeatureStudy, settings: Settings) -> Cohort:
    """Cases and controls of one table.

    Parameters
    ----------
    study
        Rows with their sites and features; it has a group column.
    settings
        Which word means a case, and what is adjusted for.

    Returns
    -------
    Cohort
        People with a known group and known covariates, at sites with controls.

    Raises
    ------
    UsageError
        If the group column has several words for cases and none was chosen, or a covariate is not
        there.
    UnusableDataError
        If there are too few cases or controls left.
    """
    group = study.control_group
    if group is None:
        message = "disorder needs --group-column, which tells controls from others"
        raise UsageError(message)
    cases = case_words(group.counts, group.label, settings.group.case_label, group.column)
    rows = study.rows[["participant_id", "site"]].copy()
    rows[_GROUP] = _words(study.details, group.column)
    covariates = find_covariates(study.details, settings.group.covariates)
    kept, left_out = _taking_part(study, rows, covariates, (group.label, *cases))
    people = _once(rows[kept], rows.loc[kept, "participant_id"])
    people["is_case"] = people[_GROUP].isin(cases)
    known, notes = _at_sites_with_controls(people)
    if min(known["is_case"].sum(), (~known["is_case"]).sum()) < MIN_CONTROLS:
        raise UnusableDataError(_too_few(known, study, group.column, [*left_out, *notes]))
    names = rows.loc[kept, "participant_id"]
    told = covariate_columns(_once(covariates[kept], names).loc[known.index])
    features = _once(_features(study, TIV in told)[kept], names).loc[known.index]
    flat = _flat(features, known)
    if flat:
        shown = ", ".join(flat[:_MOST_NAMED]) + (", ..." if len(flat) > _MOST_NAMED else "")
        notes.append(f"{len(flat)} feature(s) that do not vary among a site's controls: {shown}")
    return Cohort(
        arm=study.source.arm,
        people=known,
        covariates=told,
        features=features.drop(columns=flat),
        details=_once(study.details[kept], names).loc[known.index],
        left_out=(*left_out, *notes),
    )


def case_words(
    counts: Iterable[str], label: str, chosen: Sequence[str], column: str
) -> tuple[str, ...]:
    """Words of the group column that mean a case.

    Parameters
    ----------
    counts
        All words of the column.
    label
        That for controls.
    chosen
        ``--case-label``; none takes the only other word.
    column
        The column, for messages.

    Returns
    -------
    tuple of str
        As the table spells them.

    Raises
    ------
    UsageError
        If a chosen word is not there, or several are and none was chosen.
    """
    others = [word for word in counts if word not in (label, "n/a")]
    there = ", ".join(others) or "none"
    if not chosen:
        if len(others) == 1:
            return tuple(others)
        message = (
            f"--group-column {column}: words beside {label} for controls: {there}; disorder "
            "compares one group with controls: name its word, or several to take together, by "
            "--case-label"
        )
        raise UsageError(message)
    lower = {word.lower(): word for word in others}
    unknown = [word for word in chosen if word.strip().lower() not in lower]
    if unknown:
        message = f"--case-label {' '.join(unknown)}: not in column {column}, which has {there}"
        raise UsageError(message)
    return tuple(dict.fromkeys(lower[word.strip().lower()] for word in chosen))


def _words(details: pd.DataFrame, column: str) -> pd.Series:
    """The group's word of each row, by the column in any case."""
    spelt = next(name for name in details.columns if str(name).lower() == column.lower())
    return details[spelt].astype("string").str.strip().astype(object)


def _taking_part(
    study: FeatureStudy, rows: pd.DataFrame, covariates: pd.DataFrame, words: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Rows of people who can be compared, and a sentence a reason for the others."""
    kept = np.ones(len(rows), dtype=bool)
    at_trained = rows["site"].isin(study.trained_sites)
    n_sites = rows["site"].where(at_trained).groupby(rows["participant_id"]).transform("nunique")
    left_out = [f"site {site}: {reason}" for site, reason in study.left_out.items()]
    reasons = {
        "at sites that take no part": ~at_trained,
        "scanned at several sites": n_sites > 1,  # whoever else may train there
        f"of no group in question ({', '.join(words)})": ~rows[_GROUP].isin(words),
        **{f"without {name}": covariates[name].isna() for name in covariates},
    }
    for reason, is_out in reasons.items():
        fresh = kept & is_out.to_numpy()
        kept &= ~fresh
        if fresh.any() and reason != "at sites that take no part":
            n_people = rows.loc[fresh, "participant_id"].nunique()
            left_out.append(f"{n_people} participant(s) {reason}")
    return kept, left_out


def _once(values: pd.DataFrame, people: pd.Series) -> pd.DataFrame:
    """One row a person: the mean of numbers, the first of words; sorted by name."""
    how = {
        name: "mean" if pd.api.types.is_float_dtype(column) else "first"
        for name, column in values.items()
    }
    own = values.drop(columns="participant_id", errors="ignore")
    if own.columns.empty:
        return pd.DataFrame(index=pd.Index(sorted(people.unique()), name="participant_id"))
    chosen = {name: word for name, word in how.items() if name in own.columns}
    return own.groupby(people.rename("participant_id")).agg(chosen).sort_index()


def _at_sites_with_controls(people: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    counts = (~people["is_case"]).groupby(people["site"]).sum()
    short = counts[counts < MIN_CONTROLS]
    notes = [
        f"site {site}: {n} controls, fewer than {MIN_CONTROLS}, so what the scanner does cannot "
        f"be told from the disorder; its {int((people['site'] == site).sum())} participants are "
        "left out"
        for site, n in short.items()
    ]
    return people[~people["site"].isin(short.index)], notes


def _features(study: FeatureStudy, tiv_is_covariate: bool) -> pd.DataFrame:
    """The features; the intracranial volume is none where it is adjusted for."""
    own = intracranial_column(map(str, study.features.columns)) if tiv_is_covariate else None
    return study.features.drop(columns=[own] if own else [])


def _flat(features: pd.DataFrame, people: pd.DataFrame) -> list[str]:
    """Features that are the same for all controls of each site."""
    is_control = ~people["is_case"].to_numpy(dtype=bool)
    controls, sites = features.loc[is_control], people.loc[is_control, "site"]
    centred = controls - controls.groupby(sites).transform("mean")
    is_flat = centred.abs().max() <= _SAME * controls.abs().max()
    return [str(name) for name in features.columns[is_flat.to_numpy()]]


def _too_few(
    people: pd.DataFrame, study: FeatureStudy, column: str, left_out: Sequence[str]
) -> str:
    n_cases = int(people["is_case"].sum())
    lines = [
        f"{study.source.path}: {n_cases} cases and {len(people) - n_cases} controls (column "
        f"{column}) can be compared; expected {MIN_CONTROLS} of each at least",
        *left_out,
    ]
    return "\n  ".join(lines)
