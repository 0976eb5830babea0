import pytest
import torch

from bids_harmonize.networks.bilateral_generator import BilateralGenerator, slice_grid
from bids_harmonize.networks.separable import interpolation_matrices

STUDY_SHAPES = {1.0: (48, 56, 48), 2.0: (96, 112, 96), 3.0: (64, 80, 64), 4.0: (48, 56, 48)}


def make_volume(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(1, 1, *shape)
    mask[..., 4:-4, 4:-4, 4:-4] = 1
    return torch.rand(1, 1, *shape, generator=generator) * 1.4 * mask, mask


def trained_like(voxel_size_mm, *, sharpened_mm=None):
    """A generator with a head that is no longer zero."""
    torch.manual_seed(3)
    generator = BilateralGenerator(voxel_size_mm=voxel_size_mm, sharpened_mm=sharpened_mm)
    torch.nn.init.normal_(generator.head.weight, std=0.05)
    if sharpened_mm is not None:
        torch.nn.init.constant_(generator.sharpening, 0.2)
    return generator.requires_grad_(False)


def test_the_start_is_the_identity():
    volume, mask = make_volume((24, 28, 24))
    changed, _ = BilateralGenerator(voxel_size_mm=8.0, sharpened_mm=8.0)(volume, mask)
    assert torch.equal(changed, volume)


def test_it_has_72_thousand_parameters():
    generator = BilateralGenerator(voxel_size_mm=3.0, sharpened_mm=3.0)
    assert sum(p.numel() for p in generator.parameters()) == 71_642


@pytest.mark.parametrize("voxel_size_mm", [2.0, 3.0, 4.0])
def test_cells_stay_48_mm_at_any_network_resolution(voxel_size_mm):
    volume, mask = make_volume(STUDY_SHAPES[voxel_size_mm])
    generator = trained_like(voxel_size_mm)
    assert generator.predict_grid(volume, mask).shape == (1, 8, 4, 5, 4)


def test_outside_the_mask_everything_is_exactly_zero_and_inside_nothing_is_negative():
    volume, mask = make_volume((24, 28, 24))
    changed, _ = trained_like(8.0, sharpened_mm=8.0)(volume, mask)
    assert torch.equal(changed[mask == 0], torch.zeros(int((mask == 0).sum())))
    assert changed.min() == 0
    assert (changed - volume).abs().max() > 0.01


def test_slicing_matches_a_plain_loop_over_voxels():
    generator = torch.Generator().manual_seed(4)
    grid = torch.randn(1, 4, 2, 2, 2, generator=generator)
    volume = torch.rand(1, 5, 6, 7, generator=generator) * 1.8
    matrices = interpolation_matrices((5, 6, 7), voxel_size_mm=16.0, cells=(2, 2, 2), cell_mm=48.0)
    change = slice_grid(grid, volume, matrices)
    for i, j, k in ((0, 0, 0), (2, 3, 4), (4, 5, 6)):
        place = min(volume[0, i, j, k].item(), 1.5) / 1.5 * 3
        here = torch.einsum(
            "kxyz,x,y,z->k", grid[0], matrices[0][i], matrices[1][j], matrices[2][k]
        )
        expected = sum(max(0, 1 - abs(place - b)) * here[b].item() for b in range(4))
        assert change[0, i, j, k].item() == pytest.approx(expected, abs=1e-5)


def test_the_gradient_is_the_numerical_one():
    generator = torch.Generator().manual_seed(5)
    grid = torch.randn(1, 4, 2, 2, 2, generator=generator, dtype=torch.double)
    volume = torch.rand(1, 4, 4, 4, generator=generator, dtype=torch.double) * 1.4 + 0.03
    matrices = tuple(
        m.double()
        for m in interpolation_matrices((4, 4, 4), voxel_size_mm=20, cells=(2, 2, 2), cell_mm=48)
    )
    inputs = (grid.requires_grad_(), volume.requires_grad_())
    assert torch.autograd.gradcheck(lambda g, v: slice_grid(g, v, matrices), inputs)


def test_one_grid_serves_a_finer_volume():
    generator = trained_like(8.0)
    smooth = torch.linspace(0.2, 1.0, 24)[None, None, :, None, None].expand(1, 1, 24, 28, 24)
    mask = torch.ones(1, 1, 24, 28, 24)
    grid = generator.predict_grid(smooth, mask)
    coarse = generator.apply_grid(smooth, mask, grid, voxel_size_mm=8.0)
    fine_volume = torch.linspace(0.2, 1.0, 24)[None, None, :, None, None].expand(1, 1, 24, 56, 48)
    fine_volume = fine_volume.repeat_interleave(2, dim=2)
    fine = generator.apply_grid(fine_volume, torch.ones_like(fine_volume), grid, voxel_size_mm=4.0)
    averaged = torch.nn.functional.avg_pool3d(fine, 2)
    assert (averaged - coarse).abs().max() < 0.005
    assert (coarse - smooth).abs().max() > 0.02


def test_sharpening_touches_edges_and_leaves_flat_regions():
    generator = BilateralGenerator(voxel_size_mm=8.0, sharpened_mm=8.0).requires_grad_(False)
    torch.nn.init.constant_(generator.sharpening, 0.5)
    mask = torch.ones(1, 1, 24, 28, 24)
    volume = torch.full_like(mask, 0.4)
    volume[:, :, 12:] = 0.8
    change = generator(volume, mask)[0] - volume
    assert change[0, 0, 12, 14, 12] > 0.05
    assert change[0, 0, 11, 14, 12] < -0.05
    assert change[0, 0, 3, 14, 12].abs() < 1e-4
    assert change[0, 0, 0, 0, 0].abs() < 1e-4  # the border of the grid is no edge
