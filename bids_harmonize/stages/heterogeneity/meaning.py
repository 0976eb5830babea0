"""What clusters of cases go together with: sites, age, sex, brain, and symptoms."""

from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.covariates import TIV
from bids_harmonize.stages.case_control.effects import effect_rows
from bids_harmonize.stages.heterogeneity.search import OURS, ArmSubtypes
from bids_harmonize.stats import correlation_ratio, cramers_v
from bids_harmonize.stats.effects import (
    dummies,
    explained_share,
    false_discovery_rate,
    with_intercept,
)
from bids_harmonize.tables.features import COVARIATES
from bids_harmonize.tables.measures import intracranial_column
from bids_harmonize.tables.own import is_own_feature

MIN_OF_SUBTYPE: Final = 5
"""People whom a subtype needs to be compared with controls."""
FULL: Final = "full"
SUBSPACE: Final = "subspace"
"""The two nulls."""
MIN_KNOWN: Final = 20
"""Cases of whom a variable must be known."""
_MOST_WORDS: Final = 12
_ADJUSTED: Final = frozenset(word for words in COVARIATES.values() for word in words)


def validity_rows(subtypes: ArmSubtypes) -> list[dict[str, Any]]:
    """One row a number of clusters: stability, nulls, and what clusters go together with.

    Parameters
    ----------
    subtypes
        Of one arm.

    Returns
    -------
    list of dict
        Rows of group_subtypevalidity.tsv; those of comparators come last.
    """
    found, cohort = subtypes.found, subtypes.arm.cohort
    case = cohort.is_case
    sites = list(cohort.sites[case])
    rows = []
    for k, solution in sorted(found.solutions.items()):
        stability = solution.stability
        labels = [str(label) for label in subtypes.labels(k)]
        rows.append(
            {
                "arm": subtypes.arm.name,
                "method": OURS,
                "k": k,
                "chosen": int(k == found.k),
                "n_dimensions": found.excess.n_dimensions,
                "bic": solution.bic,
                "bootstrap_ari": stability.bootstrap_ari,
                "splithalf_ari": stability.split_half_ari,
                "leavesite_ari": stability.leave_site_out_ari,
                "separation": solution.separation,
                "p_null_full": solution.p_full,
                "p_null_subspace": solution.p_subspace,
                "v_site": cramers_v(labels, sites).value,
                **_with_people(labels, cohort, case),
                "agreement": np.nan,
                "verdict": found.verdict if k == found.k else None,
            }
        )
    rows += [
        {
            "arm": subtypes.arm.name,
            "method": one.name,
            "k": one.k,
            "v_site": one.v_site,
            **_with_people([str(label) for label in one.labels], cohort, case),
            "agreement": one.agreement,
        }
        for one in subtypes.comparators
    ]
    return rows


def null_rows(subtypes: ArmSubtypes) -> list[dict[str, Any]]:
    """Gaps between clusters of every blob that was drawn, after that of the cases.

    Parameters
    ----------
    subtypes
        Of one arm.

    Returns
    -------
    list of dict
        Rows of group_subtypenulls.tsv; none with one cluster.
    """
    solution = subtypes.found.solutions[subtypes.found.k]
    nulls = {FULL: solution.full, SUBSPACE: solution.subspace}
    return [
        {
            "arm": subtypes.arm.name,
            "null": name,
            "k": subtypes.found.k,
            "draw": place,
            "separation": float(gap),
        }
        for name, null in nulls.items()
        if len(null.draws)
        for place, gap in enumerate((null.observed, *null.draws))
    ]


def map_rows(subtypes: ArmSubtypes) -> list[dict[str, Any]]:
    """Each subtype against all controls, feature by feature.

    Parameters
    ----------
    subtypes
        Of one arm.

    Returns
    -------
    list of dict
        Rows of group_subtypemaps.tsv; none with one cluster, or of a cluster with fewer people
        than :data:`MIN_OF_SUBTYPE`.
    """
    arm, found = subtypes.arm, subtypes.found
    if found.k == 1:
        return []
    case = arm.cohort.is_case
    rows = []
    for label in range(found.k):
        own = found.labels == label
        if own.sum() < MIN_OF_SUBTYPE:
            continue
        rows += [
            {"arm": arm.name, "subtype": label + 1, **row} for row in effect_rows(arm, own | ~case)
        ]
    return rows


def association_rows(subtypes: ArmSubtypes) -> list[dict[str, Any]]:
    """What else is known of the cases, and whether subtypes differ in it.

    Parameters
    ----------
    subtypes
        Of one arm.

    Returns
    -------
    list of dict
        Rows of group_subtypeassociations.tsv: numbers adjusted for the covariates and the site,
        words as they are; none with one cluster.
    """
    arm, found = subtypes.arm, subtypes.found
    if found.k == 1:
        return []
    case = arm.cohort.is_case
    labels = found.labels[case]
    base = np.column_stack([arm.cohort.covariates.to_numpy(), dummies(arm.cohort.sites)])[case]
    rows = []
    for name, values in _variables(arm.cohort).items():
        known = values.notna().to_numpy()
        own = labels[known]
        if known.sum() < MIN_KNOWN or len(set(own)) < 2 or values[known].nunique() < 2:
            continue
        if pd.api.types.is_float_dtype(values):
            told = _of_numbers(values[known].to_numpy(), own, base[known])
        else:
            found_v = cramers_v([str(label) for label in own], list(values[known]))
            told = {"kind": "words", "strength": found_v.value, "p": found_v.p}
        rows.append({"arm": arm.name, "variable": name, **told, "n": int(known.sum())})
    q = false_discovery_rate(np.array([row["p"] for row in rows], dtype=np.float64))
    return [{**row, "q": value} for row, value in zip(rows, q, strict=True)]


def _with_people(labels: list[str], cohort: Cohort, case: np.ndarray) -> dict[str, float]:
    """How closely clusters go with sex (V) and age (correlation ratio)."""
    columns = cohort.covariates
    told = {"v_sex": np.nan, "eta2_age": np.nan}
    sex = [name for name in columns if str(name).startswith("sex_")]
    if sex:
        words = columns.loc[case, sex].astype(str).agg("-".join, axis=1)
        told["v_sex"] = cramers_v(labels, list(words)).value
    if "age" in columns:
        told["eta2_age"] = correlation_ratio(columns.loc[case, "age"].to_numpy(), labels).value
    return told


def _variables(cohort: Cohort) -> dict[str, pd.Series]:
    """Columns about the cases that are no feature, covariate, site or group."""
    details = cohort.details[cohort.is_case]
    volume = intracranial_column(map(str, details.columns))
    taken = {str(name).lower() for name in cohort.features.columns} | _ADJUSTED
    taken |= {volume.lower()} if volume is not None and TIV in cohort.covariates else set()
    words = set(map(str, cohort.people["group"].unique())), set(map(str, cohort.sites))
    found: dict[str, pd.Series] = {}
    for name, cells in details.items():
        spelt = str(name).lower()
        present = cells.dropna().astype(str)
        is_taken = spelt in taken or is_own_feature(spelt)
        if is_taken or present.empty or any(set(present) <= known for known in words):
            continue
        numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
        if numbers.notna().sum() == cells.notna().sum():
            if spelt not in cohort.covariates.columns:
                found[str(name)] = numbers
        elif present.nunique() <= _MOST_WORDS:
            found[str(name)] = cells.where(cells.notna(), None).astype(object)
    return found


def _of_numbers(values: np.ndarray, labels: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    """Share of variance that the subtypes explain beyond the covariates, and p of its F test."""
    block = dummies(labels)
    shares, _ = explained_share(values[:, None], block, base)
    share = float(shares[0])
    n_base = with_intercept(base).shape[1]
    n_all = with_intercept(np.column_stack([base, block])).shape[1]
    top, bottom = n_all - n_base, len(values) - n_all
    p = np.nan
    if top > 0 and bottom > 0 and share < 1:  # so not NaN either
        p = float(stats.f.sf(share / top / ((1 - share) / bottom), top, bottom))
    return {"kind": "numbers", "strength": share, "p": p}
