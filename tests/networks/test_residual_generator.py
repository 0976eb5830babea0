import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bids_harmonize.networks.bilateral_generator import BilateralGenerator
from bids_harmonize.networks.generators import GENERATORS, GeneratorPlan, make_generator
from bids_harmonize.networks.residual_generator import ResidualGenerator

PLAN = GeneratorPlan(voxel_size_mm=8.0, sharpened_mm=None, width=2, n_blocks=1)


def make_volume(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(1, 1, *shape)
    mask[..., 3:-3, 3:-3, 3:-3] = 1
    return torch.rand(1, 1, *shape, generator=generator) * 1.4 * mask, mask


def trained_like(voxel_size_mm=8.0, **sizes):
    """A generator with a head that is no longer zero."""
    torch.manual_seed(3)
    generator = ResidualGenerator(
        voxel_size_mm=voxel_size_mm, **{"width": 4, "n_blocks": 2} | sizes
    )
    torch.nn.init.normal_(generator.head.weight, std=0.05)
    return generator.requires_grad_(False)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_starts_as_the_identity(name):
    volume, mask = make_volume((16, 20, 16))
    generator = make_generator(name, PLAN)
    grid = generator.predict_grid(volume, mask)
    assert torch.equal(generator.apply_grid(volume, mask, grid, voxel_size_mm=8.0), volume)
    assert generator.voxel_size_mm == 8.0


def test_an_unknown_generator_is_refused_with_a_list():
    with pytest.raises(KeyError, match="Available: bilateral, residual"):
        make_generator("unet", PLAN)


def test_the_generators_are_listed_without_importing_torch():
    code = "import sys, bids_harmonize.networks.generators; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("sizes", "n_weights"),
    [({}, 6_747_841), ({"width": 16}, 1_687_393), ({"n_blocks": 6}, 5_863_105)],
)
def test_the_number_of_weights_is_the_stated_one(sizes, n_weights):
    generator = ResidualGenerator(voxel_size_mm=3.0, **sizes)
    assert sum(p.numel() for p in generator.parameters()) == n_weights


def test_any_size_is_padded_to_fours_and_cut_back():
    generator = trained_like()
    volume, mask = make_volume((13, 18, 15))
    padded = torch.zeros(1, 1, 16, 20, 16)
    padded[..., :13, :18, :15] = volume
    grid = generator.predict_grid(volume, mask)
    assert grid.shape == volume.shape
    whole = generator.head(generator.trunk(padded))
    assert torch.equal(grid, whole[..., :13, :18, :15])
    assert grid.abs().mean() > 0.01


def test_outside_the_mask_everything_is_exactly_zero_and_inside_nothing_is_negative():
    volume, mask = make_volume((16, 20, 16))
    changed, grid = trained_like()(volume, mask)
    assert torch.equal(changed[mask == 0], torch.zeros(int((mask == 0).sum())))
    assert changed.min() == 0
    assert grid[mask == 0].abs().max() > 0.01  # the mask cuts it, not the network
    inside = (mask == 1) & (volume + grid > 0)
    assert torch.equal(changed[inside], (volume + grid)[inside])


def test_a_finer_volume_gets_the_change_interpolated_around_the_common_centre():
    """Voxels of 8 mm hold the change 0.01 x (mm from the centre); so must those of 4 mm."""
    generator = trained_like()
    places = (torch.arange(12) - 5.5) * 8
    change = (0.01 * places)[None, None, :, None, None].expand(1, 1, 12, 8, 8)
    fine = torch.full((1, 1, 24, 16, 16), 2.0)
    made = generator.apply_grid(fine, torch.ones_like(fine), change, voxel_size_mm=4.0)
    expected = 0.01 * (torch.arange(24) - 11.5) * 4
    found = (made - fine)[0, 0, :, 5, 9]
    assert torch.allclose(found[1:-1], expected[1:-1], atol=1e-6)
    assert torch.allclose(found[[0, -1]], 0.01 * places[[0, -1]], atol=1e-6)  # held at the ends


def test_one_volume_gets_the_same_bits_alone_and_in_a_batch():
    generator = trained_like()
    first, second = make_volume((16, 20, 16))[0], make_volume((16, 20, 16), seed=1)[0]
    both = torch.cat([first, second])
    grids = generator.predict_grid(both, torch.ones_like(both))
    for index, volume in enumerate((first, second)):
        alone = generator.predict_grid(volume, torch.ones_like(volume))
        assert torch.allclose(grids[index : index + 1], alone, atol=1e-5)


def blob_scan(step):
    """A bright block, and far from it a bright blob of the same intensity that the truth lacks."""
    generator = torch.Generator().manual_seed(step)
    i, j, k = (int(n) for n in torch.randint(2, 6, (3,), generator=generator))
    truth = torch.full((1, 1, 16, 16, 16), 0.5)
    truth[..., 9:15, 9:15, 9:15] = 1.0
    volume = truth.clone()
    volume[..., i : i + 2, j : j + 2, k : k + 2] = 1.0
    return volume, truth


def blob_and_block(generator):
    """Intensity of an unwanted blob and a wanted block, both 1 before, in 0.5, after training."""
    mask = torch.ones(1, 1, 16, 16, 16)
    optimizer = torch.optim.Adam(generator.parameters(), lr=5e-3)
    for step in range(60):
        volume, truth = blob_scan(step)
        error = (generator(volume, mask)[0] - truth) ** 2
        optimizer.zero_grad()
        (error[volume != truth].mean() + error[truth == 1].mean() + error.mean()).backward()
        optimizer.step()
    volume, truth = blob_scan(1000)
    with torch.no_grad():
        made = generator(volume, mask)[0]
    return made[volume != truth].mean().item(), made[truth == 1].mean().item()


def test_it_can_erase_a_structure_that_the_bilateral_one_must_keep():
    torch.manual_seed(0)
    blob, block = blob_and_block(ResidualGenerator(voxel_size_mm=3.0, width=4, n_blocks=1))
    assert blob < 0.7
    assert block > 0.9
    volume = blob_scan(1000)[0]
    grid = torch.randn(1, 8, 1, 1, 1)  # whatever a bilateral one learnt for this cell
    bilateral = BilateralGenerator(voxel_size_mm=3.0, sharpened_mm=None)
    made = bilateral.apply_grid(volume, torch.ones_like(volume), grid, voxel_size_mm=3.0)
    bright = made[volume == 1]
    assert (bright - 1).abs().max() > 0.1
    assert bright.max() - bright.min() < 1e-5  # equal before, so equal after
