import numpy as np
import pytest

from bids_harmonize.stats.outliers import (
    FALSE_ALARMS,
    find_all_outliers,
    find_outliers,
    outlier_threshold,
    robust_spread,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(("n", "per_thousand"), [(8, 0.34), (20, 0.95), (50, 1.0), (200, 1.0)])
@pytest.mark.parametrize("direction", ["lower", "neutral"])
def test_normal_values_are_outliers_at_the_stated_rate(n, per_thousand, direction):
    rng = np.random.default_rng(0)
    n_groups = 120_000 // n
    groups = [str(number) for number in range(n_groups) for _ in range(n)]
    values = rng.normal(50, 7, n * n_groups)
    rate = find_outliers(values, groups, direction=direction).outlying.mean()
    assert FALSE_ALARMS == 0.001
    assert 1000 * rate == pytest.approx(per_thousand, abs=0.35)


def test_a_planted_outlier_is_found_on_its_bad_side_only(rng):
    values = rng.normal(100, 5, 30)
    values[7] = 60
    for direction, found in (("higher", [7]), ("lower", []), ("neutral", [7])):
        comparison = find_outliers(values, ["A"] * 30, direction=direction)
        assert comparison.outlying.nonzero()[0].tolist() == found
    rest = values[np.arange(30) != 7]
    assert comparison.z[7] == pytest.approx((60 - np.median(values)) / robust_spread(values))
    assert comparison.z[7] == pytest.approx((60 - rest.mean()) / rest.std(), rel=0.35)
    assert set(comparison.n_compared) == {30}


def test_a_scan_is_compared_with_its_own_site(rng):
    sites = ["A"] * 20 + ["B"] * 20
    values = np.concatenate([rng.normal(100, 5, 20), rng.normal(200, 5, 20)])
    values[3], values[25] = 150, 150
    comparison = find_outliers(values, sites, direction="neutral")
    assert comparison.outlying.nonzero()[0].tolist() == [3, 25]
    assert comparison.z[3] > 5
    assert comparison.z[25] < -5


def test_small_sites_and_unknown_sites_are_compared_with_all(rng):
    values = np.append(rng.normal(100, 5, 30), [100, 300, 101])
    comparison = find_outliers(values, ["A"] * 30 + ["B", "C", None], direction="lower")
    assert comparison.outlying.nonzero()[0].tolist() == [31]
    assert comparison.n_compared[30:].tolist() == [33, 33, 33]
    assert comparison.middle[31] == np.median(values)


def test_what_is_not_known_is_no_outlier_and_does_not_count(rng):
    values = np.append(rng.normal(100, 5, 7), [np.nan, 500])
    comparison = find_outliers(values, ["A"] * 9, direction="lower")
    assert comparison.n_compared.tolist() == [8] * 9
    assert not comparison.outlying[7]
    assert comparison.outlying[8]
    few = find_outliers(values[1:], ["A"] * 8, direction="lower")
    assert not few.outlying.any()
    assert np.isnan(few.z).all()
    nothing = find_outliers(np.full(9, np.nan), ["A"] * 9, direction="lower")
    assert not nothing.outlying.any()
    assert find_outliers([], [], direction="lower").outlying.size == 0


def test_one_other_value_among_equal_ones_is_found_and_rounding_is_not():
    sizes = np.full(20, 0.9375)
    assert not find_outliers(sizes, ["A"] * 20, direction="neutral").outlying.any()
    sizes[4] = 0.938
    assert not find_outliers(sizes, ["A"] * 20, direction="neutral").outlying.any()
    sizes[4] = 1.0
    found = find_outliers(sizes, ["A"] * 20, direction="neutral").outlying
    assert found.nonzero()[0].tolist() == [4]
    cropped = np.zeros(20)
    cropped[[2, 3]] = 1
    assert find_outliers(cropped, ["A"] * 20, direction="lower").outlying.sum() == 2
    cropped[:9] = 1
    assert find_outliers(cropped, ["A"] * 20, direction="lower").outlying.sum() == 0


def test_the_order_of_scans_does_not_matter(rng):
    values = rng.standard_t(2, 60)
    sites = list(np.array(["A", "B", "C"])[rng.integers(0, 3, 60)])
    order = rng.permutation(60)
    there = find_outliers(values, sites, direction="neutral")
    back = find_outliers(values[order], [sites[place] for place in order], direction="neutral")
    assert there.outlying.any()
    assert np.array_equal(there.outlying[order], back.outlying)
    assert np.array_equal(there.z[order], back.z)


def test_thresholds_fall_with_the_number_of_scans_to_that_of_the_normal():
    limits = [outlier_threshold(n, direction="neutral") for n in (7, 8, 20, 100, 10**6)]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] == np.inf
    assert limits[-1] == pytest.approx(3.2905, abs=1e-3)


def test_measures_without_a_direction_are_left_out(rng):
    table = {"snr": rng.normal(size=10), "site": np.array(list("abcdefghij"))}
    found = find_all_outliers(table, ["A"] * 10, directions={"snr": "higher", "cnr": "higher"})
    assert list(found) == ["snr"]


def test_a_missing_group_is_refused():
    with pytest.raises(ValueError, match=r"\(2,\) values, 1 groups"):
        find_outliers([1.0, 2.0], ["A"], direction="lower")


def test_a_small_group_with_other_units_is_not_compared_with_the_others():
    values = [*np.random.default_rng(5).normal(10, 1, 30), *np.full(6, 100.0)]
    groups = ["A"] * 30 + ["B"] * 6
    across = find_all_outliers({"x": np.array(values)}, groups, directions={"x": "lower"})
    within = find_all_outliers(
        {"x": np.array(values)}, groups, directions={"x": "lower"}, within_groups_only={"x"}
    )
    assert across["x"].outlying[30:].all()
    assert not within["x"].outlying.any()
    assert (within["x"].n_compared == [30] * 30 + [0] * 6).all()
