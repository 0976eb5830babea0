"""Saliency: where the difference is planted, there it is found."""

import numpy as np
import pytest
import torch
from torch import nn

from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.saliency import brain_share, site_saliency

SHAPE = (8, 9, 10)
BOX = (slice(2, 4), slice(3, 6), slice(1, 3))
DRAW = np.random.default_rng(0)
SCAN, *OTHERS = [DRAW.random(SHAPE).astype(np.float32) for _ in range(9)]


class BoxMean(nn.Module):
    """Speaks for site 0 by the square of the mean in a box, for site 1 not at all."""

    def forward(self, volumes):
        mean = volumes[:, 0, BOX[0], BOX[1], BOX[2]].mean(dim=(1, 2, 3))
        return torch.stack([4 * mean.square(), torch.zeros_like(mean)], dim=1)


CLASSIFIER = Classifier(BoxMean(), ("A", "B"), SHAPE, 4.0, torch.device("cpu"))


def explain(site="A", *, baselines=OTHERS, smooth_voxels=0.0):
    return site_saliency(
        CLASSIFIER,
        SCAN,
        site,
        baselines=baselines,
        rng=np.random.default_rng(1),
        smooth_voxels=smooth_voxels,
    )


def test_voxels_that_do_not_count_get_nothing():
    saliency = explain()
    outside = np.ones(SHAPE, dtype=bool)
    outside[BOX] = False
    assert not saliency[outside].any()
    assert saliency[BOX].any()


def test_the_map_sums_to_the_difference_in_log_odds():
    baselines = [OTHERS[0]] * 400
    expected = 4 * (SCAN[BOX].mean() ** 2 - OTHERS[0][BOX].mean() ** 2)
    assert explain(baselines=baselines).sum() == pytest.approx(expected, rel=1e-3)


def test_what_speaks_for_one_of_two_sites_speaks_against_the_other():
    assert np.allclose(explain("A"), -explain("B"), atol=1e-7)


def test_smoothing_keeps_the_sum_and_spreads_it():
    sharp, smooth = explain(), explain(smooth_voxels=0.6)
    assert (smooth != 0).sum() > (sharp != 0).sum()
    assert smooth.sum() == pytest.approx(sharp.sum(), rel=0.02)


def test_the_same_seed_gives_the_same_map():
    assert np.array_equal(explain(), explain())


def test_a_map_that_ignores_the_brain_has_ratio_one():
    head = np.zeros(SHAPE, dtype=bool)
    head[1:7, 1:8] = True
    brain = np.zeros(SHAPE, dtype=bool)
    brain[3:5, 3:5] = True
    flat = np.ones(SHAPE, dtype=np.float32)
    share = brain.sum() / head.sum()
    assert brain_share(flat, head, brain) == pytest.approx((share, 1.0))
    assert brain_share(brain - 2.0 * ~brain, head, brain) == pytest.approx((1.0, 1 / share))
    assert np.isnan(brain_share(-flat, head, brain)).all()
