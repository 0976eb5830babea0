"""Values that stand apart from those of their own group.

Choice: distance from the group's median in robust spreads, against a threshold that grows as the
group gets smaller. Reason: the spread of a few values is itself uncertain; with one threshold for
all, a site of 8 scans would have ten times the false alarms of a site of 100. Rejected: a fixed
3.5 (Iglewicz and Hoaglin), for that reason; mean and standard deviation (an outlier hides itself).
Revisit when sites of fewer than 8 scans are the rule.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

Floats = NDArray[np.float64]
Direction = Literal["higher", "lower", "neutral"]

MIN_GROUP: Final = 8
FALSE_ALARMS: Final = 0.001
MAD_TO_SD: Final = 1.4826
MEAN_DEVIATION_TO_SD: Final = 1.2533
FREEDOM_OF_MAD: Final = 0.45  # of (n - 1); simulated, see tests/stats/test_outliers.py
LEAST_SPREAD: Final = 0.005  # of the median: smaller differences are rounding


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every value beside those it was compared with.

    Parameters
    ----------
    middle, spread
        Arrays (n,): median and robust spread of the values that it was compared with; NaN where
        there are fewer than ``MIN_GROUP``.
    z
        Array (n,): ``(value - middle) / spread``.
    n_compared
        Array (n,) of int: how many values, its own included.
    outlying
        Array (n,) of bool: beyond the threshold in the bad direction.
    """

    middle: Floats
    spread: Floats
    z: Floats
    n_compared: NDArray[np.int64]
    outlying: NDArray[np.bool_]


def find_outliers(
    values: Sequence[float] | NDArray[Any],
    groups: Sequence[str | None],
    *,
    direction: Direction,
    across_groups: bool = True,
) -> Comparison:
    """Each value against its own group where that has enough values, else against all.

    Parameters
    ----------
    values
        One a scan, NaN where it is not known; NaN is no outlier and does not count.
    groups
        Group (site) of each, None where it is not known.
    direction
        Which values are better: only those on the other side are outliers; both sides count for
        ``neutral``.
    across_groups
        Whether values of a small group are compared with all; where not, none of them is an
        outlier.

    Returns
    -------
    Comparison
        In the order of ``values``.

    Raises
    ------
    ValueError
        If there are not as many groups as values.

    Examples
    --------
    >>> values = [10.0, 11, 9, 10, 12, 10, 8, 11, 9, 10, 60]
    >>> find_outliers(values, ["A"] * 11, direction="lower").outlying.nonzero()[0].tolist()
    [10]
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size != len(groups):
        message = f"need one group a value, found {numbers.shape} values, {len(groups)} groups"
        raise ValueError(message)
    known = np.isfinite(numbers)
    middle, spread = (np.full(numbers.size, np.nan) for _ in range(2))
    limits = np.full(numbers.size, np.inf)
    n_compared = np.zeros(numbers.size, np.int64)
    for name, own in _places(groups).items():
        others = own[known[own]]
        if name is None or others.size < MIN_GROUP:
            others = np.flatnonzero(known) if across_groups else others[:0]
        n_compared[own] = others.size
        if others.size >= MIN_GROUP:
            middle[own] = np.median(numbers[others])
            spread[own] = robust_spread(numbers[others])
            limits[own] = outlier_threshold(others.size, direction=direction)
    z = _distances(numbers - middle, spread)
    signed = {"higher": -z, "lower": z, "neutral": np.abs(z)}[direction]
    return Comparison(middle, spread, z, n_compared, np.nan_to_num(signed, nan=0.0) > limits)


def find_all_outliers(
    table: Mapping[str, NDArray[Any]],
    groups: Sequence[str | None],
    *,
    directions: Mapping[str, Direction],
    within_groups_only: Collection[str] = (),
) -> dict[str, Comparison]:
    """:func:`find_outliers` for every measure of a table that has a direction.

    Parameters
    ----------
    table
        Measure to its values, one a scan.
    groups
        Site of each scan.
    directions
        Measure to its direction; others are left out.
    within_groups_only
        Measures that differ between groups as such (units, protocols), so that a value is never
        compared across them.

    Returns
    -------
    dict
        Measure to its comparison, in the order of ``directions``.
    """
    return {
        name: find_outliers(
            table[name],
            groups,
            direction=direction,
            across_groups=name not in within_groups_only,
        )
        for name, direction in directions.items()
        if name in table
    }


def robust_spread(values: Floats) -> float:
    """Standard deviation of most of the values, for which a few strangers do not matter.

    1.4826 times the median absolute deviation; where most values are equal, 1.2533 times the mean
    absolute deviation; never below 0.5 % of the median, which is rounding.

    Examples
    --------
    >>> robust_spread(np.array([1.0, 2.0, 3.0, 4.0, 500.0]))
    1.4826
    """
    middle = float(np.median(values))
    distances = np.abs(values - middle)
    spread = MAD_TO_SD * float(np.median(distances))
    if spread == 0.0:
        spread = MEAN_DEVIATION_TO_SD * float(distances.mean())
    return max(spread, LEAST_SPREAD * abs(middle))


def outlier_threshold(n: int, *, direction: Direction) -> float:
    """How many spreads from the median a value of ``n`` may lie; infinite for fewer than 8.

    The quantile of Student's t that 1 of 1,000 normally distributed values exceeds, with
    ``0.45 * (n - 1)`` degrees of freedom, since a median absolute deviation knows the spread about
    as well as a standard deviation of half as many values. Simulated, 0.3 of 1,000 exceed it in
    groups of 8, 1.0 of 1,000 in groups of 20 and more.

    Examples
    --------
    >>> [round(outlier_threshold(n, direction="lower"), 1) for n in (8, 20, 100)]
    [9.5, 4.4, 3.3]
    """
    if n < MIN_GROUP:
        return float("inf")
    tail = FALSE_ALARMS / 2 if direction == "neutral" else FALSE_ALARMS
    return float(student_t.isf(tail, FREEDOM_OF_MAD * (n - 1)))


def _places(groups: Sequence[str | None]) -> dict[str | None, NDArray[np.int64]]:
    places: dict[str | None, list[int]] = {}
    for place, group in enumerate(groups):
        places.setdefault(group, []).append(place)
    return {group: np.array(found, np.int64) for group, found in places.items()}


def _distances(differences: Floats, spread: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        z: Floats = differences / spread
    z[(differences == 0) & (spread == 0)] = 0.0
    return z
