import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from bids_harmonize.stats import holm, wilcoxon_paired


@pytest.mark.parametrize("n", [1, 2, 4, 8])
def test_no_p_value_is_smaller_than_the_number_of_people_allows(n):
    first = np.arange(1.0, n + 1)
    assert wilcoxon_paired(first, np.zeros(n)) == pytest.approx(2.0 ** (1 - n), abs=1e-12)


def test_four_people_with_equal_differences_cannot_reach_significance():
    assert wilcoxon_paired([1.0] * 4, [0.0] * 4) == pytest.approx(0.125, abs=1e-12)


def test_people_without_a_difference_give_no_evidence():
    assert wilcoxon_paired([1.0, 2.0], [1.0, 2.0]) == 1.0


def test_no_people_give_no_p_value():
    assert math.isnan(wilcoxon_paired([], []))


def test_the_p_value_is_scipys_and_does_not_depend_on_the_side():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=25), rng.normal(size=25) + 0.4
    expected = wilcoxon(first, second).pvalue
    assert 0.001 < expected < 0.999
    assert wilcoxon_paired(first, second) == pytest.approx(expected, abs=1e-12)
    assert wilcoxon_paired(second, first) == pytest.approx(expected, abs=1e-12)


def test_unpaired_or_missing_values_are_refused():
    with pytest.raises(ValueError, match="both sides"):
        wilcoxon_paired([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="not finite"):
        wilcoxon_paired([1.0, math.nan], [1.0, 2.0])


def test_holm_equals_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(0).random(7) * 0.2
    expected = multitest.multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected, atol=1e-12)


def test_holm_leaves_tests_that_were_not_done_out_of_the_count():
    adjusted = holm([0.02, math.nan, 0.03])
    assert adjusted[0] == pytest.approx(0.04, abs=1e-12)
    assert math.isnan(adjusted[1])
    assert adjusted[2] == pytest.approx(0.04, abs=1e-12)
