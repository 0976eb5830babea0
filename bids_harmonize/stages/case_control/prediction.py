"""Is a person of a site that nobody learnt from told to be a case? Leave-one-site-out.

Everything is fitted inside the fold: covariates, ComBat, scaling, weights and their shrinkage.
Half of the held-out site's controls are given away to the arms that must know the site; all arms
are judged on the same others. People of different sites are never compared, for a site with more
cases would then pass for the disorder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, StratifiedKFold
from sklearn.utils.class_weight import compute_sample_weight

from bids_harmonize.stages.case_control.arms import (
    COMBAT,
    COVARIATE,
    Arm,
    combat_features,
    within_sites,
)
from bids_harmonize.stages.case_control.effects import ALL_SITES
from bids_harmonize.stats.discrimination import discrimination, discrimination_p
from bids_harmonize.stats.effects import dummies, with_intercept
from bids_harmonize.training.runtime import seeded_generator

LOGISTIC: Final = "logistic"
STRENGTHS: Final = (0.0001, 0.001, 0.01, 0.1, 1.0)  # scikit-learn's C; lower shrinks more
DEFAULT_STRENGTH: Final = 0.01
N_INNER_FOLDS: Final = 3
MIN_CASES: Final = 2
MIN_CONTROLS: Final = 4
"""Of a site that is held out: two controls calibrate, two are asked."""
N_DEALS: Final = 2000
_MAX_ITERATIONS = 1000


@dataclass(frozen=True, eq=False)
class Held:
    """One fold: a site that is held out. All bool, shape (n_people,)."""

    site: str
    train: np.ndarray
    calibration: np.ndarray
    test: np.ndarray


def held_out_sites(arm: Arm, *, seed: int) -> tuple[Held, ...]:
    """The folds, the same for all arms of a run.

    Parameters
    ----------
    arm
        The people.
    seed
        Of the run; deals the controls that calibrate.

    Returns
    -------
    tuple of Held
        Sites with enough of each group, whose others have enough too.
    """
    case, sites = arm.cohort.is_case, arm.cohort.sites
    folds = []
    for site in sorted(set(sites)):
        own = sites == site
        controls = np.flatnonzero(own & ~case)
        others = [int((case & ~own).sum()), int((~case & ~own).sum())]
        if len(controls) < MIN_CONTROLS or (own & case).sum() < MIN_CASES or min(others) < 2:
            continue
        rng = seeded_generator(seed, "calibration", str(site))
        calibration = np.zeros(len(case), dtype=bool)
        calibration[rng.permutation(controls)[: len(controls) // 2]] = True
        folds.append(Held(str(site), ~own, calibration, own & ~calibration))
    return tuple(folds)


def chosen_strengths(arm: Arm, folds: Sequence[Held]) -> dict[str, float]:
    """How much each fold's model is shrunk, found inside its training sites.

    Parameters
    ----------
    arm
        People and features.
    folds
        From :func:`held_out_sites`.

    Returns
    -------
    dict
        Held-out site to one of :data:`STRENGTHS`.
    """
    case, sites = arm.cohort.is_case, arm.cohort.sites
    return {
        fold.site: _strength(_standard(arm, fold)[fold.train], case[fold.train], sites[fold.train])
        for fold in folds
    }


def predicted_scores(
    arm: Arm, folds: Sequence[Held], strengths: Mapping[str, float]
) -> pd.DataFrame:
    """The score of everybody who was asked, by a model that has not seen the site's cases.

    Parameters
    ----------
    arm
        People and features.
    folds
        From :func:`held_out_sites`.
    strengths
        From :func:`chosen_strengths`.

    Returns
    -------
    DataFrame
        arm, model, participant_id, site, is_case, score (log odds of being a case, higher for
        cases).
    """
    parts = [
        pd.DataFrame(
            {
                "arm": arm.name,
                "model": LOGISTIC,
                "participant_id": arm.cohort.people.index[fold.test],
                "site": fold.site,
                "is_case": arm.cohort.is_case[fold.test],
                "score": _scores(arm, fold, strengths[fold.site]),
            }
        )
        for fold in folds
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def classification_rows(
    scores: pd.DataFrame, folds: Sequence[Held], *, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """How well cases of each held-out site are told, and of all sites together.

    Parameters
    ----------
    scores
        Of one arm and model, not empty.
    folds
        They say how many controls calibrated.
    rng
        Deals cases and controls anew within sites, for p; the scores are kept, which is right
        for one site, and makes p of all of them too small.

    Returns
    -------
    list of dict
        Rows of group_classification.tsv; the row of all sites compares within sites alone, and
        holds the global AUC, which a site's share of cases raises, beside it.
    """
    n_given = {fold.site: int(fold.calibration.sum()) for fold in folds}
    rows = []
    for site in [ALL_SITES, *n_given]:
        own = scores if site == ALL_SITES else scores[scores["site"] == site]
        values, case = own["score"].to_numpy(), own["is_case"].to_numpy(dtype=bool)
        groups = own["site"].tolist()
        found = discrimination(values, case, groups)
        whole = discrimination(values, case, [ALL_SITES] * len(own))
        rows.append(
            {
                "arm": own["arm"].iloc[0],
                "model": own["model"].iloc[0],
                "held_out_site": site,
                "auc": found.auc,
                "low": found.low,
                "high": found.high,
                "p_permutation": discrimination_p(values, case, groups, rng=rng, n=N_DEALS),
                "n_permutations": N_DEALS,
                "n_cases": found.n_cases,
                "n_controls": found.n_controls,
                "n_calibration": sum(n_given.values()) if site == ALL_SITES else n_given[site],
                "auc_global": whole.auc if site == ALL_SITES else np.nan,
            }
        )
    return rows


def _scores(arm: Arm, fold: Held, strength: float) -> np.ndarray:
    """Log odds of the asked people of one fold, shape (n_test,)."""
    values = _standard(arm, fold)
    model = _model(strength).fit(values[fold.train], arm.cohort.is_case[fold.train])
    return np.asarray(model.decision_function(values[fold.test]))


def _standard(arm: Arm, fold: Held) -> np.ndarray:
    """Adjusted features with mean 0 and standard deviation 1 over those that train."""
    values = _adjusted(arm, fold)
    train = values[fold.train]
    spread = train.std(axis=0)
    spread[spread == 0] = 1.0
    return np.asarray((values - train.mean(axis=0)) / spread)


def _adjusted(arm: Arm, fold: Held) -> np.ndarray:
    """Features without what the covariates tell, and without the site where the arm says so.

    Rows of people who neither train, calibrate nor are asked do not exist: a fold is everybody.
    """
    cohort = arm.cohort
    known = ~cohort.is_case & (fold.train | fold.calibration)
    values = cohort.features.to_numpy()
    if arm.name == COMBAT:
        values = combat_features(cohort, known, np.ones(len(values), dtype=bool)).features
    covariates = cohort.covariates.to_numpy()
    sites = dummies(cohort.sites) if arm.name == COVARIATE else np.empty((len(values), 0))
    learnt = known if arm.name == COVARIATE else known & fold.train
    values = values - _told_by(covariates, sites, values, learnt)
    return within_sites(values, cohort.sites, known) if arm.name == COVARIATE else values


def _told_by(
    covariates: np.ndarray, sites: np.ndarray, values: np.ndarray, learnt: np.ndarray
) -> np.ndarray:
    """What the covariates tell of the values, by people they are learnt on; same shape."""
    centre = covariates[learnt].mean(axis=0)
    columns = covariates - centre
    base = with_intercept(sites[learnt])
    slopes, *_ = np.linalg.lstsq(
        np.column_stack([base, columns[learnt]]), values[learnt], rcond=None
    )
    return np.asarray(columns @ slopes[base.shape[1] :])


def _strength(values: np.ndarray, case: np.ndarray, sites: np.ndarray) -> float:
    """The C with the lowest balanced log loss in inner folds, whole sites left out if possible."""
    n_sites = len(set(sites))
    least = int(min(case.sum(), (~case).sum()))
    if n_sites >= N_INNER_FOLDS:
        folds = list(GroupKFold(N_INNER_FOLDS).split(values, case, groups=sites))
    elif least >= N_INNER_FOLDS:
        folds = list(StratifiedKFold(N_INNER_FOLDS).split(values, case))
    else:
        return DEFAULT_STRENGTH
    if any(len(set(case[train])) < 2 for train, _ in folds):
        return DEFAULT_STRENGTH
    weights = compute_sample_weight("balanced", case)
    losses = []
    for strength in STRENGTHS:
        told = np.zeros((len(case), 2))
        for train, test in folds:
            model = _model(strength).fit(values[train], case[train])
            told[test] = model.predict_proba(values[test])
        losses.append(log_loss(case, told, sample_weight=weights, labels=[False, True]))
    return STRENGTHS[int(np.argmin(losses))]


def _model(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=_MAX_ITERATIONS)
