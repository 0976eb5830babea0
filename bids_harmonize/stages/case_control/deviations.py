"""How far everybody stands from what is expected of a control of their age and sex."""

from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.stages.case_control.arms import COMBAT, Arm, combat_features
from bids_harmonize.stages.case_control.covariates import AGE
from bids_harmonize.stats import cross_fitted_deviations, share_beyond
from bids_harmonize.training.runtime import seeded_generator

KEYS = ("participant_id", "arm", "site", "group", "fold")
"""Columns of group_deviations.tsv before its features."""


def deal_folds(arm: Arm, *, n_folds: int, seed: int) -> np.ndarray:
    """A fold for everybody, spread over site and group; the same for all arms.

    Cases are dealt too: each is judged by controls of the other folds, as controls are, so that
    nobody is judged by a model that was fitted on more people.

    Parameters
    ----------
    arm
        The people.
    n_folds
        Number of folds, 2 at least.
    seed
        Of the run.

    Returns
    -------
    ndarray
        Int from 0, shape (n_people,).
    """
    people = arm.cohort.people
    folds = np.zeros(len(people), dtype=np.int64)
    strata = people["site"].astype(str) + "\t" + people["is_case"].astype(str)
    for stratum in sorted(strata.unique()):
        own = np.flatnonzero(strata == stratum)
        rng = seeded_generator(seed, "normative", stratum)
        folds[rng.permutation(own)] = (np.arange(len(own)) + rng.integers(n_folds)) % n_folds
    return folds


def deviations(arm: Arm, folds: np.ndarray) -> pd.DataFrame:
    """Deviations of everybody, in standard deviations of controls.

    Parameters
    ----------
    arm
        People, features and, in the arm ``covariate``, their site.
    folds
        Of :func:`deal_folds`.

    Returns
    -------
    DataFrame
        Columns :data:`KEYS`, then one a feature.

    Raises
    ------
    ValueError
        If the controls of a fold are too few.
    """
    cohort = arm.cohort
    unseen = cross_fitted_combat(arm, folds) if arm.name == COMBAT else arm
    told = pd.DataFrame(_judged(unseen, folds), columns=cohort.features.columns)
    keys = {
        "participant_id": cohort.people.index,
        "arm": arm.name,
        "site": cohort.sites,
        "group": cohort.people["group"].to_numpy(),
        "fold": folds + 1,
    }
    return pd.concat([pd.DataFrame(keys), told], axis=1)


def cross_fitted_combat(arm: Arm, folds: np.ndarray) -> Arm:
    """The arm with everybody after a ComBat of other folds' controls.

    Fitted on all controls it would know the controls and not the cases, who would then seem to
    deviate: on ABIDE 9 % of values beyond 1.96 instead of 7 %. The controls that the expected
    value is learnt from are taken after a ComBat that has not seen them either, or they would
    spread less than the people whom they judge.

    Parameters
    ----------
    arm
        The arm ``combat``.
    folds
        Of :func:`deal_folds`.

    Returns
    -------
    Arm
        The same people; features of a fold do not depend on its own people.

    Raises
    ------
    ValueError
        If ComBat cannot be fitted without a fold.
    """
    features = np.empty_like(arm.features)
    for fold in np.unique(folds):
        asked = folds == fold
        known = ~arm.cohort.is_case & ~asked
        features[asked] = combat_features(arm.cohort, known, asked).features
    return Arm(arm.name, arm.cohort, features)


def _judged(arm: Arm, folds: np.ndarray) -> np.ndarray:
    """Deviations by controls of other folds, shape (n_people, n_features)."""
    cohort = arm.cohort
    columns = list(cohort.covariates.columns)
    others = [index for index, name in enumerate(columns) if name != AGE]
    extra = arm.design[:, len(columns) :]
    return cross_fitted_deviations(
        arm.features,
        age=cohort.covariates[AGE].to_numpy() if AGE in columns else None,
        design=np.column_stack([cohort.covariates.to_numpy()[:, others], extra]),
        folds=folds,
        is_control=~cohort.is_case,
    )


def normative_rows(arm: Arm, found: pd.DataFrame) -> list[dict[str, Any]]:
    """How many of each group deviate, feature by feature.

    Parameters
    ----------
    arm
        The people.
    found
        Their :func:`deviations`.

    Returns
    -------
    list of dict
        Rows of group_normative.tsv.
    """
    names = list(arm.cohort.features.columns)
    rows = []
    for group, chosen in (("controls", ~arm.cohort.is_case), ("cases", arm.cohort.is_case)):
        own = found.loc[chosen, names].to_numpy()
        shares = share_beyond(own)
        rows += [
            {
                "arm": arm.name,
                "feature": name,
                "group": group,
                "n": len(own),
                "share_beyond": shares.share[index],
                "low": shares.low[index],
                "high": shares.high[index],
                "mean_deviation": own[:, index].mean(),
                "sd_deviation": own[:, index].std(ddof=1),
            }
            for index, name in enumerate(names)
        ]
    return rows
