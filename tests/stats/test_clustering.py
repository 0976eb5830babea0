import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.stats.clustering import fit_clusters, renamed
from bids_harmonize.stats.clusternulls import separation


def heaps(distance: float, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    scores = np.random.default_rng(seed).standard_normal((n, 2))
    kind = (np.arange(n) % 3 == 0).astype(int)
    scores[:, 0] += distance * kind
    return scores, kind


@pytest.mark.parametrize("method", ["kmeans", "mixture"])
def test_two_heaps_are_two_clusters_the_larger_first(method):
    scores, kind = heaps(8.0)
    found = fit_clusters(scores, 2, method=method, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(found.assign(scores), kind)
    np.testing.assert_allclose(found.means[:, 0], [0.0, 8.0], atol=0.3)
    np.testing.assert_allclose(found.covariance, np.eye(2), atol=0.2)


@pytest.mark.parametrize(("distance", "best"), [(6.0, 2), (0.0, 1)])
def test_the_criterion_tells_two_heaps_from_one(distance, best):
    scores, _ = heaps(distance)
    rng = np.random.default_rng(0)
    criteria = [fit_clusters(scores, k, rng=rng).bic(scores) for k in (1, 2, 3)]
    assert 1 + int(np.argmin(criteria)) == best


def test_the_criterion_of_one_cluster_is_the_one_reckoned_by_hand():
    scores = np.array([[-1.0], [1.0]] * 10)
    # 20 people of variance 1, each at distance 1: -2 log L = 20 (log 2 pi + 1), 2 parameters.
    expected = 2 * np.log(20) + 20 * (np.log(2 * np.pi) + 1)
    found = fit_clusters(scores, 1, rng=np.random.default_rng(0))
    assert found.bic(scores) == pytest.approx(expected, abs=1e-6)


def test_a_person_midway_between_equal_clusters_belongs_to_both_by_half():
    scores, _ = heaps(8.0)
    found = fit_clusters(scores, 2, method="kmeans", rng=np.random.default_rng(0))
    posterior = found.posterior(np.vstack([found.means.mean(axis=0), found.means[1]]))
    np.testing.assert_allclose(posterior[0], 0.5, atol=1e-9)
    assert posterior[1, 1] == pytest.approx(1.0, abs=1e-6)


def test_names_are_those_of_the_other_clustering():
    like = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([2, 2, 0, 0, 0, 1])
    np.testing.assert_array_equal(renamed(labels, like, labels, 3), [0, 0, 1, 1, 1, 2])


def test_a_gap_is_measured_where_clusters_are_the_least_apart():
    scores, kind = heaps(9.0)
    rng = np.random.default_rng(0)
    two = separation(scores, fit_clusters(scores, 2, rng=rng))
    three = separation(scores, fit_clusters(scores, 3, rng=rng))
    assert two == pytest.approx(0.1, abs=0.02)
    assert three < 0.05
    assert separation(scores, fit_clusters(scores, 1, rng=rng)) == 0.0
    assert adjusted_rand_score(kind, fit_clusters(scores, 2, rng=rng).assign(scores)) == 1.0


def test_an_unknown_method_and_too_few_people_are_refused():
    scores, _ = heaps(1.0)
    with pytest.raises(ValueError, match="Available: kmeans, mixture"):
        fit_clusters(scores, 2, method="ward", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="found k = 3"):
        fit_clusters(scores[:3], 3, rng=np.random.default_rng(0))
