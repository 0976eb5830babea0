import torch

from bids_harmonize.networks.discriminator import PatchDiscriminator


def test_it_has_42_thousand_parameters():
    assert sum(p.numel() for p in PatchDiscriminator().parameters()) == 42_393


def test_a_score_sees_its_neighbourhood_alone():
    torch.manual_seed(0)
    network = PatchDiscriminator().eval().requires_grad_(False)
    volume = torch.rand(1, 1, 64, 64, 64)
    changed = volume.clone()
    changed[..., 56:, 56:, 56:] += 1
    difference = (network(volume) - network(changed)).abs()[0, 0]
    assert difference.shape == (8, 8, 8)
    assert difference[:4, :4, :4].max() == 0
    assert difference[7, 7, 7] > 1e-4
