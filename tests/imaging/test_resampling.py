import nibabel as nb
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.orientation import to_ras
from bids_harmonize.imaging.resampling import (
    FWHM_PER_SIGMA,
    _near,
    _smooth_for,
    resample,
    resample_mask,
    resample_through,
)
from tests.imaging.heads import make_scan, oblique, world_points


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


def _centre_of_mass(volume, affine):
    points = world_points(volume.shape, affine)
    return (points * volume).reshape(3, -1).sum(axis=1) / volume.sum()


@settings(max_examples=15, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    order=st.permutations([0, 1, 2]),
    sizes=st.tuples(*[st.floats(0.7, 3.0)] * 3),
    place=st.tuples(*[st.floats(-5.0, 5.0)] * 3),
)
def test_a_blob_keeps_its_place_in_the_world_from_any_grid(angles, flips, order, sizes, place):
    place = np.array(place)
    affine = np.eye(4)
    affine[:3, :3] = nb.eulerangles.euler2mat(*angles)[:, order] * (np.array(flips) * sizes)
    shape = tuple(int(n) for n in np.ceil(44.0 / np.array(sizes)))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    distance = ((world_points(shape, affine) - place.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)
    volume = np.exp(-distance / (2 * 3.5**2)).astype(np.float32)
    grid = Grid(shape=(25, 26, 27), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    grid.affine[:3, 3] = (-24.3, -25.1, -26.2)
    for interpolation in ("bspline", "linear"):
        found = resample(volume, affine, grid, interpolation=interpolation)
        off_voxels = (_centre_of_mass(found, grid.affine) - place) / 2.0
        assert np.abs(off_voxels).max() < 0.1
    turned, turned_affine = to_ras(volume, affine)
    found = resample(turned, turned_affine, grid)
    assert np.abs(found - resample(volume, affine, grid)).max() < 1e-5


def test_smoothing_is_as_wide_as_stated_even_where_it_is_narrow():
    line = np.zeros((61, 5, 5), np.float32)
    line[30] = 1.0
    affine = np.diag([0.7, 1.0, 1.0, 1.0])
    grid = Grid(shape=(61, 5, 5), affine=np.diag([1.0, 1.0, 1.0, 1.0]))
    smooth = _smooth_for(line, affine, grid.affine)[:, 2, 2].astype(np.float64)
    variance_mm2 = (smooth * (np.arange(61) - 30.0) ** 2).sum() * 0.7**2
    wanted = (1.0**2 - 0.7**2) / FWHM_PER_SIGMA**2
    assert smooth.sum() == pytest.approx(1.0, abs=1e-5)
    assert variance_mm2 == pytest.approx(wanted, rel=0.01)  # a sampled Gaussian: 36 % less


def test_only_the_part_near_the_grid_is_worked_on_and_nothing_changes(rng):
    volume = rng.normal(size=(70, 80, 60)).astype(np.float32)
    affine = np.eye(4)
    affine[:3, :3] = oblique(20.0) * [1.3, -1.0, 1.2]
    affine[:3, 3] = (-45.0, 40.0, -36.0)
    grid = Grid(shape=(14, 15, 13), affine=np.diag([1.5, 1.5, 1.5, 1.0]))
    grid.affine[:3, 3] = affine[:3, :3] @ [35.0, 40.0, 30.0] + affine[:3, 3] - 10.0
    part, part_affine = _near(volume, affine, grid.affine, grid.shape)
    assert part.size < 0.6 * volume.size
    assert np.abs(part_affine - affine)[:3, 3].max() > 10.0
    like = _sitk_image(np.zeros(grid.shape, np.float32), grid.affine)
    whole = _sitk_image(_smooth_for(volume, affine, grid.affine), affine)
    oracle = sitk.Resample(whole, like, sitk.Transform(3, 1), sitk.sitkBSpline, 0.0)
    found = resample(volume, affine, grid)
    assert found.std() > 0.3
    assert np.abs(found - sitk.GetArrayFromImage(oracle).transpose(2, 1, 0)).max() < 2e-6


def test_a_grid_beside_the_volume_is_empty():
    grid = Grid(shape=(5, 5, 5), affine=np.diag([1.0, 1.0, 1.0, 1.0]))
    grid.affine[:3, 3] = 500.0
    for interpolation in ("bspline", "linear", "nearest"):
        found = resample(np.ones((9, 9, 9), np.float32), np.eye(4), grid,
                         interpolation=interpolation)  # fmt: skip
        assert not found.any()


def test_a_direction_that_is_nearly_zero_does_not_empty_the_image():
    affine = np.diag([1.0, 1.0, 0.9375, 1.0])
    affine[0, 2] = 2.2e-313
    grid = Grid(shape=(6, 6, 6), affine=np.diag([1.0, 1.0, 1.0, 1.0]))
    found = resample(np.ones((9, 9, 9), np.float32), affine, grid, interpolation="linear")
    np.testing.assert_allclose(found, 1.0, atol=1e-6)
