"""Threshold-free cluster enhancement against its definition and against nilearn's."""

import numpy as np
import pytest
from nilearn.mass_univariate._utils import calculate_tfce
from scipy import ndimage

from bids_harmonize.stats.enhancement import STEP, enhance


def smooth_scores(seed, most=3.0):
    scores = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(9, 8, 7)), 1.0)
    return scores * most / np.abs(scores).max()


@pytest.mark.parametrize("seed", [0, 1])
def test_nilearn_finds_the_same(seed):
    scores = smooth_scores(seed)
    theirs = calculate_tfce(
        scores[..., None], ndimage.generate_binary_structure(3, 1), dh=STEP, two_sided_test=True
    )[..., 0]
    peak = np.abs(scores) == np.abs(scores).max()  # whether it reaches the last step is rounding
    np.testing.assert_allclose(enhance(scores)[~peak], theirs[~peak] * STEP, atol=1e-9)


def test_signs_do_not_matter():
    scores = smooth_scores(2)
    np.testing.assert_array_equal(enhance(-scores), -enhance(scores))


def test_extent_counts_as_its_square_root_and_clusters_that_touch_by_an_edge_are_two():
    scores = np.zeros((4, 4, 1))
    scores[0, :4, 0] = 1.0  # four voxels in a row
    scores[2, 2, 0] = scores[3, 3, 0] = 1.0  # corner to corner
    found = enhance(scores)
    assert found[0, 0, 0] == pytest.approx(2 * found[2, 2, 0])
    assert found[3, 3, 0] == found[2, 2, 0]
    assert found[2, 2, 0] == pytest.approx(sum((0.1 * n) ** 2 * 0.1 for n in range(1, 11)))


def test_what_is_below_the_first_step_is_nothing():
    assert not enhance(np.full((3, 3, 3), 0.09)).any()
