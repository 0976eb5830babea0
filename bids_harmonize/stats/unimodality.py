"""How far a set of numbers is from having one peak."""

from collections.abc import Sequence

import numpy as np


def dip(values: Sequence[float] | np.ndarray) -> float:
    """Hartigan's dip: the distance of a distribution to the nearest one with a single peak.

    It asks for nothing but one peak: a skewed, heavy-tailed or flat distribution has a small dip
    like a normal one, two heaps with a gap between them have a large one.

    Parameters
    ----------
    values
        Finite numbers, in any order and unit.

    Returns
    -------
    float
        Largest difference of two cumulative shares, from ``1 / (2 n)`` (one peak; 0 where all
        numbers are equal or there are none) to 0.25 (two points); higher is less like one peak.

    References
    ----------
    Hartigan and Hartigan 1985, doi:10.1214/aos/1176346577

    Examples
    --------
    >>> dip([1, 2, 3, 4])
    0.125
    >>> dip([0, 0.01, 0.02, 1, 1.01, 1.02]).__round__(3)
    0.245
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = x.size
    if n == 0 or x[0] == x[-1]:
        return 0.0
    low, high = 0, n - 1
    largest = 1.0  # in people, twice the dip
    while True:
        below, above = _hull(x, low, high, sign=1), _hull(x, low, high, sign=-1)
        gap, new_low, new_high = _widest_gap(x, below, above)
        if gap <= largest:
            break
        outside = max(
            _outside(x, below[below <= new_low], sign=1),
            _outside(x, above[above >= new_high], sign=-1),
        )
        largest = max(largest, outside)
        if (new_low, new_high) == (low, high):
            break
        low, high = new_low, new_high
    return largest / (2 * n)


def _hull(x: np.ndarray, low: int, high: int, *, sign: int) -> np.ndarray:
    """Corners of the cumulative counts' greatest convex minorant (1) or least concave majorant."""
    corners: list[int] = []
    for i in range(low, high + 1):
        while len(corners) > 1:
            a, b = corners[-2:]
            turn = (b - a) * (x[i] - x[b]) - (i - b) * (x[b] - x[a])
            if sign * turn < 0:
                break
            corners.pop()
        corners.append(i)
    return np.asarray(corners)


def _widest_gap(x: np.ndarray, below: np.ndarray, above: np.ndarray) -> tuple[float, int, int]:
    """Largest distance between the two hulls, in people, and the interval of the peak there."""
    lower = np.interp(x[above], x[below], below.astype(np.float64))
    upper = np.interp(x[below], x[above], above.astype(np.float64))
    at_above, at_below = above - lower + 1, upper - below + 1
    i, j = int(np.argmax(at_above)), int(np.argmax(at_below))
    if at_above[i] >= at_below[j]:
        return float(at_above[i]), int(below[below <= above[i]][-1]), int(above[i])
    return float(at_below[j]), int(below[j]), int(above[above >= below[j]][0])


def _outside(x: np.ndarray, corners: np.ndarray, *, sign: int) -> float:
    """Largest distance of the counts to a hull outside the peak, in people."""
    if len(corners) < 2:
        return 1.0
    people = np.arange(corners[0], corners[-1] + 1)
    line = np.interp(x[people], x[corners], corners.astype(np.float64))
    return float(np.max(sign * (people - line)) + 1)
