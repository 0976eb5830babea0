import math

import numpy as np
import pytest

from bids_harmonize.metrics.siteness import balanced_accuracy
from bids_harmonize.stats import bootstrap_interval, permutation_quantile


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
