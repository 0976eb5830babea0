"""The site classifier's networks."""

import pytest
import torch
from torch import nn

from bids_harmonize.networks.classifiers import CLASSIFIERS, make_trunk
from bids_harmonize.networks.site_classifier import SiteClassifier, intensity_bins

VOLUMES = torch.rand(3, 1, 24, 28, 24, generator=torch.Generator().manual_seed(0))
WEIGHTS = {"lean": 294_803, "sfcn": 2_956_707, "densenet121": 11_401_411, "resnet18": 33_317_123}


def smallest(name, *, n_scans=2):
    shape = (CLASSIFIERS[name].least_voxels,) * 3
    return torch.rand(n_scans, 1, *shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=CLASSIFIERS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def network(name):
    torch.manual_seed(0)
    return SiteClassifier(3, architecture=name)


def test_it_has_as_many_weights_as_the_table_says(network, name):
    n_weights = sum(weight.numel() for weight in network.parameters())
    assert n_weights == WEIGHTS[name]


def test_no_scan_of_a_batch_changes_the_features_of_another(network, name):
    assert not any(isinstance(part, nn.BatchNorm3d) for part in network.modules())
    volumes = smallest(name)
    network.train()
    with torch.no_grad():
        alone = network.pool(volumes[:1])
        together = network.pool(torch.cat([volumes[:1], 3 * volumes[1:]]))[:1]
    assert alone.std() > 1e-4
    assert torch.allclose(alone, together, atol=1e-5)


def test_two_of_the_smallest_scans_train_every_weight(network, name):
    network.train().zero_grad()
    logits = network(smallest(name))
    nn.functional.cross_entropy(logits, torch.tensor([0, 2])).backward()
    assert logits.shape == (2, 3)
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())


def test_logits_are_a_linear_map_of_the_embedding(network, name):
    network.eval()
    volumes = smallest(name)
    with torch.no_grad():
        embedded, logits = network.embed(volumes), network(volumes)
    assert embedded.shape == (2, CLASSIFIERS[name].n_features)
    assert torch.allclose(network.head(embedded), logits, atol=1e-5)


def test_settled_features_have_mean_zero_and_variance_one_over_the_scans(network, name):
    network.eval()
    volumes = smallest(name, n_scans=4)
    with torch.no_grad():
        network.settle(network.pool(volumes))
        embedded = network.embed(volumes)
    assert embedded.mean(dim=0).abs().max() < 1e-3
    # Features that hardly vary are kept small by BatchNorm's epsilon.
    assert (embedded.var(dim=0) <= 1.001).all()


def test_half_precision_changes_the_logits_a_little_and_leaves_them_float32(network, name):
    network.eval()
    volumes = smallest(name)
    with torch.no_grad():
        expected = network(volumes)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network(volumes)
    assert found.dtype == torch.float32
    difference = (found - expected).abs().max().item()
    assert 0 < difference < 0.3


def test_an_unknown_architecture_names_those_there_are():
    with pytest.raises(KeyError, match="Available: lean, sfcn, densenet121, resnet18"):
        make_trunk("vgg", n_channels=8)


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
