"""How far a scan lies from every group: against known distances."""

import numpy as np
import pytest

from bids_harmonize.stats.novelty import mahalanobis_scores, shared_precision, upper_threshold


def two_groups(rng, *, n=400):
    spread = np.array([[4.0, 0.0], [0.0, 1.0]])
    drawn = rng.multivariate_normal([0, 0], spread, size=2 * n)
    classes = np.repeat([0, 1], n)
    return drawn + np.array([[0.0, 0.0], [20.0, 0.0]])[classes], classes


def test_the_distance_is_counted_in_standard_deviations_to_the_nearest_group():
    features, classes = two_groups(np.random.default_rng(0))
    means, precision = shared_precision(features, classes)
    asked = np.array([[0.0, 3.0], [20.0, 0.0], [26.0, 0.0]])
    assert mahalanobis_scores(asked, means, precision) == pytest.approx([3, 0, 3], abs=0.25)


def test_fewer_scans_than_features_still_have_an_inverse():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(6, 64))
    means, precision = shared_precision(features, np.array([0, 0, 0, 1, 1, 1]))
    assert means.shape == (2, 64)
    assert np.linalg.eigvalsh(precision).min() > 0


@pytest.mark.parametrize(("share", "wanted"), [(0.95, 95.0), (0.5, 50.0), (1.0, 100.0)])
def test_the_threshold_is_a_score_that_the_share_does_not_pass(share, wanted):
    scores = np.random.default_rng(2).permutation(np.arange(1.0, 101.0))
    assert upper_threshold(scores, share=share) == wanted
