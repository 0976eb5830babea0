"""Paired tests and the correction for several of them."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import wilcoxon


def wilcoxon_paired(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray
) -> float:
    """Two-sided p-value of the Wilcoxon signed-rank test of paired values.

    With few people no small value exists: n pairs allow none below ``2 / 2**n``, so four people
    can never reach .05.

    Parameters
    ----------
    first, second
        One value a person, in the same order.

    Returns
    -------
    float
        From ``2 / 2**n`` to 1; 1 where all pairs are equal, NaN without any pair.

    Raises
    ------
    ValueError
        If the lengths differ or a value is not finite.

    References
    ----------
    Wilcoxon 1945, doi:10.2307/3001968

    Examples
    --------
    >>> wilcoxon_paired([1.0, 2.0, 3.0, 4.0], [0.5, 1.2, 2.1, 2.0])
    0.125
    """
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != two.shape or one.ndim != 1:
        message = f"need as many values on both sides, found shapes {one.shape} and {two.shape}"
        raise ValueError(message)
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        message = "a paired value is not finite; leave the person out of both sides"
        raise ValueError(message)
    differences = one - two
    differences = differences[differences != 0]
    if one.size == 0:
        return float("nan")
    if differences.size == 0:
        return 1.0
    smallest = 2.0 ** (1 - differences.size)
    return float(np.clip(wilcoxon(differences).pvalue, smallest, 1.0))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values corrected for their number by Holm's step-down method.

    Parameters
    ----------
    p_values
        From 0 to 1; NaN (a test that could not be done) stays NaN and does not count.

    Returns
    -------
    ndarray
        Adjusted p-values in the same order, at most 1.

    References
    ----------
    Holm 1979, https://www.jstor.org/stable/4615733

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(values, np.nan)
    order = np.argsort(values)[: int(np.isfinite(values).sum())]
    steps = values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
