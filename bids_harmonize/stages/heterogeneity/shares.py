"""How much of a number's variance clusters of cases explain beyond covariates and site."""

from typing import Final

import numpy as np
from scipy import stats

from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stats.effects import dummies, explained_share, with_intercept

MIN_KNOWN: Final = 20
"""Cases of whom a variable must be known."""


def adjusted_for(cohort: Cohort) -> np.ndarray:
    """Covariates and sites of the cases, without intercept; shape (n_cases, n_columns)."""
    columns = [cohort.covariates.to_numpy(), dummies(cohort.sites)]
    return np.column_stack(columns)[cohort.is_case]


def share_of_clusters(
    values: np.ndarray, labels: np.ndarray, base: np.ndarray
) -> tuple[float, float]:
    """Share of variance that clusters explain beyond the base, and p of its F test.

    Parameters
    ----------
    values
        Shape (n,), NaN where unknown.
    labels
        Shape (n,), cluster of each.
    base
        Shape (n, n_columns), from :func:`adjusted_for`.

    Returns
    -------
    share, p : float
        0 to 1 each. NaN where it is known of fewer than :data:`MIN_KNOWN` people or of one
        cluster alone, is the same for everybody, or p cannot be told.
    """
    known = np.isfinite(values)
    own, kind = values[known], labels[known]
    if known.sum() < MIN_KNOWN or len(set(kind)) < 2 or np.ptp(own) == 0:
        return np.nan, np.nan
    block, adjusted = dummies(kind), base[known]
    shares, _ = explained_share(own[:, None], block, adjusted)
    share, p = float(shares[0]), np.nan
    n_base = with_intercept(adjusted).shape[1]
    n_all = with_intercept(np.column_stack([adjusted, block])).shape[1]
    top, bottom = n_all - n_base, len(own) - n_all
    if top > 0 and bottom > 0 and share < 1:  # so not NaN either
        p = float(stats.f.sf(share / top / ((1 - share) / bottom), top, bottom))
    return share, p
