import pytest
import torch

from bids_harmonize.networks.separable import (
    apply_matrices,
    gaussian_matrices,
    interpolation_matrices,
    mean_matrices,
    n_cells,
    overlap_matrices,
    transposed,
)


def test_three_and_four_mm_volumes_get_the_same_cells():
    coarse = [n_cells(n, voxel_size_mm=4.0, cell_mm=48.0) for n in (48, 56, 48)]
    fine = [n_cells(n, voxel_size_mm=3.0, cell_mm=48.0) for n in (64, 80, 64)]
    assert coarse == fine == [4, 5, 4]


def test_interpolation_follows_a_ramp_between_cell_centres_and_holds_beyond():
    matrices = interpolation_matrices((8, 8, 8), voxel_size_mm=12.0, cells=(2, 2, 2), cell_mm=48.0)
    ramp = torch.tensor([0.0, 1.0])[:, None, None].expand(2, 2, 2)
    line = apply_matrices(ramp, matrices)[:, 3, 5]
    expected = torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])
    assert torch.allclose(line, expected, atol=1e-6)


def test_interpolation_agrees_with_pytorch_where_cells_fill_the_volume():
    matrices = interpolation_matrices(
        (16, 20, 16), voxel_size_mm=3.0, cells=(4, 5, 4), cell_mm=12.0
    )
    grid = torch.randn(1, 1, 4, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(
        grid, size=(16, 20, 16), mode="trilinear", align_corners=False
    )
    assert torch.allclose(apply_matrices(grid, matrices), expected, atol=1e-5)


def test_every_voxel_is_shared_out_completely():
    matrices = overlap_matrices((7, 8, 9), voxel_size_mm=5.0, cells=(2, 2, 2), cell_mm=24.0)
    volume = torch.rand(7, 8, 9, generator=torch.Generator().manual_seed(1))
    assert apply_matrices(volume, matrices).sum().item() == pytest.approx(
        volume.sum().item(), rel=1e-5
    )


def test_cells_average_a_constant_to_itself_even_where_they_reach_beyond():
    matrices = mean_matrices((6, 7, 6), voxel_size_mm=32.0, cells=(4, 5, 4), cell_mm=48.0)
    assert torch.allclose(apply_matrices(torch.full((6, 7, 6), 3.0), matrices), torch.tensor(3.0))


def test_transposed_matrices_are_the_adjoint():
    matrices = interpolation_matrices((6, 7, 5), voxel_size_mm=10.0, cells=(2, 3, 2), cell_mm=48.0)
    generator = torch.Generator().manual_seed(2)
    cells, volume = (
        torch.rand(2, 3, 2, generator=generator),
        torch.rand(6, 7, 5, generator=generator),
    )
    forward = (apply_matrices(cells, matrices) * volume).sum()
    backward = (cells * apply_matrices(volume, transposed(matrices))).sum()
    assert forward.item() == pytest.approx(backward.item(), rel=1e-5)


def test_smoothing_spreads_a_point_as_a_gaussian():
    volume = torch.zeros(21, 21, 21)
    volume[10, 10, 10] = 1
    smooth = apply_matrices(volume, gaussian_matrices((21, 21, 21), sigma_voxels=1.2))
    place = torch.arange(21) - 10.0
    variance = (smooth.sum(dim=(1, 2)) * place**2).sum()
    assert smooth.sum().item() == pytest.approx(1, abs=1e-4)
    assert variance.item() == pytest.approx(1.44, rel=0.01)
