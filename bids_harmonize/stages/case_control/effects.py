"""Rows of the disorder's effect tables: per arm, per site, and whose the variance is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bids_harmonize.stages.case_control.arms import COMBAT, Arm
from bids_harmonize.stats.effects import (
    GroupEffects,
    adjusted_effects,
    dummies,
    explained_share,
    false_discovery_rate,
)
from bids_harmonize.stats.meta_analysis import pool_effects

ALL_SITES = "all"
MIN_OF_EACH = 3
"""Cases, and controls, that a site needs for an estimate of its own."""


def case_control_rows(arm: Arm) -> list[dict[str, Any]]:
    """One row a feature: the adjusted effect of the group over all sites.

    Parameters
    ----------
    arm
        The people and their features.

    Returns
    -------
    list of dict
        Rows of group_casecontrol.tsv.
    """
    everybody = np.ones(len(arm.features), dtype=bool)
    return [{"arm": arm.name, **row} for row in effect_rows(arm, everybody)]


def effect_rows(arm: Arm, kept: np.ndarray) -> list[dict[str, Any]]:
    """One row a feature: the adjusted effect of the group among some of the people.

    Parameters
    ----------
    arm
        The people and their features.
    kept
        Bool, shape (n_people,): who is compared; all controls, for ComBat was fitted on them.

    Returns
    -------
    list of dict
        feature, d, low, high, p, q (over these features), n_cases, n_controls.
    """
    found = adjusted_effects(
        arm.features[kept],
        arm.cohort.is_case[kept],
        arm.design[kept],
        removed_sites=arm.cohort.sites[kept] if arm.name == COMBAT else None,
    )
    q = false_discovery_rate(found.p)
    return [
        {
            "feature": name,
            **_effect(found, index),
            "p": found.p[index],
            "q": q[index],
            "n_cases": found.n_cases,
            "n_controls": found.n_controls,
        }
        for index, name in enumerate(arm.cohort.features.columns)
    ]


def meta_rows(arm: Arm) -> list[dict[str, Any]]:
    """The effect at every site by itself, and their random-effects mean.

    Parameters
    ----------
    arm
        The people and their features.

    Returns
    -------
    list of dict
        Rows of group_meta.tsv; none where no site has enough of each group.
    """
    by_site = {site: found for site in _sites(arm) if (found := _at_site(arm, site)) is not None}
    rows = []
    for index, name in enumerate(arm.cohort.features.columns):
        for site, found in by_site.items():
            rows.append(
                {
                    "arm": arm.name,
                    "feature": name,
                    "site": site,
                    **_effect(found, index),
                    "p": found.p[index],
                    "n_cases": found.n_cases,
                    "n_controls": found.n_controls,
                }
            )
        if by_site:
            rows.append(_pooled(arm.name, name, list(by_site.values()), index))
    return rows


def site_effect_rows(arm: Arm) -> list[dict[str, Any]]:
    """How much of each feature's variance is the site's, and how much the group's.

    Parameters
    ----------
    arm
        The people and their features.

    Returns
    -------
    list of dict
        Rows of group_siteeffects.tsv: shares beyond covariates and beyond each other.
    """
    covariates = arm.cohort.covariates.to_numpy()
    sites, group = dummies(arm.cohort.sites), arm.cohort.is_case.astype(float)[:, None]
    of_site, site_chance = explained_share(
        arm.features, sites, np.column_stack([covariates, group])
    )
    of_group, group_chance = explained_share(
        arm.features, group, np.column_stack([covariates, sites])
    )
    return [
        {
            "arm": arm.name,
            "feature": name,
            "r2_site": of_site[index],
            "r2_site_chance": site_chance,
            "r2_group": of_group[index],
            "r2_group_chance": group_chance,
            "n": len(group),
        }
        for index, name in enumerate(arm.cohort.features.columns)
    ]


def _effect(found: GroupEffects, index: int) -> dict[str, float]:
    return {"d": found.d[index], "low": found.low[index], "high": found.high[index]}


def _sites(arm: Arm) -> list[str]:
    return sorted(set(arm.cohort.sites))


def _at_site(arm: Arm, site: str) -> GroupEffects | None:
    """The effect among the people of one site; ``None`` where they are too few."""
    own = arm.cohort.sites == site
    case = arm.cohort.is_case[own]
    if min(case.sum(), (~case).sum()) < MIN_OF_EACH:
        return None
    try:
        return adjusted_effects(arm.features[own], case, arm.cohort.covariates.to_numpy()[own])
    except ValueError:  # too few for the covariates, or these tell who is a case
        return None


def _pooled(arm: str, feature: str, effects: Sequence[GroupEffects], index: int) -> dict[str, Any]:
    d = np.array([one.d[index] for one in effects])
    se = np.array([one.se[index] for one in effects])
    found = pool_effects(d, se**2)
    return {
        "arm": arm,
        "feature": feature,
        "site": ALL_SITES,
        "d": found.value,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "n_cases": sum(one.n_cases for one in effects),
        "n_controls": sum(one.n_controls for one in effects),
        "n_sites": found.n_sites,
        "tau2": found.tau2,
        "i2": found.i2,
    }
