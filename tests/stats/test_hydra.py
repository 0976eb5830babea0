import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.svm import LinearSVC

from bids_harmonize.stats.hydra import fit_hydra


def two_directions(n: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Controls around 0, and patients moved along the first or the second of six values."""
    rng = np.random.default_rng(4)
    values = rng.standard_normal((2 * n, 6))
    kind = np.arange(n) % 4 // 3  # three quarters along the first
    values[n + np.arange(n), kind] += 5.0
    return values, np.arange(2 * n) >= n, kind


def test_two_directions_are_two_facets():
    values, is_case, kind = two_directions()
    found = fit_hydra(values, is_case, 2, rng=np.random.default_rng(0), n_runs=5)
    assert adjusted_rand_score(kind, found.assign(values[is_case])) == pytest.approx(1, abs=0.06)
    directions = found.normals / np.linalg.norm(found.normals, axis=1, keepdims=True)
    assert directions[0, 0] == pytest.approx(0.95, abs=0.08)
    assert directions[1, 1] == pytest.approx(0.95, abs=0.08)


def test_controls_lie_inside_all_facets_and_patients_beyond_one():
    values, is_case, _ = two_directions()
    found = fit_hydra(values, is_case, 2, rng=np.random.default_rng(0), n_runs=3)
    beyond = found.margins(values).max(axis=1) > 0
    assert beyond[~is_case].mean() < 0.08
    assert beyond[is_case].mean() > 0.92


def test_each_facet_parts_controls_from_the_very_patients_that_it_is_given():
    rng = np.random.default_rng(4)
    values = rng.standard_normal((120, 8))
    values[60 + np.arange(60), np.arange(60) % 3] += 3.5
    controls, patients = values[:60], values[60:]
    found = fit_hydra(values, np.arange(120) >= 60, 3, rng=rng, n_runs=2)
    labels = found.assign(patients)
    for facet in range(3):
        own = patients[labels == facet]
        weights = np.r_[np.full(60, len(own) / 60), np.ones(len(own))]
        machine = LinearSVC(C=0.25, dual=False)
        machine.fit(np.vstack([controls, own]), np.repeat([0, 1], [60, len(own)]), weights)
        np.testing.assert_allclose(found.normals[facet], machine.coef_[0], atol=1e-6)


def test_one_facet_is_the_plane_between_patients_and_controls():
    values, is_case, _ = two_directions()
    found = fit_hydra(values, is_case, 1, rng=np.random.default_rng(0))
    assert (found.assign(values) == 0).all()
    assert found.normals[0, 0] > found.normals[0, 1] > abs(found.normals[0, 2:]).max()


def test_the_seed_fixes_the_facets():
    values, is_case, _ = two_directions(30)
    one, other = (fit_hydra(values, is_case, 2, rng=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.normals, other.normals)


def test_more_subtypes_than_patients_are_refused():
    values, is_case, _ = two_directions(4)
    with pytest.raises(ValueError, match="found k = 5, 4 patients and 4 controls"):
        fit_hydra(values, is_case, 5, rng=np.random.default_rng(0))
