"""Temperature scaling of logits."""

import numpy as np
import pytest
from scipy.special import softmax

from bids_harmonize.stats.calibration import fit_temperature


def drawn(rng, *, n=20_000, k=3):
    """Logits, and truths that are drawn from their softmax."""
    logits = 2 * rng.standard_normal((n, k))
    classes = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return logits, classes


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_that_spoiled_the_logits_is_found(factor):
    logits, classes = drawn(np.random.default_rng(0))
    assert fit_temperature(factor * logits, classes) == pytest.approx(factor, rel=0.04)


@pytest.mark.parametrize("n", [4, 40, 400])
def test_all_right_answers_give_the_confidence_that_their_number_allows(n):
    logits = np.tile([2.0, 0.0], (n, 1))
    temperature = fit_temperature(logits, np.zeros(n, dtype=int))
    confidence = softmax(logits[0] / temperature)[0]
    assert confidence == pytest.approx((n + 1) / (n + 2), abs=1e-4)


def test_wrong_answers_alone_give_the_highest_temperature():
    logits = np.tile([5.0, 0.0], (20, 1))
    assert fit_temperature(logits, np.ones(20, dtype=int)) == pytest.approx(10.0, rel=1e-4)


def test_nothing_to_learn_from_leaves_the_logits_alone():
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0
    assert fit_temperature(np.ones((5, 3)), np.zeros(5, dtype=int)) == 1.0
