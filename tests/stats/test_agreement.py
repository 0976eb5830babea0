"""Agreement of repeated measurements, against published figures and known truths."""

import numpy as np
import pytest

from bids_harmonize.stats import icc_agreement, limits_of_agreement

# Shrout and Fleiss 1979, table 2: six targets, four judges.
PUBLISHED = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)


def test_it_gives_the_published_figure_and_interval():
    found = icc_agreement(PUBLISHED)
    assert found.value == pytest.approx(0.2898, abs=1e-4)
    assert (found.low, found.high) == (
        pytest.approx(0.0188, abs=1e-3),
        pytest.approx(0.761, abs=1e-3),
    )


def test_an_offset_between_sites_is_disagreement():
    rng = np.random.default_rng(0)
    people = rng.normal(600, 50, size=(40, 1))
    alike = people + rng.normal(0, 5, size=(40, 2))
    assert icc_agreement(alike).value > 0.98
    assert icc_agreement(np.add(alike, [0, 100])).value < 0.45


def test_the_interval_covers_the_truth():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):  # variances of people, sites, rest 4, 1, 1: the truth is 4 / 6
        table = rng.normal(0, 2, size=(12, 1)) + rng.normal(size=(1, 6)) + rng.normal(size=(12, 6))
        found = icc_agreement(table)
        hits += found.low <= 4 / 6 <= found.high
    assert 0.90 <= hits / 400 <= 0.99


@pytest.mark.parametrize("values", [np.ones((5, 2)), np.ones((1, 2)), np.zeros((5, 1))])
def test_where_it_is_not_defined_it_says_nothing(values):
    assert np.isnan(icc_agreement(values).value)


def test_measurements_without_noise_have_no_interval():
    found = icc_agreement(np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]))
    assert found.value == 1
    assert np.isnan(found.low)


def test_limits_hold_nineteen_of_twenty_differences():
    differences = np.random.default_rng(2).normal(3, 2, size=4000)
    found = limits_of_agreement(differences)
    assert found.bias == pytest.approx(3, abs=0.1)
    inside = (differences > found.low) & (differences < found.high)
    assert inside.mean() == pytest.approx(0.95, abs=0.01)


def test_one_person_has_a_difference_and_no_limits():
    found = limits_of_agreement(np.array([2.0]))
    assert found.bias == 2
    assert np.isnan(found.low)
