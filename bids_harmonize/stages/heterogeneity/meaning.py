"""What clusters of cases go together with: sites, age, sex, brain, and symptoms."""

from typing import Any, Final

import numpy as np
import pandas as pd

from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.covariates import TIV
from bids_harmonize.stages.case_control.effects import effect_rows
from bids_harmonize.stages.heterogeneity.quality import quality_rows, with_quality
from bids_harmonize.stages.heterogeneity.search import OURS, ArmSubtypes
from bids_harmonize.stages.heterogeneity.shares import (
    MIN_KNOWN,
    adjusted_for,
    share_of_clusters,
)
from bids_harmonize.stats import correlation_ratio, cramers_v
from bids_harmonize.stats.effects import false_discovery_rate
from bids_harmonize.tables.features import COVARIATES
from bids_harmonize.tables.measures import intracranial_column
from bids_harmonize.tables.own import is_own_feature

MIN_OF_SUBTYPE: Final = 5
"""People whom a subtype needs to be compared with controls."""
FULL: Final = "full"
SUBSPACE: Final = "subspace"
"""The two nulls."""
_MOST_WORDS: Final = 12
_ADJUSTED: Final = frozenset(word for words in COVARIATES.values() for word in words)


def validity_rows(subtypes: ArmSubtypes, quality: pd.DataFrame) -> list[dict[str, Any]]:
    """One row a number of clusters: stability, nulls, and what clusters go together with.

    Parameters
    ----------
    subtypes
        Of one arm.
    quality
        Of the images, from :func:`bids_harmonize.stages.heterogeneity.quality.read_quality`.

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
        numbers = subtypes.labels(k)
        labels = [str(label) for label in numbers]
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
                **with_quality(numbers, cohort, quality),
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
            **with_quality(one.labels, cohort, quality),
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


def association_rows(subtypes: ArmSubtypes, quality: pd.DataFrame) -> list[dict[str, Any]]:
    """What else is known of the cases, and whether subtypes differ in it.

    Parameters
    ----------
    subtypes, quality
        As for :func:`validity_rows`.

    Returns
    -------
    list of dict
        Rows of group_subtypeassociations.tsv: numbers adjusted for the covariates and the site,
        words as they are, then the quality of images with a q of its own; none with one cluster.
    """
    arm, found = subtypes.arm, subtypes.found
    if found.k == 1:
        return []
    case = arm.cohort.is_case
    labels = found.labels[case]
    base = adjusted_for(arm.cohort)
    rows: list[dict[str, Any]] = []
    for name, values in _variables(arm.cohort).items():
        known = values.notna().to_numpy()
        own = labels[known]
        if known.sum() < MIN_KNOWN or len(set(own)) < 2 or values[known].nunique() < 2:
            continue
        if pd.api.types.is_float_dtype(values):
            share, p = share_of_clusters(values.to_numpy(), labels, base)
            told = {"kind": "numbers", "strength": share, "p": p}
        else:
            found_v = cramers_v([str(label) for label in own], list(values[known]))
            told = {"kind": "words", "strength": found_v.value, "p": found_v.p}
        rows.append({"variable": name, **told, "n": int(known.sum())})
    found_rows = [*_with_q(rows), *_with_q(quality_rows(labels, arm.cohort, quality))]
    return [{"arm": arm.name, **row} for row in found_rows]


def _with_q(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
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
