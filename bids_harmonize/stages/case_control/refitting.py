"""Cases told by regression across sites, and p of that: groups dealt anew, all fitted again.

Choice: every deal goes through the whole leave-one-site-out prediction. Reason: two sites take
turns in teaching and in being asked, so by chance alone they agree with each other more often than
scores that are kept would show, and a test that keeps them calls too much. All deals and the
true groups are given the same penalty, which nobody chose: to choose it for each costs fifteen
fits, and one chosen for the true groups would be theirs alone. Deals end early where enough of
them reach the AUC, which leaves p valid (Besag and Clifford 1991, doi:10.1093/biomet/78.2.301).
Rejected: more deals; a p below .005 changes nothing that is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import sklearn

from bids_harmonize.stages.case_control.arms import Arm
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.case_control.effects import ALL_SITES
from bids_harmonize.stages.case_control.prediction import (
    DEFAULT_STRENGTH,
    Held,
    chosen_strengths,
    classification_rows,
    held_out_sites,
    predicted_scores,
)
from bids_harmonize.stats.discrimination import SAME, discrimination
from bids_harmonize.training.runtime import seeded_generator

N_REFITS: Final = 199
ENOUGH: Final = 20
"""Deals that reach the AUC, after which no more are made."""


@dataclass(frozen=True)
class Refitted:
    """What the deals tell.

    Attributes
    ----------
    p
        One-sided.
    n_deals
        How many were made.
    """

    p: float
    n_deals: int


def told_by_regression(
    arm: Arm, folds: Sequence[Held], *, seed: int
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Scores of everybody who is asked, and what they are worth.

    Parameters
    ----------
    arm
        People and features.
    folds
        From :func:`held_out_sites`, not empty.
    seed
        Of the run.

    Returns
    -------
    tuple
        What :func:`predicted_scores` and :func:`classification_rows` return; p of the row of all
        sites is that of :func:`refitted_p`.

    Raises
    ------
    ValueError
        If the features of a fold cannot be adjusted.
    """
    strengths = chosen_strengths(arm, folds)
    scores = predicted_scores(arm, folds, strengths)
    rng = seeded_generator(seed, "disorder-permutations", arm.name)
    rows = classification_rows(scores, folds, rng=rng)
    pooled = next(row for row in rows if row["held_out_site"] == ALL_SITES)
    found = refitted_p(arm, seed=seed)
    pooled.update(p_permutation=found.p, n_permutations=found.n_deals)
    return scores, rows


def refitted_p(arm: Arm, *, seed: int) -> Refitted:
    """How often groups dealt anew within sites are told as well by models fitted to them.

    Parameters
    ----------
    arm
        People and features, with their true groups; some site can be held out.
    seed
        Of the run.

    Returns
    -------
    Refitted
        Of the AUC over pairs within sites, by models of the penalty
        :data:`~bids_harmonize.stages.case_control.prediction.DEFAULT_STRENGTH`. A deal whose
        features cannot be adjusted counts as one that reaches it.

    Raises
    ------
    ValueError
        If those of the true groups cannot be adjusted.
    """
    auc = _auc(arm, seed)
    rng = seeded_generator(seed, "disorder-refits", arm.name)
    reached = 0
    # what was checked once need not be checked in every fit; that is a third of the time
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for n_deals in range(1, N_REFITS + 1):
            dealt = replace(arm, cohort=deal_groups(arm.cohort, rng))
            reached += _reaches(dealt, auc, seed)
            if reached == ENOUGH:
                return Refitted(reached / n_deals, n_deals)
    return Refitted((1 + reached) / (1 + N_REFITS), N_REFITS)


def deal_groups(cohort: Cohort, rng: np.random.Generator) -> Cohort:
    """The same people with as many cases at every site, but others.

    Parameters
    ----------
    cohort
        Cases and controls.
    rng
        Deals.

    Returns
    -------
    Cohort
        Its ``people`` alone are new.
    """
    is_case = cohort.people.groupby("site", sort=True)["is_case"].transform(rng.permutation)
    return replace(cohort, people=cohort.people.assign(is_case=is_case.astype(bool)))


def _reaches(dealt: Arm, auc: float, seed: int) -> bool:
    try:
        return _auc(dealt, seed) >= auc - SAME
    except ValueError:  # ComBat finds nothing to fit on these controls
        return True


def _auc(arm: Arm, seed: int) -> float:
    folds = held_out_sites(arm, seed=seed)
    strengths = dict.fromkeys((fold.site for fold in folds), DEFAULT_STRENGTH)
    scores = predicted_scores(arm, folds, strengths)
    is_case = scores["is_case"].to_numpy(dtype=bool)
    return discrimination(scores["score"].to_numpy(), is_case, scores["site"].tolist()).auc
