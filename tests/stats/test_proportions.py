import math

import numpy as np
import pytest

from bids_harmonize.stats import mean_proportion_interval, wilson_interval


def test_wilson_gives_the_interval_of_59_in_60():
    assert wilson_interval(59, 60) == pytest.approx((0.91141, 0.99705), abs=1e-4)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (5, 10), (10, 10), (59, 60), (3, 1000)])
def test_wilson_equals_statsmodels(k, n):
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    expected = proportion.proportion_confint(k, n, method="wilson")
    assert wilson_interval(k, n) == pytest.approx(expected, abs=1e-9)


def test_wilson_without_trials_is_not_a_number_and_too_many_successes_are_refused():
    assert math.isnan(wilson_interval(0, 0)[0])
    with pytest.raises(ValueError, match="between 0 and the 3 trials"):
        wilson_interval(4, 3)


def test_a_sum_of_shares_lies_between_its_whole_neighbours():
    low, high = wilson_interval(7.5, 10)
    assert wilson_interval(7, 10)[0] < low < wilson_interval(8, 10)[0]
    assert wilson_interval(7, 10)[1] < high < wilson_interval(8, 10)[1]


def test_one_group_has_its_wilson_interval():
    assert mean_proportion_interval([(7, 10)]) == pytest.approx(wilson_interval(7, 10), abs=1e-12)


def test_all_right_is_no_interval_of_no_width():
    low, high = mean_proportion_interval([(12, 12), (12, 12)])
    assert low == pytest.approx(0.8284, abs=1e-3)
    assert high == 1.0


def test_the_interval_of_the_mean_covers_the_truth_about_as_often_as_stated():
    rng = np.random.default_rng(4)
    shares, sizes = (0.7, 0.9, 0.5), (15, 20, 12)
    truth = sum(shares) / 3
    hits = 0
    for _ in range(2000):
        counts = [(int(rng.binomial(n, p)), n) for p, n in zip(shares, sizes, strict=True)]
        low, high = mean_proportion_interval(counts)
        hits += low <= truth <= high
    assert hits / 2000 == pytest.approx(0.95, abs=0.025)


def test_a_group_without_trials_is_refused():
    with pytest.raises(ValueError, match="needs trials"):
        mean_proportion_interval([(3, 4), (0, 0)])
