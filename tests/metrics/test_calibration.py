import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from bids_harmonize.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    reliability_bins,
)

SITES = ["Leeds", "Nara", "Oslo"]


@pytest.fixture
def calibrated():
    """Twenty thousand scans whose true site is drawn from their own probabilities."""
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([1.0, 1.0, 1.0], size=20_000)
    columns = (probabilities.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    return [SITES[column] for column in columns], probabilities


def test_probabilities_that_mean_what_they_say_have_no_error(calibrated):
    assert expected_calibration_error(*calibrated, SITES) < 0.01


def test_too_much_confidence_is_an_error_of_known_size():
    true = ["Leeds"] * 6 + ["Nara"] * 4
    probabilities = np.tile([0.9, 0.1, 0.0], (10, 1))
    value = expected_calibration_error(true, probabilities, SITES)
    assert value == pytest.approx(0.9 - 0.6, abs=1e-12)


def test_errors_of_two_bins_do_not_cancel():
    true = ["Leeds", "Leeds", "Nara", "Nara"]
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4], [0.95, 0.05], [0.95, 0.05]])
    value = expected_calibration_error(true, probabilities, ["Leeds", "Nara"])
    assert value == pytest.approx((0.4 + 0.95) / 2, abs=1e-12)


def test_bins_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0.5, 1, 300)
    right = rng.random(300) < confidence
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    true = ["Leeds" if hit else "Nara" for hit in right]
    rows = reliability_bins(true, probabilities, ["Leeds", "Nara"])
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    assert [row.accuracy for row in rows] == pytest.approx(accuracy, abs=1e-12)
    assert [row.confidence for row in rows] == pytest.approx(mean, abs=1e-12)
    assert sum(row.n for row in rows) == 300
    assert [row.bin_low for row in rows] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9], abs=1e-12)


def test_full_confidence_stands_in_the_last_bin():
    (row,) = reliability_bins(["Nara"], np.array([[0.0, 1.0, 0.0]]), SITES)
    assert row == (0.9, 1.0, 1, 1.0, 1.0)


def test_brier_score_of_two_sites_is_twice_scikit_learns():
    rng = np.random.default_rng(5)
    first = rng.random(50)
    right = rng.random(50) < 0.6
    value = brier_score(
        ["Leeds" if hit else "Nara" for hit in right],
        np.stack([first, 1 - first], axis=1),
        ["Leeds", "Nara"],
    )
    assert value == pytest.approx(2 * brier_score_loss(right, first), abs=1e-12)


def test_equal_probabilities_have_the_brier_score_of_a_guess():
    value = brier_score(SITES, np.full((3, 3), 1 / 3), SITES)
    assert value == pytest.approx(2 / 3, abs=1e-12)


def test_what_is_no_distribution_over_the_sites_is_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        brier_score(["Leeds"], np.array([[2.0, 0.0, 0.0]]), SITES)
    with pytest.raises(ValueError, match="sum to 1"):
        brier_score(["Leeds"], np.array([[np.nan, 0.5, 0.5]]), SITES)
    with pytest.raises(ValueError, match=r"found \(1, 2\)"):
        brier_score(["Leeds"], np.array([[0.5, 0.5]]), SITES)
    with pytest.raises(ValueError, match="Rome"):
        expected_calibration_error(["Rome"], np.array([[0.5, 0.5, 0.0]]), SITES)
