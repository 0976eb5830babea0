"""How closely a word or a number of people goes together with the group that they belong to."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2_contingency, kruskal


class Association(NamedTuple):
    """Strength and p-value of an association.

    Attributes
    ----------
    value
        From 0 (none) to 1 (one tells the other); NaN where nothing can be told.
    p
        Of the hypothesis that there is none; NaN where nothing can be told.
    n
        Number of people that both are known of.
    """

    value: float
    p: float
    n: int


def cramers_v(first: Sequence[str | None], second: Sequence[str | None]) -> Association:
    """Cramer's V of two labels, corrected for its bias.

    Without the correction V is above 0 for unrelated labels, the more so the fewer people there
    are: 0.4 is usual for 4 sites of 5 people.

    Parameters
    ----------
    first, second
        One label a person, in the same order; people with a ``None`` are left out.

    Returns
    -------
    Association
        V from 0 to 1, and p of Pearson's chi-squared test without continuity correction. Both
        NaN where one of the labels is the same for everybody.

    Raises
    ------
    ValueError
        If the lengths differ.

    References
    ----------
    Bergsma 2013, doi:10.1016/j.jkss.2012.10.002

    Examples
    --------
    >>> round(cramers_v(["A"] * 10 + ["B"] * 10, ["f"] * 10 + ["m"] * 10).value, 3)
    1.0
    """
    _check_lengths(first, second)
    known = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    n = len(known)
    rows, columns = (sorted({pair[axis] for pair in known}) for axis in (0, 1))
    if min(len(rows), len(columns)) < 2:
        return Association(float("nan"), float("nan"), n)
    table = np.zeros((len(rows), len(columns)))
    for a, b in known:
        table[rows.index(a), columns.index(b)] += 1
    test = chi2_contingency(table, correction=False)
    r, c = table.shape
    phi2 = max(0.0, test.statistic / n - (r - 1) * (c - 1) / (n - 1))
    r_corrected, c_corrected = (size - (size - 1) ** 2 / (n - 1) for size in (r, c))
    smaller = min(r_corrected, c_corrected) - 1
    # With as many labels as people the correction leaves nothing to divide by.
    value = float(np.sqrt(phi2 / smaller)) if smaller > 0 else float("nan")
    return Association(min(value, 1.0) if smaller > 0 else value, float(test.pvalue), n)


def correlation_ratio(values: Sequence[float] | np.ndarray, groups: Sequence[str]) -> Association:
    """Share of the variance of a number that lies between groups (eta squared).

    Parameters
    ----------
    values
        One number a person; people with NaN are left out.
    groups
        The group of each, in the same order.

    Returns
    -------
    Association
        Eta squared from 0 to 1, and p of the Kruskal-Wallis test, which asks nothing of the
        numbers' distribution. Both NaN with fewer than two groups or equal numbers.

    Raises
    ------
    ValueError
        If the lengths differ.

    References
    ----------
    Kruskal and Wallis 1952, doi:10.1080/01621459.1952.10483441

    Examples
    --------
    >>> correlation_ratio([20, 20, 60, 60], ["A", "A", "B", "B"]).value
    1.0
    """
    _check_lengths(values, groups)
    numbers, names = np.asarray(values, dtype=np.float64), np.asarray(groups, dtype=object)
    known = np.isfinite(numbers)
    numbers, names = numbers[known], names[known]
    samples = [numbers[names == name] for name in sorted(set(names))]
    total = float(np.sum((numbers - numbers.mean()) ** 2)) if numbers.size else 0.0
    if len(samples) < 2 or total == 0.0:
        return Association(float("nan"), float("nan"), int(numbers.size))
    between = sum(len(own) * (own.mean() - numbers.mean()) ** 2 for own in samples)
    p = float(kruskal(*samples).pvalue)
    return Association(min(float(between / total), 1.0), p, int(numbers.size))


def _check_lengths(first: Sequence[object] | np.ndarray, second: Sequence[object]) -> None:
    if len(first) != len(second):
        message = f"need one label a person, found {len(first)} and {len(second)}"
        raise ValueError(message)
