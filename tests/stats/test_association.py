import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, contingency

from bids_harmonize.stats import correlation_ratio, cramers_v

SITES = [site for site in "ABCD" for _ in range(10)]


def test_v_in_a_big_table_equals_that_of_scipy():
    rng = np.random.default_rng(0)
    sites = rng.choice(list("ABC"), size=50_000)
    sexes = np.where(rng.random(50_000) < np.where(sites == "A", 0.8, 0.4), "f", "m")
    table = [[int(np.sum((sites == s) & (sexes == x))) for x in "fm"] for s in "ABC"]
    found = cramers_v(list(sites), list(sexes))
    assert found.value == pytest.approx(contingency.association(table, method="cramer"), abs=2e-4)
    assert found.value == pytest.approx(0.376, abs=0.01)


def test_v_in_a_small_table_is_the_one_reckoned_by_hand():
    # Table [[8, 2], [3, 7]]: chi2 = 20 (8*7 - 2*3)^2 / (10 10 11 9) = 5.0505, phi2 = .25253;
    # corrected phi2 = .25253 - 1/19 = .19989, corrected sizes 2 - 1/19 = 1.94737.
    first = ["A"] * 10 + ["B"] * 10
    second = ["f"] * 8 + ["m"] * 2 + ["f"] * 3 + ["m"] * 7
    found = cramers_v(first, second)
    assert found.value == pytest.approx(math.sqrt(0.199894 / 0.947368), abs=1e-5)
    expected = chi2_contingency([[8, 2], [3, 7]], correction=False).pvalue
    assert found.p == pytest.approx(expected, abs=1e-12)


def test_unrelated_labels_have_a_small_v_where_the_plain_one_is_large():
    rng = np.random.default_rng(1)
    corrected, plain = [], []
    for _ in range(200):
        sexes = list(rng.choice(["f", "m"], size=40))
        corrected.append(cramers_v(SITES, sexes).value)
        table = [[sexes[10 * i : 10 * i + 10].count(x) for x in "fm"] for i in range(4)]
        plain.append(contingency.association(table, method="cramer"))
    assert np.median(corrected) < 0.06
    assert np.median(plain) > 0.2


def test_a_label_that_tells_the_site_has_a_v_of_one():
    assert cramers_v(SITES, SITES).value == pytest.approx(1.0, abs=1e-12)
    assert cramers_v(SITES, SITES).p < 1e-10


def test_people_with_an_unknown_label_are_left_out():
    known = cramers_v(SITES[:20], ["f", "m"] * 10)
    more = cramers_v([*SITES[:20], "A", "A"], [*["f", "m"] * 10, None, None])
    assert more == known
    assert known.n == 20


def test_nothing_is_told_of_labels_that_are_all_the_same_or_all_different():
    assert math.isnan(cramers_v(SITES, ["f"] * 40).value)
    assert math.isnan(cramers_v(["A", "B", "C"], ["f", "m", "n"]).value)
    assert cramers_v([], []).n == 0
    with pytest.raises(ValueError, match="found 2 and 1"):
        cramers_v(["A", "B"], ["f"])


def test_the_correlation_ratio_equals_the_r_squared_of_statsmodels():
    ols = pytest.importorskip("statsmodels.api").OLS
    ages = np.random.default_rng(2).normal(40, 10, size=40) + 5 * np.repeat([0, 1, 2, 3], 10)
    design = np.array([[float(site == other) for other in "ABCD"] for site in SITES])
    found = correlation_ratio(ages, SITES)
    assert found.value == pytest.approx(ols(ages, design, hasconst=True).fit().rsquared, abs=1e-12)
    assert found.n == 40


def test_unrelated_ages_have_uniform_p_values():
    rng = np.random.default_rng(3)
    p = [correlation_ratio(rng.normal(size=40), SITES).p for _ in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


def test_unknown_and_equal_ages_are_no_numbers_to_compare():
    ages = [30.0, 31.0, 50.0, 51.0, float("nan")]
    found = correlation_ratio(ages, ["A", "A", "B", "B", "B"])
    assert (found.n, found.value) == (4, pytest.approx(400 / 401, abs=1e-12))
    assert math.isnan(correlation_ratio([5.0] * 4, ["A", "A", "B", "B"]).value)
    assert math.isnan(correlation_ratio([], []).p)
    with pytest.raises(ValueError, match="found 1 and 2"):
        correlation_ratio([1.0], ["A", "B"])
