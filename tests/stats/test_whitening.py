import numpy as np
import pytest

from bids_harmonize.stats.excess import find_excess, split_controls
from bids_harmonize.stats.whitening import fit_whitening, widest_axes
from tests.stats.blobs import people

SITES = [f"Site{i % 3}" for i in range(150)]


def compared(severity: np.ndarray, seed: int = 0):
    values, is_case = people(severity, 150, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    splits = split_controls(values[~is_case], SITES, SITES[: len(severity)], rng=rng, n_splits=10)
    return find_excess(values[is_case], splits), splits


def test_whitened_controls_vary_by_one_in_every_direction():
    values, _ = people(np.zeros((0, 2)), 2000, np.random.default_rng(0))
    whitened = fit_whitening(values * np.geomspace(1, 1e4, 12)).apply(
        values * np.geomspace(1, 1e4, 12)
    )
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(12), atol=0.12)
    np.testing.assert_allclose(whitened.mean(axis=0), 0.0, atol=1e-9)


def test_whitening_is_undone():
    values, _ = people(np.zeros((0, 2)), 50, np.random.default_rng(0))
    whitening = fit_whitening(values)
    np.testing.assert_allclose(whitening.undo(whitening.apply(values)), values, atol=1e-9)


def test_a_value_that_is_the_same_for_all_controls_says_nothing():
    values, _ = people(np.zeros((0, 2)), 50, np.random.default_rng(0))
    values[:, 3] = 2.5
    found = fit_whitening(values)
    odd = values.copy()
    odd[:, 3] = 9.0
    np.testing.assert_allclose(found.apply(odd), found.apply(values), atol=1e-12)


def test_too_few_controls_and_unknown_values_are_refused():
    with pytest.raises(ValueError, match=r"found \(3, 2\)"):
        fit_whitening(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="finite"):
        fit_whitening(np.full((9, 2), np.nan))


def test_the_widest_axis_is_that_of_the_widest_value_and_points_up():
    values = np.random.default_rng(0).standard_normal((500, 3)) * [1, 4, 2]
    np.testing.assert_allclose(np.abs(widest_axes(values, 2)), np.eye(3)[:, [1, 2]], atol=0.1)
    assert (widest_axes(values, 3).max(axis=0) > 0.9).all()
    np.testing.assert_allclose(widest_axes(-values, 3), widest_axes(values, 3), atol=1e-12)


def test_people_of_no_disorder_are_as_wide_as_held_out_controls():
    excess, splits = compared(np.zeros((150, 2)))
    held_out = np.median([split.widest_control for split in splits])
    assert excess.variances[0] == pytest.approx(held_out, rel=0.25)
    assert excess.n_dimensions == 0


def test_each_direction_in_which_patients_vary_is_a_dimension():
    rng = np.random.default_rng(1)
    for n in (1, 2):
        severity = rng.standard_normal((150, 2)) * np.array([4.0, 4.0])
        severity[:, n:] = 0.0
        assert compared(severity)[0].n_dimensions == n


def test_no_dimension_is_found_in_most_groups_of_healthy_people():
    found = [compared(np.zeros((100, 2)), seed)[0].n_dimensions for seed in range(30)]
    assert np.mean(np.array(found) > 0) <= 0.15


def test_site_terms_of_too_few_controls_are_wrong_for_both():
    # 3 controls a site, taken out by the caller's own fit on all of them: patients' site means
    # are far from 0, and are no dimension.
    rng = np.random.default_rng(3)
    sites = np.array([f"Site{i % 40}" for i in range(240)])
    is_case = np.arange(240) >= 120
    values = rng.standard_normal((240, 12))
    for name in np.unique(sites):
        own = sites == name
        values[own] -= values[own & ~is_case].mean(axis=0)
    known = split_controls(
        values[~is_case], list(sites[~is_case]), list(sites[is_case]), rng=rng, n_splits=10
    )
    assert find_excess(values[is_case], known).n_dimensions == 0
    one = ["A"] * 120
    unknown = split_controls(values[~is_case], one, one, rng=rng, n_splits=10)
    assert find_excess(values[is_case], unknown).n_dimensions > 0
