"""Intervals, null quantiles and p-values by resampling."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_SAME = 1e-12

Statistic = Callable[[Any, Any], float]
"""Takes true and predicted labels of one length, gives a number."""


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    n: int = 2000,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean.

    Parameters
    ----------
    values
        One value a person.
    rng
        Source of the resampling.
    level
        Coverage, between 0 and 1.
    n
        Number of resamples.

    Returns
    -------
    low, high : float
        In the unit of the values; both NaN for fewer than two values.

    References
    ----------
    Efron 1979, doi:10.1214/aos/1176344552
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return math.nan, math.nan
    means = array[rng.integers(array.size, size=(n, array.size))].mean(axis=1)
    return _interval(means, level)


def permutation_quantile(
    true: Sequence[str],
    predicted: Sequence[str],
    folds: Sequence[Any],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    quantile: float = 0.001,
    n: int = 1000,
) -> float:
    """Quantile of a statistic when true labels are permuted within folds.

    Predictions stay fixed and nothing is retrained, so a cross-validated result below this value
    is less than luck: something leaked.

    Parameters
    ----------
    true, predicted
        One label a scan, in the same order.
    folds
        The fold in which each scan was predicted.
    statistic
        Takes true and predicted labels, gives a number.
    rng
        Source of the permutations.
    quantile
        Which quantile of the permuted statistics, 0 to 1.
    n
        Number of permutations.

    Returns
    -------
    float
        In the unit of the statistic.
    """
    permuted = _permuted(true, predicted, folds, statistic, rng=rng, n=n)
    return float(np.quantile(permuted, quantile))


def permutation_p_value(
    true: Sequence[str],
    predicted: Sequence[str],
    folds: Sequence[Any],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    n: int = 1000,
) -> float:
    """How often labels that are permuted within folds score as much as the true ones.

    Predictions stay fixed and nothing is retrained.

    Parameters
    ----------
    true, predicted
        One label a person, in the same order.
    folds
        The fold in which each was predicted.
    statistic
        Takes true and predicted labels, gives a number that is higher for better predictions.
    rng
        Source of the permutations.
    n
        Number of permutations.

    Returns
    -------
    float
        ``(1 + number of permutations that reach the true labels' value) / (n + 1)``, so never 0:
        from ``1 / (n + 1)`` to 1.

    References
    ----------
    Phipson and Smyth 2010, doi:10.2202/1544-6115.1585
    """
    observed = statistic(np.asarray(true, dtype=object), np.asarray(predicted, dtype=object))
    permuted = _permuted(true, predicted, folds, statistic, rng=rng, n=n)
    # Means of the same shares may differ in the last bit when they are added in another order.
    n_reached = int(np.sum(np.asarray(permuted) >= observed - _SAME))
    return (1 + n_reached) / (n + 1)


def _permuted(
    true: Sequence[str],
    predicted: Sequence[str],
    folds: Sequence[Any],
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    n: int,
) -> list[float]:
    """The statistic under each permutation of the true labels within folds."""
    labels = np.asarray(true, dtype=object)
    answers = np.asarray(predicted, dtype=object)
    members = [np.flatnonzero(np.asarray(folds) == fold) for fold in np.unique(folds)]
    permuted = []
    for _ in range(n):
        shuffled = labels.copy()
        for index in members:
            shuffled[index] = labels[rng.permutation(index)]
        permuted.append(statistic(shuffled, answers))
    return permuted


def _interval(samples: np.ndarray, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)
