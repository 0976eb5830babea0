import math

import numpy as np
import pytest

from bids_harmonize.metrics.siteness import balanced_accuracy
from bids_harmonize.stats import (
    bootstrap_interval,
    permutation_p_value,
    permutation_quantile,
)


def test_the_bootstrap_interval_is_near_the_normal_one():
    values = np.random.default_rng(0).normal(loc=3.0, scale=2.0, size=200)
    half = 1.96 * values.std() / np.sqrt(200)
    low, high = bootstrap_interval(values, rng=np.random.default_rng(1))
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = [1.0, 4.0, 2.0, 8.0]
    first = bootstrap_interval(values, rng=np.random.default_rng(5))
    assert first == bootstrap_interval(values, rng=np.random.default_rng(5))
    assert first != bootstrap_interval(values * 2, rng=np.random.default_rng(5))


def test_one_person_has_no_interval():
    assert all(math.isnan(end) for end in bootstrap_interval([3.0], rng=np.random.default_rng(0)))


def test_the_lower_permutation_quantile_lies_below_chance_and_above_a_leak():
    rng = np.random.default_rng(2)
    true = np.array(["A", "B"] * 40)
    predicted = rng.choice(["A", "B"], size=80)
    folds = np.repeat(np.arange(4), 20)
    quantile = permutation_quantile(
        true, predicted, folds, balanced_accuracy, rng=np.random.default_rng(0)
    )
    assert 0.25 < quantile < 0.42
    wrong = np.where(true == "A", "B", "A")
    assert balanced_accuracy(true, wrong) < quantile


def test_labels_are_permuted_within_folds_only():
    true = np.array(["A"] * 10 + ["B"] * 10)
    folds = np.repeat([0, 1], 10)
    quantile = permutation_quantile(
        true, true, folds, balanced_accuracy, rng=np.random.default_rng(0), n=20
    )
    assert quantile == 1.0


def test_the_p_value_counts_the_permutations_that_reach_the_observed_value():
    true, folds = np.array(["A", "B"] * 20), np.zeros(40)
    rng = np.random.default_rng(0)
    assert permutation_p_value(true, true, folds, balanced_accuracy, rng=rng) == 1 / 1001
    always = np.full(40, "A")  # every permutation scores exactly as the true labels do
    assert permutation_p_value(true, always, folds, balanced_accuracy, rng=rng, n=50) == 1.0


def test_the_p_value_of_three_right_of_four_is_the_exact_one():
    # One A is answered. It is one of the two true ones in half of the 6 deals of AABB; only then
    # is one A right (1/2) and are both B right (1), as in the true deal.
    true, predicted = ["A", "A", "B", "B"], ["A", "B", "B", "B"]
    p = permutation_p_value(
        true, predicted, [0] * 4, balanced_accuracy, rng=np.random.default_rng(1), n=4000
    )
    assert p == pytest.approx(0.5, abs=0.03)


def test_guesses_have_uniform_p_values():
    rng = np.random.default_rng(4)
    folds = np.repeat(np.arange(4), 10)
    true = np.array(["A", "B", "C", "D"] * 10)
    p = [
        permutation_p_value(
            true, rng.choice(list("ABCD"), size=40), folds, balanced_accuracy, rng=rng, n=99
        )
        for _ in range(150)
    ]
    assert np.mean(np.array(p) <= 0.1) < 0.17
    assert np.mean(p) > 0.45


def test_a_p_value_within_folds_does_not_see_what_the_folds_alone_tell():
    true = np.array(["A"] * 10 + ["B"] * 10)
    rng = np.random.default_rng(0)
    p = permutation_p_value(true, true, np.repeat([0, 1], 10), balanced_accuracy, rng=rng, n=20)
    assert p == 1.0
