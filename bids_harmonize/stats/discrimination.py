"""How well a score tells cases from controls, within groups of people that may be compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

Array: TypeAlias = np.ndarray

SAME: Final = 1e-12
"""AUCs and sums of ranks that differ by less are equal."""


@dataclass(frozen=True)
class Discrimination:
    """Area under the ROC curve.

    Attributes
    ----------
    auc
        Probability that a case scores higher than a control, 0.5 by chance; NaN without pairs.
    low, high
        95 % interval; NaN where the variance is 0 or unknown, as with perfect separation.
    n_cases, n_controls
        People compared.
    """

    auc: float
    low: float
    high: float
    n_cases: int
    n_controls: int


def discrimination(scores: Array, is_case: Array, groups: Sequence[str]) -> Discrimination:
    """AUC over the pairs of a case and a control of the same group.

    Scores of different groups are never compared, so that a group (a site) with more cases cannot
    pass for the disorder. Each pair weighs the same.

    Parameters
    ----------
    scores
        Shape (n_people,), higher for cases.
    is_case
        Bool, shape (n_people,).
    groups
        One label a person; the same for all gives the usual AUC.

    Returns
    -------
    Discrimination
        Interval by the variance of DeLong, summed over groups, on the logit scale.

    References
    ----------
    DeLong 1988, doi:10.2307/2531595

    Examples
    --------
    >>> found = discrimination(np.array([1, 3, 2, 4]), np.array([0, 1, 0, 1]) > 0, ["A"] * 4)
    >>> found.auc
    1.0
    """
    labels = np.asarray(groups, dtype=object)
    won = pairs = variance = 0.0
    known = True
    n_cases = n_controls = 0
    for name in np.unique(labels):
        chosen = labels == name
        cases, controls = scores[chosen & is_case], scores[chosen & ~is_case]
        if not len(cases) or not len(controls):
            continue
        size = len(cases) * len(controls)
        area, spread = _area(cases, controls)
        won, pairs = won + area * size, pairs + size
        known = known and math.isfinite(spread)
        variance += spread * size**2
        n_cases, n_controls = n_cases + len(cases), n_controls + len(controls)
    if not pairs:
        return Discrimination(math.nan, math.nan, math.nan, n_cases, n_controls)
    auc = won / pairs
    low, high = _logit_interval(auc, variance / pairs**2 if known else math.nan)
    return Discrimination(auc, low, high, n_cases, n_controls)


def discrimination_p(
    scores: Array,
    is_case: Array,
    groups: Sequence[str],
    *,
    rng: np.random.Generator,
    n: int = 2000,
) -> float:
    """How often cases and controls dealt anew within groups are told as well.

    Parameters
    ----------
    scores, is_case, groups
        As for :func:`discrimination`; the scores stay, nothing is fitted again.
    rng
        Source of the deals.
    n
        Number of deals.

    Returns
    -------
    float
        One-sided, ``(1 + number that reach the AUC) / (n + 1)``; NaN without pairs.
    """
    labels = np.asarray(groups, dtype=object)
    reached, total, dealt = 0.0, 0.0, np.zeros(n)
    for name in np.unique(labels):
        chosen = labels == name
        case = is_case[chosen]
        n_cases, n_controls = int(case.sum()), int((~case).sum())
        if not n_cases or not n_controls:
            continue
        ranks = rankdata(scores[chosen])
        offset = n_cases * (n_cases + 1) / 2
        reached += float(ranks[case].sum()) - offset
        order = rng.permuted(np.broadcast_to(ranks, (n, len(ranks))), axis=1)
        dealt += order[:, :n_cases].sum(axis=1) - offset
        total += n_cases * n_controls
    if not total:
        return math.nan
    return float((1 + np.sum(dealt >= reached - SAME)) / (n + 1))


def _area(cases: Array, controls: Array) -> tuple[float, float]:
    """AUC of one group and its variance; NaN with one case or one control."""
    n_cases, n_controls = len(cases), len(controls)
    both = rankdata(np.concatenate([cases, controls]))
    of_case = (both[:n_cases] - rankdata(cases)) / n_controls
    of_control = 1 - (both[n_cases:] - rankdata(controls)) / n_cases
    if min(n_cases, n_controls) < 2:
        return float(of_case.mean()), math.nan
    spread = of_case.var(ddof=1) / n_cases + of_control.var(ddof=1) / n_controls
    return float(of_case.mean()), float(spread)


def _logit_interval(auc: float, variance: float) -> tuple[float, float]:
    if not (0 < auc < 1 and variance > 0):
        return math.nan, math.nan
    half = norm.ppf(0.975) * math.sqrt(variance) / (auc * (1 - auc))
    return float(expit(logit(auc) - half)), float(expit(logit(auc) + half))
