import numpy as np
import pytest

from bids_harmonize.stats.clustering import Clusters, SubtypeModel, fit_subtypes
from bids_harmonize.stats.clusternulls import NOT_DRAWN, Null
from bids_harmonize.stats.stability import Stability, measure_stability
from bids_harmonize.stats.verdict import Effort, Solution, decide

MODEL = SubtypeModel(np.eye(1), Clusters(np.zeros((2, 1)), np.eye(1), np.full(2, 0.5)))
HIGH, LOW = 0.01, 0.3  # p that rejects, and one that does not


def solution(p_full: float, p_subspace: float, *indices: float) -> Solution:
    stability = Stability(*(indices or (0.9, 0.9, 0.9)), per_person=np.ones(1))
    return Solution(MODEL, 0.0, stability, 0.05, null_of(p_full), null_of(p_subspace))


def null_of(p: float) -> Null:
    """999 draws, of which so many are as far apart as the patients that p comes out."""
    if np.isnan(p):
        return NOT_DRAWN
    return Null(0.5, np.arange(999) < round(1000 * p) - 1)


@pytest.mark.parametrize(
    ("n_dimensions", "k", "chosen", "verdict"),
    [
        (0, 1, solution(np.nan, np.nan), "none"),
        (0, 2, solution(HIGH, HIGH), "none"),
        (1, 1, solution(np.nan, np.nan), "dimensional"),
        (2, 2, solution(LOW, LOW), "dimensional"),
        (1, 2, solution(HIGH, LOW), "uncertain"),
        (1, 2, solution(LOW, HIGH), "uncertain"),
        (1, 2, solution(HIGH, HIGH), "discrete"),
        (1, 2, solution(0.05, 0.05, 0.6, 0.6, 0.6), "discrete"),
        (1, 2, solution(0.051, 0.05), "uncertain"),
        (1, 2, solution(HIGH, HIGH, 0.59, 0.9, 0.9), "uncertain"),
        (1, 2, solution(HIGH, HIGH, 0.9, 0.59, 0.9), "uncertain"),
        (1, 2, solution(HIGH, HIGH, 0.9, 0.9, 0.59), "uncertain"),
        (1, 2, solution(HIGH, HIGH, 0.9, 0.9, np.nan), "uncertain"),
    ],
)
def test_the_verdict_follows_its_rules(n_dimensions, k, chosen, verdict):
    assert decide(n_dimensions, k, chosen, Effort()) == verdict


def stability_of(distance: float, sites: np.ndarray) -> Stability:
    rng = np.random.default_rng(0)
    whitened = rng.standard_normal((120, 5))
    whitened[:60, 0] += distance
    models = fit_subtypes(whitened, [2], 1, method="kmeans", rng=rng)
    return measure_stability(
        whitened, list(sites), models, method="kmeans", n_resamples=5, rng=rng
    )[0]


def test_clusters_that_are_apart_come_again_and_pieces_of_a_blob_do_not():
    mixed = np.arange(120) % 4
    apart, blob = stability_of(8.0, mixed), stability_of(0.0, mixed)
    for name in ("bootstrap_ari", "split_half_ari", "leave_site_out_ari"):
        assert getattr(apart, name) == pytest.approx(1.0, abs=0.02)
    assert apart.per_person == pytest.approx(np.ones(120), abs=0.01)
    assert blob.split_half_ari == pytest.approx(0.05, abs=0.15)
    assert blob.per_person.mean() == pytest.approx(0.75, abs=0.2)


def test_a_cluster_that_is_one_site_does_not_come_again_without_it():
    assert stability_of(8.0, np.arange(120) // 60).leave_site_out_ari < 0.3


def test_one_site_cannot_be_left_out():
    assert np.isnan(stability_of(8.0, np.zeros(120)).leave_site_out_ari)
