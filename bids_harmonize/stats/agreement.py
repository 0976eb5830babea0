"""How well repeated measurements of the same people agree."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import f as f_distribution

_LIMIT = 1.96  # standard deviations that hold 95 % of a normal distribution
_NO_NOISE = 1e-12


@dataclass(frozen=True)
class IntraclassCorrelation:
    """ICC(2,1) with its interval; NaN where it is not defined.

    Attributes
    ----------
    value
        1 for measurements that agree in full; about 0, or below, for those that tell people apart
        no better than chance.
    low, high
        95 % interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LimitsOfAgreement:
    """Bland and Altman's limits, in the unit of the differences.

    Attributes
    ----------
    bias
        Mean difference.
    low, high
        Where 95 % of the differences are to be expected.
    """

    bias: float
    low: float
    high: float


def icc_agreement(values: np.ndarray, *, level: float = 0.95) -> IntraclassCorrelation:
    """ICC(2,1): two-way random effects, absolute agreement, single measurement.

    Parameters
    ----------
    values
        Finite, shape (n_people, n_sites).
    level
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    IntraclassCorrelation
        NaN for fewer than 2 people or 2 sites, or where all values are equal.

    References
    ----------
    Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420, ICC(2,1); interval of McGraw and Wong
    1996, doi:10.1037/1082-989X.1.1.30, table 7, ICC(A,1).
    """
    table = np.asarray(values, dtype=np.float64)
    n, k = table.shape
    if n < 2 or k < 2 or np.ptp(table) == 0:
        return IntraclassCorrelation(math.nan, math.nan, math.nan)
    people, sites, rest = _mean_squares(table)
    value = (people - rest) / (people + (k - 1) * rest + k / n * (sites - rest))
    if rest <= _NO_NOISE * people or value >= 1:  # only offsets of sites part the measurements
        return IntraclassCorrelation(float(value), math.nan, math.nan)
    scale = k * value / (n * (1 - value))
    weights = np.array([scale, 1 + (n - 1) * scale]) * [sites, rest]
    freedom = weights.sum() ** 2 / (weights**2 / [k - 1, (n - 1) * (k - 1)]).sum()
    tail = (1 + level) / 2
    below = f_distribution.ppf(tail, n - 1, freedom)
    above = f_distribution.ppf(tail, freedom, n - 1)
    common = k * sites + (k * n - k - n) * rest
    low = n * (people - below * rest) / (below * common + n * people)
    high = n * (above * people - rest) / (common + n * above * people)
    return IntraclassCorrelation(float(value), float(low), float(high))


def limits_of_agreement(differences: np.ndarray) -> LimitsOfAgreement:
    """Mean difference and the limits that hold 95 % of the differences.

    Parameters
    ----------
    differences
        One value a person.

    Returns
    -------
    LimitsOfAgreement
        Limits are NaN for fewer than two people.

    References
    ----------
    Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8
    """
    array = np.asarray(differences, dtype=np.float64)
    bias = float(array.mean()) if array.size else math.nan
    spread = _LIMIT * float(array.std(ddof=1)) if array.size > 1 else math.nan
    return LimitsOfAgreement(bias, bias - spread, bias + spread)


def _mean_squares(table: np.ndarray) -> tuple[float, float, float]:
    """Between people, between sites, and of what is left."""
    n, k = table.shape
    mean = table.mean()
    of_people = table.mean(axis=1, keepdims=True) - mean
    of_sites = table.mean(axis=0, keepdims=True) - mean
    rest = table - mean - of_people - of_sites
    return (
        float(k * (of_people**2).sum() / (n - 1)),
        float(n * (of_sites**2).sum() / (k - 1)),
        float((rest**2).sum() / ((n - 1) * (k - 1))),
    )
