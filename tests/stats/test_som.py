import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.stats.som import cluster_som, fit_som


def along_a_line(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """People who differ in one number, which bends through three values."""
    place = np.random.default_rng(2).random(n)
    return np.c_[10 * place, 3 * np.sin(3 * place), np.zeros(n)], place


def test_people_who_are_alike_lie_on_neighbouring_nodes():
    values, place = along_a_line()
    found = fit_som(values, shape=(6, 2), n_epochs=20)
    rows = found.nearest(values) // 2
    assert abs(np.corrcoef(rows, place)[0, 1]) == pytest.approx(0.98, abs=0.02)
    order = np.argsort(place)
    assert np.abs(np.diff(rows[order])).max() <= 1


def test_heaps_are_clusters_the_largest_first():
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], [90, 60, 30])
    values = rng.standard_normal((180, 4)) + 8 * np.eye(4)[kind]
    for seed in range(4):
        found = cluster_som(values, 3, rng=np.random.default_rng(seed), n_epochs=20)
        assert adjusted_rand_score(kind, found.assign(values)) == pytest.approx(1.0, abs=0.05)
        np.testing.assert_allclose(np.bincount(found.assign(values)), [90, 60, 30], atol=3)


def test_the_order_of_people_does_not_matter():
    values, _ = along_a_line()
    one, other = (fit_som(v, n_epochs=10) for v in (values, values[::-1]))
    np.testing.assert_allclose(one.nodes, other.nodes, atol=1e-8)


def test_a_map_of_too_little_is_refused():
    values, _ = along_a_line()
    with pytest.raises(ValueError, match=r"found \(200, 1\)"):
        fit_som(values[:, :1])
    with pytest.raises(ValueError, match="found k = 37"):
        cluster_som(values, 37, rng=np.random.default_rng(0), n_epochs=2)
