import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from bids_harmonize.metrics.siteness import accuracy, balanced_accuracy, mmd


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    true = rng.choice(["A", "B", "C"], size=60, p=[0.6, 0.3, 0.1])
    predicted = np.where(rng.random(60) < 0.6, true, rng.choice(["A", "B", "C"], size=60))
    return true, predicted


def test_balanced_accuracy_equals_scikit_learns(labels):
    assert balanced_accuracy(*labels) == pytest.approx(balanced_accuracy_score(*labels), abs=1e-12)


def test_accuracy_counts_the_right_ones():
    assert accuracy(["A", "B", "B", "A"], ["A", "B", "A", "A"]) == pytest.approx(0.75, abs=1e-12)


def test_naming_always_one_of_three_sites_is_chance():
    assert balanced_accuracy(list("AAAABBC"), list("AAAAAAA")) == pytest.approx(1 / 3, abs=1e-12)


def test_labels_of_other_number_are_refused():
    with pytest.raises(ValueError, match="as many predictions"):
        accuracy(["A"], [])


def test_mmd_of_one_distribution_is_about_zero_and_of_shifted_ones_is_not():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(80, 6)), rng.normal(size=(80, 6))
    assert abs(mmd(first, second)) < 0.02
    assert 0.15 < mmd(first, second + 1.0) < 1.0


def test_mmd_of_three_points_is_what_the_formula_gives():
    first, second = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    squared = np.array([0, 1, 1, 1, 4, 4])  # all pairs; the median is 1
    assert np.median(squared) == 1.0
    within = np.exp(-1.0) + np.exp(-4.0)
    between = (1.0 + np.exp(-4.0) + np.exp(-1.0) + np.exp(-1.0)) / 4
    assert mmd(first, second) == pytest.approx(within - 2 * between, abs=1e-12)


def test_mmd_does_not_depend_on_which_sample_comes_first():
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(9, 4)), rng.normal(size=(7, 4)) + 0.5
    assert mmd(first, second) == pytest.approx(mmd(second, first), abs=1e-12)


def test_mmd_of_a_single_row_is_refused():
    with pytest.raises(ValueError, match="two or more rows"):
        mmd(np.ones((1, 3)), np.ones((4, 3)))
