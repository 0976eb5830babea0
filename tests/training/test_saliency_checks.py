"""The checks of the saliency maps: removal of blocks, and weights drawn anew."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bids_harmonize.networks.classifiers import CLASSIFIERS
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.runtime import seeded_torch
from bids_harmonize.training.saliency import ScanQuestion, saliency_map
from bids_harmonize.training.saliency_checks import (
    FRACTIONS,
    area_between,
    deletion_curves,
    rank_agreement,
    redrawn,
)

SHAPE = (24, 24, 24)
EDGE = 4  # voxels of 6 mm in a block of 24 mm: six blocks an axis
CPU = torch.device("cpu")


class TwoBlocks(nn.Module):
    """Log-odds of site A: 6 by the mean of one block, 3 by that of another, minus 4."""

    def forward(self, volumes):
        first = volumes[:, 0, 4:8, 8:12, 12:16].mean(dim=(1, 2, 3))
        second = volumes[:, 0, 16:20, 8:12, 4:8].mean(dim=(1, 2, 3))
        speaks = 6 * first + 3 * second - 4
        return torch.stack([speaks, torch.zeros_like(speaks)], dim=1)


def ask(network=None, *, level=1.0):
    """A flat head of 4 x 4 x 4 blocks; all other sites are black."""
    head = np.zeros(SHAPE, dtype=bool)
    head[4:20, 4:20, 4:20] = True
    classifier = Classifier(network or TwoBlocks(), ("A", "B"), SHAPE, 24 / EDGE, CPU)
    return ScanQuestion(
        classifier=classifier,
        volume=np.where(head, np.float32(level), np.float32(0)),
        head_mask=head,
        site="A",
        baselines=[np.zeros(SHAPE, dtype=np.float32)] * 4,
    )


def known_map():
    """What the toy decides on, block by block."""
    found = np.zeros(SHAPE, dtype=np.float32)
    found[4:8, 8:12, 12:16] = 6 / EDGE**3
    found[16:20, 8:12, 4:8] = 3 / EDGE**3
    return found


def curves(saliency, *, seed=0, n_replacements=8):
    replacements = [np.zeros(SHAPE, dtype=np.float32)] * n_replacements
    return deletion_curves(
        ask(), saliency, replacements=replacements, rng=np.random.default_rng(seed)
    )


def test_the_marked_blocks_go_first_and_take_their_log_odds_with_them():
    by_map, _ = curves(known_map())
    # 64 blocks: .05 of the head is the first four of the order, and both marked ones lead it.
    assert by_map == pytest.approx([5, -4, -4, -4, -4, -4, -4, -4], abs=1e-5)


def test_one_block_of_64_is_not_gone_before_its_share_is_reached():
    question = ask()
    lone = question.head_mask & (np.indices(SHAPE)[0] < 12)  # 32 blocks: .05 of them are two
    small = replace(question, head_mask=lone, volume=np.where(lone, np.float32(1), np.float32(0)))
    by_map, _ = deletion_curves(
        small, known_map(), replacements=[np.zeros(SHAPE, np.float32)],
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert by_map == pytest.approx([2, -4, -4, -4, -4, -4, -4, -4], abs=1e-5)


def test_random_blocks_lose_in_proportion_to_what_is_gone():
    by_map, at_random = curves(known_map(), n_replacements=400)
    n_gone = np.ceil(np.array(FRACTIONS) * 64 - 0.5 / EDGE**3)
    assert at_random == pytest.approx(5 - 9 * n_gone / 64, abs=0.5)
    assert (by_map[1:-1] < at_random[1:-1] - 1).all()
    assert area_between(by_map, at_random) > 3


def test_both_orders_begin_with_the_scan_and_end_with_the_other_one():
    by_map, at_random = curves(known_map())
    assert by_map[[0, -1]] == pytest.approx([5, -4], abs=1e-5)
    assert at_random[[0, -1]] == pytest.approx([5, -4], abs=1e-5)


def test_the_seed_decides_the_random_order_and_never_that_of_the_map():
    (one, random), (two, same), (three, other) = (curves(known_map(), seed=s) for s in (0, 0, 1))
    assert np.array_equal(random, same)
    assert not np.array_equal(random, other)
    assert np.array_equal(one, two)
    assert np.array_equal(one, three)


def test_a_map_that_marks_the_wrong_places_loses_more_slowly_than_chance():
    by_map, at_random = curves(-known_map(), n_replacements=100)
    assert area_between(by_map, at_random) < -2


def test_what_lies_outside_the_head_gives_a_block_no_place_in_the_order():
    whole = ask()
    head = whole.head_mask & (np.indices(SHAPE)[0] >= 6)  # half of the rim's blocks is air
    cut = replace(whole, head_mask=head, volume=np.where(head, np.float32(1), np.float32(0)))
    bright_air = np.where(head, np.float32(0), np.float32(9))
    by_map, _ = deletion_curves(
        cut, known_map() + bright_air, replacements=[np.zeros(SHAPE, np.float32)],
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert by_map == pytest.approx([2, -4, -4, -4, -4, -4, -4, -4], abs=1e-5)


def test_the_area_is_the_trapezoid_over_uneven_shares():
    by_map = np.array([0, 2, 2, 2, 2, 2, 2, 0.0])
    # .05 x 1, then from .05 to .75 twice .7, then .25 x 1
    assert area_between(-by_map, np.zeros(8)) == pytest.approx(0.05 + 1.4 + 0.25)


@pytest.mark.parametrize("architecture", CLASSIFIERS)
def test_no_trained_weight_is_left_after_redrawing(architecture):
    with seeded_torch(0, "test"):
        network = SiteClassifier(3, architecture=architecture).eval()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(7)
    classifier = Classifier(network, ("A", "B", "C"), SHAPE, 6.0, CPU, architecture)
    one, two, other = (redrawn(classifier, seed=s, name="fold 1") for s in (0, 0, 1))
    kept = [name for name, t in one.network.state_dict().items() if (t == 7).any()]
    assert kept == []
    weights = [found.network.state_dict() for found in (one, two, other)]
    assert all(torch.equal(t, weights[1][name]) for name, t in weights[0].items())
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])
    assert not one.network.training
    assert all((t == 7).all() for t in network.state_dict().values())


def maps(question, seed=0):
    """The default map with a network's own weights, and with weights drawn anew."""
    anew = replace(question, classifier=redrawn(question.classifier, seed=seed, name="x"))
    return [
        saliency_map(q, "integrated_gradients", rng=np.random.default_rng(0))
        for q in (question, anew)
    ]


class Places(nn.Module):
    """A weight for every place, learnt or fixed: fixed weights are no weights that are drawn."""

    def __init__(self, *, learns):
        super().__init__()
        self.learns = learns
        fixed = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
        self.register_buffer("fixed", fixed)
        self.places = nn.Parameter(fixed.clone())

    def reset_parameters(self):
        nn.init.normal_(self.places)

    def forward(self, volumes):
        weights = self.places if self.learns else self.fixed
        speaks = (volumes[:, 0] * weights).mean(dim=(1, 2, 3))
        return torch.stack([speaks, torch.zeros_like(speaks)], dim=1)


def test_a_map_that_follows_the_weights_is_lost_with_them():
    question = ask(Places(learns=True))
    own, lost = maps(question)
    assert abs(rank_agreement(own, lost, question.head_mask)) < 0.2
    assert rank_agreement(own, own, question.head_mask) == pytest.approx(1)


def test_a_map_that_ignores_the_weights_stays_and_is_found_out():
    question = ask(Places(learns=False))
    own, lost = maps(question)
    assert rank_agreement(own, lost, question.head_mask) == pytest.approx(1)


def test_agreement_is_that_of_ranks_of_sizes_inside_the_mask():
    one = np.array([[[1.0, -2.0, 3.0, 100.0]]])
    other = np.array([[[-10.0, 40.0, 30.0, 0.0]]])
    inside = np.array([[[True, True, True, False]]])
    assert rank_agreement(one, other, inside) == pytest.approx(0.5)  # 1, 2, 3 against 1, 3, 2
    assert np.isnan(rank_agreement(one, np.ones_like(one), inside))
    assert np.isnan(rank_agreement(one, other, inside & (one == 1)))
