"""The site classifier's network."""

import pytest
import torch

from bids_harmonize.networks.site_classifier import SiteClassifier, intensity_bins

VOLUMES = torch.rand(3, 1, 24, 28, 24, generator=torch.Generator().manual_seed(0))


def test_it_has_a_third_of_a_million_weights():
    n_weights = sum(weight.numel() for weight in SiteClassifier(5).parameters())
    assert n_weights == pytest.approx(294_600, abs=500)


def test_a_scan_alone_gets_what_it_gets_in_a_batch():
    network = SiteClassifier(4).eval()
    batch = network(VOLUMES)
    alone = torch.cat([network(volume[None]) for volume in VOLUMES])
    assert batch.shape == (3, 4)
    assert torch.allclose(batch, alone, atol=1e-5)


def test_air_is_zero_in_every_bin_and_bins_share_each_voxel():
    values = torch.tensor([0.0, 0.1875, 0.28125, 1.5, 9.0]).view(1, 1, 1, 1, 5)
    bins = intensity_bins(values)[0, :, 0, 0]  # (8, 5)
    assert not bins[:, 0].any()
    assert bins[:, 1].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert bins[:2, 2].tolist() == [0.5, 0.5]
    assert bins[:, 3].tolist() == bins[:, 4].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]


def test_every_weight_gets_a_gradient():
    network = SiteClassifier(2)
    torch.nn.functional.cross_entropy(network(VOLUMES), torch.tensor([0, 1, 1])).backward()
    assert all(weight.grad is not None for weight in network.parameters())
