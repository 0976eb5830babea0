"""The interval of a difference of paired proportions."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from bids_harmonize.stats import paired_difference_interval

Z = 1.959963984540054


def by_search(gained, lost, n):
    """The lower end, with the rest of the table found by maximum likelihood, step by step."""

    def variance(difference):
        def surprise(share_lost):
            shares = (share_lost + difference, share_lost, 1 - 2 * share_lost - difference)
            counts = (gained, lost, n - gained - lost)
            return -sum(
                k * math.log(max(p, 1e-300)) for k, p in zip(counts, shares, strict=True) if k
            )

        ends = (max(0.0, -difference), (1 - difference) / 2)
        found = minimize_scalar(surprise, bounds=ends, method="bounded", options={"xatol": 1e-12})
        return 2 * found.x + difference - difference**2

    def score(difference):
        spread = math.sqrt(n * max(variance(difference), 0))
        return gained - lost - n * difference - Z * spread

    return brentq(score, -1 + 1e-9, (gained - lost) / n - 1e-6)


@pytest.mark.parametrize(("gained", "lost", "n"), [(40, 20, 160), (1, 7, 21), (3, 1, 12)])
def test_the_ends_are_those_of_the_likelihood_searched_by_brute_force(gained, lost, n):
    low, high = paired_difference_interval(gained, lost, n)
    assert low == pytest.approx(by_search(gained, lost, n), abs=1e-6)
    assert high == pytest.approx(-by_search(lost, gained, n), abs=1e-6)
    assert low < (gained - lost) / n < high


@pytest.mark.parametrize("n", [6, 20, 60])
def test_nobody_differs_and_everybody_differs_still_leave_a_width(n):
    limit = Z**2 / (n + Z**2)
    assert paired_difference_interval(0, 0, n) == pytest.approx((-limit, limit), abs=1e-6)
    everybody = ((n - Z**2) / (n + Z**2), 1.0)
    assert paired_difference_interval(n, 0, n) == pytest.approx(everybody, abs=1e-6)
    low, high = paired_difference_interval(0, n, n)
    assert (low, high) == pytest.approx((-everybody[1], -everybody[0]), abs=1e-6)


@pytest.mark.parametrize("shares", [(0.05, 0.0), (0.1, 0.02), (0.3, 0.1)])
def test_it_holds_the_truth_as_often_as_it_says(shares):
    rng = np.random.default_rng(0)
    n, truth = 20, shares[0] - shares[1]
    held = 0
    for gained, lost, _ in rng.multinomial(n, [*shares, 1 - sum(shares)], size=400):
        low, high = paired_difference_interval(int(gained), int(lost), n)
        held += low <= truth <= high
    assert 0.925 <= held / 400 <= 1


def test_nobody_and_impossible_counts():
    assert np.isnan(paired_difference_interval(0, 0, 0)).all()
    for counts in ((-1, 0), (3, 8)):
        with pytest.raises(ValueError, match="must lie between 0 and n = 10"):
            paired_difference_interval(*counts, 10)
