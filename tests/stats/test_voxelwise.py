"""The voxel-wise test: Freedman and Lane within sites, corrected by the largest value."""

import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.stats.effects import adjusted_effects, dummies
from bids_harmonize.stats.voxelwise import (
    corrected_p,
    enhanced_scores,
    order_within,
    permuted_maxima,
    prepare_test,
    t_values,
)

SHAPE = (5, 5, 4)
MASK = np.ones(SHAPE, dtype=bool)


def make_people(rng, *, n=24, shares=(0.75, 0.25), shape=SHAPE, site_effect=0.0):
    """Smooth noise, two sites that differ in share of cases, mean and spread; age acts on all."""
    sites = np.repeat(np.arange(len(shares)), n)
    is_case = np.concatenate([np.arange(n) < round(share * n) for share in shares])
    age = rng.uniform(20, 60, len(sites))
    noise = ndimage.gaussian_filter(rng.normal(size=(len(sites), *shape)), (0, 1, 1, 1))
    values = noise.reshape(len(sites), -1) / noise.std() * (1 + sites[:, None])
    values += 0.05 * age[:, None] + site_effect * sites[:, None]
    return values.astype(np.float32), is_case, age[:, None], sites


def least_p(test, sites, rng, n=19):
    t = t_values(test, np.arange(len(sites))[None])[0]
    maxima = permuted_maxima(test, sites, n, rng)
    return corrected_p(enhanced_scores(test, t), maxima).min()


def test_d_is_that_of_the_features():
    values, is_case, age, sites = make_people(np.random.default_rng(0))
    design = np.column_stack([age, dummies(sites)])
    expected = adjusted_effects(values, is_case, design)
    test = prepare_test(values.copy(), is_case, design, MASK)
    found = t_values(test, np.arange(len(sites))[None])[0] * test.scale
    np.testing.assert_allclose(found, expected.d, rtol=1e-3, atol=1e-4)


def test_residuals_of_a_smaller_model_do_as_well():
    values, is_case, age, sites = make_people(np.random.default_rng(1))
    design = np.column_stack([age, dummies(sites)])
    expected = prepare_test(values.copy(), is_case, design, MASK)
    smaller = prepare_test(values, is_case, age, MASK)
    again = prepare_test(smaller.left, is_case, design, MASK)
    np.testing.assert_allclose(again.left, expected.left, atol=1e-5)


def test_a_permutation_is_a_model_fitted_to_permuted_residuals():
    rng = np.random.default_rng(2)
    values, is_case, age, sites = make_people(rng)
    design = np.column_stack([np.ones(len(sites)), age])
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    order = order_within(sites, rng)
    moved = np.empty_like(left)
    moved[order] = left  # the person at i goes to order[i]
    whole = np.column_stack([design, is_case])
    slopes, *_ = np.linalg.lstsq(whole, moved, rcond=None)
    rest = ((moved - whole @ slopes) ** 2).sum(axis=0) / (len(sites) - 3)
    expected = slopes[-1] / np.sqrt(rest * np.linalg.inv(whole.T @ whole)[-1, -1])
    test = prepare_test(values, is_case, age, MASK)
    np.testing.assert_allclose(t_values(test, order[None])[0], expected, rtol=2e-3, atol=1e-3)


def test_nobody_leaves_the_own_site():
    sites = np.array(["B", "A", "B", "A", "C", "B"])
    rng = np.random.default_rng(3)
    orders = np.stack([order_within(sites, rng) for _ in range(50)])
    assert (sites[orders] == sites).all()
    assert (np.sort(orders, axis=1) == np.arange(6)).all()
    assert set(orders[:, 0]) == {0, 2, 5}


def test_without_an_effect_one_study_in_twenty_finds_something(monkeypatch):
    """Sites differ in mean, spread and share of cases, and the model has no word of the site."""
    monkeypatch.setattr("bids_harmonize.stats.enhancement.STEP", 0.5)  # costs a fifth
    rng = np.random.default_rng(4)
    n_studies, found, across = 120, 0, 0
    for place in range(n_studies):
        values, is_case, age, sites = make_people(rng, site_effect=3.0)
        test = prepare_test(values, is_case, age, MASK)
        found += least_p(test, sites, rng) <= 0.05
        if place < 10:
            across += least_p(test, np.zeros_like(sites), rng) <= 0.05
    bound = 1.96 * np.sqrt(0.05 * 0.95 / n_studies)
    assert found / n_studies == pytest.approx(0.05, abs=bound)
    assert across >= 9  # dealt across sites, the site passes for the disorder


def test_a_planted_blob_is_found_and_little_else():
    rng = np.random.default_rng(5)
    shape = (10, 9, 8)
    values, is_case, age, sites = make_people(rng, n=40, shape=shape, shares=(0.5, 0.5))
    blob = np.zeros(shape, dtype=bool)
    blob[2:6, 2:6, 2:6] = True
    values[np.ix_(is_case, blob.ravel())] -= 1.5 * (1 + sites[is_case, None])
    test = prepare_test(values, is_case, age, np.ones(shape, dtype=bool))
    t = t_values(test, np.arange(len(sites))[None])[0]
    p = corrected_p(enhanced_scores(test, t), permuted_maxima(test, sites, 99, rng))
    called = (p < 0.05).reshape(shape)
    assert called[blob].mean() > 0.95
    far = ~ndimage.binary_dilation(blob, iterations=2)
    assert called[far].mean() < 0.02
    assert (t.reshape(shape)[called & blob] < 0).all()


def test_voxels_outside_the_mask_join_nothing():
    rng = np.random.default_rng(6)
    values, is_case, age, _ = make_people(rng)
    mask = MASK.copy()
    mask[2] = False  # parts the volume
    test = prepare_test(values[:, mask.ravel()], is_case, age, mask)
    found = enhanced_scores(test, np.ones(int(mask.sum())))
    alone = np.zeros((2, 5, 4), dtype=bool) | True
    half = prepare_test(values[:, :40].copy(), is_case, age, alone)
    np.testing.assert_allclose(found[:40], enhanced_scores(half, np.ones(40)))


def test_covariates_that_tell_the_group_are_refused():
    values, is_case, _, _ = make_people(np.random.default_rng(7))
    with pytest.raises(ValueError, match="the covariates tell who is a case"):
        prepare_test(values, is_case, is_case[:, None].astype(float), MASK)
    with pytest.raises(ValueError, match="too few for"):
        prepare_test(values[:3], is_case[16:19], np.eye(3)[:, :2], MASK)
