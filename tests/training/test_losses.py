import numpy as np
import pytest
import torch

from bids_harmonize.training.losses import (
    LocalHistograms,
    discriminator_loss,
    generator_loss,
    gradient_magnitude,
    grid_roughness,
    local_histogram_distance,
    mean_difference,
    soft_histogram,
)

CPU = torch.device("cpu")


def uniform_volume(seed=0, low=0.2, high=1.0, shape=(24, 28, 24)):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(1, 1, *shape, generator=generator)


def histograms(shape=(24, 28, 24)):
    return LocalHistograms(shape, voxel_size_mm=8.0, device=CPU)


def test_a_soft_histogram_shares_a_value_between_its_two_bins():
    values, cell = torch.tensor([0.25, 2.0]), torch.tensor([0, 1])
    found = soft_histogram(values, cell, 2, 3, 1.0)
    assert torch.allclose(found, torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]))


def test_on_bin_centres_it_is_numpys_histogram():
    values = torch.tensor(np.random.default_rng(0).integers(0, 6, 200) / 5, dtype=torch.float32)
    found = soft_histogram(values, torch.zeros(200, dtype=torch.long), 1, 6, 1.0)[0]
    expected, _ = np.histogram(values.numpy() * 5, bins=np.arange(7) - 0.5)
    assert np.allclose(found.numpy(), expected, atol=1e-3)


def test_the_histograms_gradient_is_the_numerical_one():
    generator = torch.Generator().manual_seed(1)
    values = torch.rand(30, generator=generator, dtype=torch.double) * 1.2
    cell = torch.randint(0, 3, (30,), generator=generator)
    assert torch.autograd.gradcheck(
        lambda v: soft_histogram(v, cell, 3, 6, 1.0), values.requires_grad_()
    )


def test_every_voxel_of_the_mask_is_counted_once_in_each_histogram():
    volume = uniform_volume()
    mask = (uniform_volume(1) > 0.5).float()
    found = histograms().measure(volume * mask, mask)
    assert found.shape == (4 * 5 * 4, 40)
    assert found[:, :24].sum().item() == pytest.approx(mask.sum().item(), rel=1e-5)
    assert found[:, 24:].sum().item() == pytest.approx(mask.sum().item(), rel=1e-5)


def test_a_shift_in_brightness_costs_about_its_size():
    mask = torch.ones(1, 1, 24, 28, 24)
    first, second = uniform_volume(low=0.2, high=0.8), uniform_volume(low=0.3, high=0.9)
    distance = local_histogram_distance(
        histograms().measure(first, mask), histograms().measure(second, mask)
    )
    assert distance.item() == pytest.approx(0.1, abs=0.005)


def test_a_field_is_seen_that_a_whole_histogram_does_not_see():
    mask = torch.ones(1, 1, 24, 28, 24)
    ramp = torch.linspace(0.3, 0.9, 24)[None, None, :, None, None].expand_as(mask).contiguous()
    mirrored = ramp.flip(2).contiguous()
    local = local_histogram_distance(
        histograms().measure(ramp, mask), histograms().measure(mirrored, mask)
    )
    whole = local_histogram_distance(
        histograms().measure(ramp, mask).sum(dim=0, keepdim=True),
        histograms().measure(mirrored, mask).sum(dim=0, keepdim=True),
    )
    assert whole.item() < 0.01
    assert local.item() == pytest.approx(0.31, abs=0.03)


def test_gradient_magnitude_of_a_ramp_is_its_slope():
    i, j, _ = torch.meshgrid(*[torch.arange(8.0)] * 3, indexing="ij")
    found = gradient_magnitude(0.3 * i + 0.4 * j)
    assert found[3, 3, 3].item() == pytest.approx(0.5, abs=1e-4)
    assert found[7, 3, 3].item() == pytest.approx(0.4, abs=1e-4)


def test_a_constant_grid_is_smooth_and_a_step_is_not():
    grid = torch.ones(1, 8, 4, 5, 4)
    assert grid_roughness(grid).item() == 0
    grid[:, :, 2:] = 3  # one of three steps along I is 2: squared, over 3
    assert grid_roughness(grid).item() == pytest.approx(4 / 3, rel=1e-5)


def test_mean_difference_counts_the_air_too():
    first = torch.zeros(1, 1, 4, 4, 4)
    second = first.clone()
    second[..., :2] = 1
    assert mean_difference(first, second).item() == pytest.approx(0.5)


def test_a_blind_discriminator_loses_a_quarter_and_a_perfect_one_nothing():
    half = torch.full((5,), 0.5)
    assert discriminator_loss(half, half).item() == pytest.approx(0.25)
    assert discriminator_loss(torch.ones(5), torch.zeros(5)).item() == 0
    assert generator_loss(torch.zeros(5)).item() == pytest.approx(1)
