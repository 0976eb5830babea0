"""The adjusted Rand index is scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.stats.partitions import adjusted_rand


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("n", [2, 3, 10, 135])
def test_it_equals_scikit_learns(n, k):
    rng = np.random.default_rng([n, k])
    for _ in range(20):
        one = rng.integers(k, size=n)
        other = np.where(rng.random(n) < rng.random(), one, rng.integers(k + 1, size=n))
        assert adjusted_rand(one, other) == adjusted_rand_score(one, other)
        assert adjusted_rand(other, one) == adjusted_rand(one, other)


def test_names_of_groups_do_not_matter():
    groups = np.repeat([0, 1, 2], 4)
    assert adjusted_rand(groups, np.array([5, 0, 3])[groups]) == 1.0
    assert adjusted_rand(groups, np.zeros(12, dtype=int)) == 0.0


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ([0, 1], [0, 1, 1], "shapes"),
        ([[0, 1]], [[0, 1]], "shapes"),
        ([0, -1, 1], [0, 1, 1], "negative"),
        ([0, 1, 1], [0, -1, 1], "negative"),
    ],
)
def test_what_is_no_pair_of_partitions_is_refused(one, other, words):
    with pytest.raises(ValueError, match=words):
        adjusted_rand(np.array(one), np.array(other))
