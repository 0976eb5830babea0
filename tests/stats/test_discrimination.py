"""AUC within groups, against scikit-learn and simulation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bids_harmonize.stats.discrimination import discrimination, discrimination_p


def test_one_group_gives_the_auc_of_scikit_learn_ties_included():
    rng = np.random.default_rng(1)
    is_case = rng.random(80) < 0.4
    scores = np.round(rng.normal(size=80) + is_case, 1)
    found = discrimination(scores, is_case, ["A"] * 80)
    assert found.auc == pytest.approx(roc_auc_score(is_case, scores), abs=1e-12)
    assert (found.n_cases, found.n_controls) == (is_case.sum(), (~is_case).sum())


def test_a_site_with_more_cases_and_higher_scores_is_no_disorder():
    rng = np.random.default_rng(2)
    sites = np.repeat(["A", "B"], 1000)
    is_case = rng.random(2000) < np.where(sites == "A", 0.8, 0.2)
    scores = rng.normal(size=2000) + 2.0 * (sites == "A")
    assert roc_auc_score(is_case, scores) > 0.7
    assert discrimination(scores, is_case, list(sites)).auc == pytest.approx(0.5, abs=0.03)


def test_groups_count_by_their_pairs():
    scores = np.array([2.0, 1.0, 0.0, 0.0, 5.0, 5.5, 4.0])
    is_case = np.array([True, False, False, False, False, True, True])
    found = discrimination(scores, is_case, ["A"] * 4 + ["B"] * 3)
    # A: 3 of 3 pairs; B: 1 of 2
    assert found.auc == pytest.approx(4 / 5)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    truth, n_inside, n_repeats = 0.7602499, 0, 2000  # of two normals one deviation apart
    groups = ["A"] * 50 + ["B"] * 70
    for _ in range(n_repeats):
        is_case = np.arange(120) % 3 == 0
        found = discrimination(rng.normal(size=120) + is_case, is_case, groups)
        n_inside += found.low < truth < found.high
    assert n_inside / n_repeats == pytest.approx(0.95, abs=0.015)


def test_p_is_uniform_without_an_effect_and_small_with_one():
    rng = np.random.default_rng(4)
    groups, is_case = ["A"] * 30 + ["B"] * 30, np.arange(60) % 2 == 0
    found = [
        discrimination_p(rng.normal(size=60), is_case, groups, rng=rng, n=199) for _ in range(600)
    ]
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.025)
    assert np.mean(found) == pytest.approx(0.5, abs=0.04)
    told = rng.normal(size=60) + 3 * is_case
    assert discrimination_p(told, is_case, groups, rng=rng, n=199) == pytest.approx(1 / 200)


def test_perfect_separation_has_no_interval_and_no_pair_no_value():
    is_case = np.array([True, True, False, False])
    perfect = discrimination(np.array([4.0, 3.0, 2.0, 1.0]), is_case, ["A"] * 4)
    assert perfect.auc == 1.0
    assert np.isnan([perfect.low, perfect.high]).all()
    apart = discrimination(np.arange(4.0), is_case, ["A", "A", "B", "B"])
    assert np.isnan(apart.auc)
    rng = np.random.default_rng(0)
    assert np.isnan(discrimination_p(np.arange(4.0), is_case, list("AABB"), rng=rng))
