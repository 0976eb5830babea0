import numpy as np
import pytest
import SimpleITK as sitk

from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample, resample_mask, resample_through
from tests.imaging.heads import make_scan, oblique


def _sitk_image(volume, affine):
    """Built here by hand, not by the bridge that is under test."""
    image = sitk.GetImageFromArray(volume.transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


@pytest.mark.parametrize(
    ("interpolation", "code"),
    [("linear", sitk.sitkLinear), ("nearest", sitk.sitkNearestNeighbor)],
)
@pytest.mark.parametrize("directions", [np.diag([-1.0, -1.0, 1.0]), oblique()])
def test_resampling_equals_simpleitk_voxel_for_voxel(interpolation, code, directions, rng):
    volume = rng.normal(size=(20, 22, 18)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = directions * [2.0, 2.2, 2.4]
    affine[:3, 3] = (3.0, -7.0, 11.0)
    grid = Grid(shape=(16, 17, 18), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    grid.affine[:3, 3] = (-20.0, -25.0, 5.0)
    like = _sitk_image(np.zeros(grid.shape, np.float32), grid.affine)
    oracle = sitk.Resample(_sitk_image(volume, affine), like, sitk.Transform(3, 1), code, 0.0)
    found = resample(volume, affine, grid, interpolation=interpolation)
    np.testing.assert_array_equal(found, sitk.GetArrayFromImage(oracle).transpose(2, 1, 0))
    assert found.any()


def test_bspline_equals_simpleitk_and_overshoot_is_clipped(rng):
    volume = (rng.random((20, 20, 20)) > 0.5).astype(np.float32) * 100
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    grid = Grid(shape=(20, 20, 20), affine=np.diag([1.9, 1.9, 1.9, 1.0]))
    grid.affine[:3, 3] = (-38.0, -38.0, 0.5)
    like = _sitk_image(np.zeros(grid.shape, np.float32), grid.affine)
    raw = sitk.Resample(
        _sitk_image(volume, affine), like, sitk.Transform(3, 1), sitk.sitkBSpline, 0.0
    )
    oracle = sitk.GetArrayFromImage(raw).transpose(2, 1, 0)
    assert oracle.max() > 101
    found = resample(volume, affine, grid)
    np.testing.assert_array_equal(found, np.clip(oracle, 0, 100))


def test_the_same_grid_gives_the_same_voxels():
    volume, affine = make_scan(np.diag([-1.0, 1.0, 1.0]), size_mm=6.0)
    grid = Grid(shape=volume.shape, affine=affine)
    np.testing.assert_array_equal(resample(volume, affine, grid, interpolation="linear"), volume)
    assert np.abs(resample(volume, affine, grid) - volume).max() < 1e-3


def test_a_coarser_grid_does_not_alias():
    stripes = np.zeros((60, 60, 60), np.float32)
    stripes[::2] = 100.0
    grid = Grid(shape=(18, 18, 18), affine=np.diag([3.1, 3.1, 3.1, 1.0]))
    grid.affine[:3, 3] = 3.0
    coarse = resample(stripes, np.eye(4), grid, interpolation="linear")
    assert coarse.mean() == pytest.approx(50.0, abs=0.5)
    assert coarse.std() < 3.0  # 35 without smoothing


def test_outside_the_volume_is_zero_and_the_input_is_untouched():
    volume = np.full((10, 10, 10), 7.0, np.float32)
    grid = Grid(shape=(10, 10, 10), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    found = resample(volume, np.eye(4), grid)
    assert found[9, 9, 9] == 0.0
    assert found[1, 1, 1] == pytest.approx(7.0, abs=1e-3)
    assert (volume == 7.0).all()


def test_a_mask_keeps_its_volume_on_a_coarser_grid():
    volume, affine = make_scan(oblique(), size_mm=3.0)
    mask = volume > 50
    grid = Grid(shape=(70, 70, 70), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    grid.affine[:3, 3] = (-133.0, -148.0, -118.0)
    coarse = resample_mask(mask, affine, grid)
    assert coarse.dtype == np.bool_
    assert coarse.sum() * 64 == pytest.approx(mask.sum() * 27, rel=0.01)


def test_a_world_shift_moves_the_content_the_other_way():
    volume = np.zeros((20, 20, 20), np.float32)
    volume[12, 10, 10] = 1.0
    shift = np.eye(4)
    shift[0, 3] = 2.0  # grid world + 2 mm = volume world
    grid = Grid(shape=(20, 20, 20), affine=np.eye(4))
    found = resample_through(volume, np.eye(4), shift, grid, interpolation="linear")
    assert np.argwhere(found > 0.5).tolist() == [[10, 10, 10]]
