"""The four ways to deal with the site, side by side: raw, covariate, combat, harmonized."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stats import Combat, fit_combat
from bids_harmonize.stats.effects import dummies, with_intercept
from bids_harmonize.tables.own import HARMONIZED, RAW

COVARIATE: Final = "covariate"
COMBAT: Final = "combat"

ARM_WORDS: Final = {
    RAW: "features as they are, no word of the site",
    COVARIATE: "the site stands in the model, estimated on controls where something is fitted",
    COMBAT: "ComBat, fitted on controls",
    HARMONIZED: "features of images brought to the reference site",
}


@dataclass(frozen=True, eq=False)
class Arm:
    """People's features under one way to deal with the site.

    Attributes
    ----------
    name
        A key of :data:`ARM_WORDS`.
    cohort
        The people; their features are those of the table.
    features
        Float64, shape (n_people, n_features), after ComBat where that is the way.
    """

    name: str
    cohort: Cohort
    features: np.ndarray

    @property
    def design(self) -> np.ndarray:
        """What group effects are adjusted for, without intercept; shape (n_people, n_columns)."""
        covariates = self.cohort.covariates.to_numpy()
        if self.name != COVARIATE:
            return covariates
        return np.column_stack([covariates, dummies(self.cohort.sites)])


@dataclass(frozen=True, eq=False)
class CombatFeatures:
    """Features after a ComBat.

    Attributes
    ----------
    features
        Float64, shape (n_wanted, n_features).
    combat
        What was fitted.
    covariates
        Names of the covariates that it keeps: those that can be told from the site.
    """

    features: np.ndarray
    combat: Combat
    covariates: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Arms:
    """The arms of one table.

    Attributes
    ----------
    arms
        In the order of :data:`ARM_WORDS`.
    combat
        What was fitted on all controls for the arm ``combat``; ``None`` without it.
    why_no_combat
        Why a raw table has no arm ``combat``; empty otherwise.
    """

    arms: tuple[Arm, ...]
    combat: CombatFeatures | None = None
    why_no_combat: str = ""


def make_arms(cohort: Cohort) -> Arms:
    """Every arm that a table gives.

    Parameters
    ----------
    cohort
        Of the table ``raw``, which gives three arms, or ``harmonized``, which gives one.

    Returns
    -------
    Arms
        Without ``combat`` where it cannot be fitted.
    """
    features = cohort.features.to_numpy()
    if cohort.arm == HARMONIZED:
        return Arms((Arm(HARMONIZED, cohort, features),))
    plain = (Arm(RAW, cohort, features), Arm(COVARIATE, cohort, features))
    everybody = np.ones(len(features), dtype=bool)
    try:
        adjusted = combat_features(cohort, ~cohort.is_case, everybody)
    except ValueError as error:
        return Arms(plain, why_no_combat=f"no arm {COMBAT}: {error}")
    return Arms((*plain, Arm(COMBAT, cohort, adjusted.features)), adjusted)


def combat_features(cohort: Cohort, fitted_on: np.ndarray, wanted: np.ndarray) -> CombatFeatures:
    """Features of some people after a ComBat that was fitted on others, or the same.

    Parameters
    ----------
    cohort
        Everybody; a ComBat that is given with them is applied, and nothing is fitted.
    fitted_on, wanted
        Bool, shape (n_people,); every site of the wanted has people whom it is fitted on.

    Returns
    -------
    CombatFeatures
        Of the wanted people, in their order.

    Raises
    ------
    ValueError
        If it cannot be fitted on these people.
    """
    features, sites = cohort.features.to_numpy(), cohort.sites
    given = cohort.given
    if given is not None:
        adjusted = given.combat.transform(features[wanted], sites[wanted], given.design[wanted])
        return CombatFeatures(adjusted, given.combat, given.covariates)
    columns = cohort.covariates.to_numpy()
    kept = _independent(columns, fitted_on, sites)
    design = columns[:, kept]
    combat = fit_combat(features[fitted_on], sites[fitted_on], design[fitted_on])
    return CombatFeatures(
        combat.transform(features[wanted], sites[wanted], design[wanted]),
        combat,
        tuple(str(cohort.covariates.columns[index]) for index in kept),
    )


def within_sites(
    values: np.ndarray, sites: Sequence[str] | np.ndarray, reference: np.ndarray
) -> np.ndarray:
    """Values minus the mean of their site's reference people.

    Parameters
    ----------
    values
        Shape (n_people, n_features).
    sites
        Site of each person.
    reference
        Bool, shape (n_people,): whose mean is taken; some at every site.

    Returns
    -------
    ndarray
        Same shape.
    """
    labels = np.asarray(sites, dtype=object)
    centred = np.array(values, dtype=np.float64)
    for site in np.unique(labels):
        own = labels == site
        centred[own] -= values[own & reference].mean(axis=0)
    return centred


def _independent(columns: np.ndarray, people: np.ndarray, sites: np.ndarray) -> list[int]:
    """Covariates that can be told from the site and from each other among these people."""
    kept: list[int] = []
    base = dummies(sites[people])
    for index in range(columns.shape[1]):
        chosen = np.column_stack([base, columns[people][:, [*kept, index]]])
        if with_intercept(chosen).shape[1] == base.shape[1] + len(kept) + 2:
            kept.append(index)
    return kept
