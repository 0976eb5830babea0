"""Saliency methods by name: one signature, each against a known answer."""

import numpy as np
import pytest
import torch
from monai.visualize import OcclusionSensitivity
from scipy import ndimage
from torch import nn

from bids_harmonize.errors import UsageError
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.runtime import seeded_torch
from bids_harmonize.training.saliency import SALIENCY_METHODS, ScanQuestion, saliency_map
from bids_harmonize.training.saliency_activation import chosen_layer
from bids_harmonize.training.saliency_occlusion import block_corners

SHAPE = (24, 28, 24)
BOX = (slice(4, 8), slice(12, 16), slice(16, 20))
CPU = torch.device("cpu")


class BoxMean(nn.Module):
    """Site 0 by the mean of a 4-voxel box, read from an inner grid of 2-voxel cells."""

    def __init__(self):
        super().__init__()
        self.cells = nn.AvgPool3d(2)

    def forward(self, volumes):
        cells = self.cells(volumes)
        mean = cells[:, 0, 2:4, 6:8, 8:10].mean(dim=(1, 2, 3))
        return torch.stack([5 * mean, torch.zeros_like(mean)], dim=1)


def ask(network=None, *, baseline=0.0, voxel_size_mm=8.0):
    rng = np.random.default_rng(3)
    head = np.zeros(SHAPE, dtype=bool)
    head[2:22, 2:26, 2:24] = True
    volume = np.where(head, rng.uniform(0.5, 1.0, SHAPE), 0).astype(np.float32)
    classifier = Classifier(network or BoxMean(), ("A", "B"), SHAPE, voxel_size_mm, CPU)
    other = np.full(SHAPE, baseline, dtype=np.float32)
    return ScanQuestion(
        classifier=classifier,
        volume=volume,
        head_mask=head,
        site="A",
        baselines=[other, other],
    )


def make_network():
    with seeded_torch(0, "test"):
        return SiteClassifier(2).eval()


@pytest.mark.parametrize("method", SALIENCY_METHODS)
def test_every_method_finds_the_box_and_is_zero_outside_the_head(method):
    question = ask()
    found = saliency_map(question, method, rng=np.random.default_rng(0))
    assert (found.shape, found.dtype) == (SHAPE, np.float32)
    assert not found[~question.head_mask].any()
    peak = np.unravel_index(found.argmax(), SHAPE)
    centre = [(part.start + part.stop - 1) / 2 for part in BOX]
    assert np.abs(np.array(peak) - centre).max() <= 2.5


@pytest.mark.parametrize("method", SALIENCY_METHODS)
def test_what_speaks_for_a_site_speaks_against_the_other(method):
    question = ask(make_network(), baseline=0.3)
    swapped = ScanQuestion(**{**vars(question), "site": "B"})
    maps = [saliency_map(q, method, rng=np.random.default_rng(0)) for q in (question, swapped)]
    assert np.abs(maps[0]).max() > 0
    assert np.allclose(maps[0], -maps[1], atol=1e-4 * np.abs(maps[0]).max())


def test_an_unknown_method_is_refused_by_name():
    with pytest.raises(UsageError, match=r"'gradcam'\. Available: integrated_gradients, hirescam"):
        saliency_map(ask(), "gradcam", rng=np.random.default_rng(0))


def test_hirescam_of_a_linear_network_sums_to_the_log_odds():
    question = ask()
    found = saliency_map(question, "hirescam", rng=np.random.default_rng(0))
    assert found.sum() == pytest.approx(5 * question.volume[BOX].mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("shape", "size_mm", "cells"),
    [
        ((48, 56, 48), 4.0, (12, 14, 12)),  # 16 mm; the last grid would be 64 mm
        ((24, 28, 24), 8.0, (12, 14, 12)),  # 16 mm
        ((16, 20, 16), 12.0, (8, 10, 8)),  # 24 mm: nothing finer is left
    ],
)
def test_the_layer_has_cells_of_20_mm_at_most_where_there_are_any(shape, size_mm, cells):
    network, inputs = make_network(), torch.rand(1, 1, *shape)
    layer = chosen_layer(network, inputs, size_mm)
    assert isinstance(layer, nn.ReLU)
    outputs = []
    layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.shape))
    network(inputs)
    assert tuple(outputs[-1][2:]) == cells


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
def test_occlusion_loses_what_monai_loses_on_the_difference_to_the_replacement():
    network, question = make_network(), ask(make_network(), baseline=0.3)
    base = torch.full((1, 1, *SHAPE), 0.3)

    class Difference(nn.Module):
        def forward(self, difference):
            logits = network(base + difference)
            return logits[:, :1] - logits[:, 1:]

    difference = torch.from_numpy(question.volume)[None, None] - base
    monai = OcclusionSensitivity(
        Difference(), mask_size=4, mode=0.0, overlap=0.25, activate=False, verbose=False
    )
    with torch.inference_mode():
        left, _ = monai(difference)
        lost = Difference()(difference)[0, 0] - torch.as_tensor(left)[0, 0]
    expected = ndimage.gaussian_filter(np.asarray(lost) / 4**3, 1.0, mode="constant")
    found = saliency_map(question, "occlusion", rng=np.random.default_rng(0))
    inner = (slice(6, -6),) * 3  # MONAI also asks about blocks of background
    assert np.allclose(found[inner], expected[inner], atol=1e-3 * np.abs(expected).max())


def test_blocks_reach_both_ends_of_the_axis():
    assert block_corners(24, 4) == [0, 3, 6, 9, 12, 15, 18, 20]
    assert block_corners(3, 4) == [0]
