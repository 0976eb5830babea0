import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from bids_harmonize.stats.mixture import fit_mixture


def heaps(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    kind = np.arange(n) % 3 // 2  # two thirds of the people in the first heap
    return rng.standard_normal((n, 2)) @ [[1.0, 0.4], [0.0, 0.5]] + np.outer(kind, [5, 1]), kind


def test_a_mixture_is_that_of_scikit_learn():
    scores, _ = heaps(600)
    means, covariance, weights = fit_mixture(scores, 2, rng=np.random.default_rng(0), n_starts=3)
    other = GaussianMixture(2, covariance_type="tied", n_init=3, random_state=0, tol=1e-8)
    other.fit(scores)
    mine, theirs = np.argsort(weights), np.argsort(other.weights_)
    np.testing.assert_allclose(means[mine], other.means_[theirs], atol=0.02)
    np.testing.assert_allclose(covariance, other.covariances_, atol=0.01)
    np.testing.assert_allclose(weights[mine], [1 / 3, 2 / 3], atol=0.01)


def test_one_distribution_is_the_mean_and_covariance():
    scores, _ = heaps(60)
    means, covariance, weights = fit_mixture(scores, 1, rng=np.random.default_rng(0), n_starts=3)
    np.testing.assert_allclose(means[0], scores.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(covariance, np.cov(scores.T, ddof=0), rtol=1e-4)
    assert weights == pytest.approx([1.0])


def test_people_who_are_all_the_same_are_no_fault():
    found = fit_mixture(np.ones((20, 2)), 2, rng=np.random.default_rng(0), n_starts=2)
    assert all(np.isfinite(part).all() for part in found)
