"""Intervals of proportions that stay honest when everything is right or wrong.

Resampling 24 right answers out of 24 gives 24 right answers every time, an interval of no width.
So proportions take Wilson's interval, and a mean of them the interval recovered from theirs.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist


def wilson_interval(k: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    Parameters
    ----------
    k
        Number of successes, 0 to n. A sum of shares (each person right in some of several
        trials) is allowed: its variance is smaller, so the interval is rather too wide.
    n
        Number of trials.
    level
        Coverage, between 0 and 1.

    Returns
    -------
    low, high : float
        From 0 to 1; both NaN without any trial.

    Raises
    ------
    ValueError
        If k is below 0 or above n.

    References
    ----------
    Wilson 1927, doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(59, 60)]
    [0.911, 0.997]
    """
    if not 0 <= k <= n:
        message = f"successes must lie between 0 and the {n} trials, found {k}"
        raise ValueError(message)
    if n == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = k / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_proportion_interval(
    counts: Sequence[tuple[int, int]], *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the unweighted mean of independent proportions, such as balanced accuracy.

    Parameters
    ----------
    counts
        Successes and trials of each group, in this order; every group has trials.
    level
        Coverage, between 0 and 1.

    Returns
    -------
    low, high : float
        From 0 to 1, recovered from the groups' Wilson intervals (MOVER).

    Raises
    ------
    ValueError
        If there is no group, or one without trials.

    References
    ----------
    Zou and Donner 2008, doi:10.1002/sim.3095

    Examples
    --------
    >>> [round(end, 3) for end in mean_proportion_interval([(12, 12), (12, 12)])]
    [0.829, 1.0]
    """
    if not counts or any(n == 0 for _, n in counts):
        message = f"every group needs trials, found successes and trials {list(counts)}"
        raise ValueError(message)
    shares = [k / n for k, n in counts]
    intervals = [wilson_interval(k, n, level=level) for k, n in counts]
    mean = sum(shares) / len(shares)
    below = math.hypot(*(share - low for share, (low, _) in zip(shares, intervals, strict=True)))
    above = math.hypot(*(high - share for share, (_, high) in zip(shares, intervals, strict=True)))
    return max(0.0, mean - below / len(shares)), min(1.0, mean + above / len(shares))
