"""Interval of the difference of two proportions that were measured on the same people."""

import math
from statistics import NormalDist

from scipy.optimize import brentq

_NEXT_TO_ESTIMATE = 1e-9


def paired_difference_interval(
    gained: float, lost: float, n: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Tango's score interval of a difference of paired proportions.

    It has a width even where nobody differs, or everybody does: with all answers alike among 20
    people the difference may still be anything within 16 points.

    Parameters
    ----------
    gained, lost
        Number of people who are right under the first condition only, and under the second only;
        together at most n. Sums of shares (each person right in some of several trials: positive
        parts of the differences, and negative ones) are allowed: their variance is smaller, so
        the interval is rather too wide.
    n
        Number of people.
    level
        Coverage, between 0 and 1.

    Returns
    -------
    low, high : float
        From -1 to 1, around ``(gained - lost) / n``; both NaN without people.

    Raises
    ------
    ValueError
        If a count is below 0, or both together are above n.

    References
    ----------
    Tango 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B

    Examples
    --------
    >>> [round(end, 3) for end in paired_difference_interval(0, 0, 20)]
    [-0.161, 0.161]
    >>> [round(end, 3) for end in paired_difference_interval(40, 20, 160)]
    [0.031, 0.218]
    """
    if min(gained, lost) < 0 or gained + lost > n * (1 + _NEXT_TO_ESTIMATE):
        message = f"gained and lost must lie between 0 and n = {n}, found {gained} and {lost}"
        raise ValueError(message)
    if n == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf((1 + level) / 2)
    return _lower_end(gained, lost, n, z), -_lower_end(lost, gained, n, z)


def _lower_end(gained: float, lost: float, n: int, z: float) -> float:
    """The difference below the estimate whose score is z standard errors."""
    estimate = (gained - lost) / n

    def score(difference: float) -> float:
        variance = n * _variance(difference, gained, lost, n)
        return gained - lost - n * difference - z * math.sqrt(max(variance, 0.0))

    # At the estimate itself score and variance may both be 0, which is not the end sought.
    start = estimate - _NEXT_TO_ESTIMATE
    if start <= -1 or score(start) >= 0:
        return max(-1.0, estimate)
    return float(brentq(score, -1.0, start, xtol=1e-12))


def _variance(difference: float, gained: float, lost: float, n: int) -> float:
    """Variance of one pair's difference, given its mean; the rest is estimated by likelihood."""
    linear = (2 * n - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    root = math.sqrt(max(linear**2 - 8 * n * constant, 0.0))
    share_lost = (root - linear) / (4 * n)
    return 2 * share_lost + difference * (1 - difference)
