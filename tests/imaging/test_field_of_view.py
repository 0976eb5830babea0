import numpy as np
import pytest

from bids_harmonize.imaging.field_of_view import (
    acquired_box,
    anisotropy,
    contact_cm2,
    fov_cut_cm2,
    obliqueness_deg,
    share_outside,
)
from bids_harmonize.imaging.geometry import Grid, straight_grid
from tests.imaging.heads import ORIENTATIONS, oblique, world_points

SIZE_MM = 4.0
N = 50


def _scan(directions: np.ndarray, *, shift_mm=(0.0, 0.0, 0.0)) -> tuple[np.ndarray, np.ndarray]:
    """A ball of 80 mm radius around the world's origin, in a volume of 200 mm."""
    affine = np.eye(4)
    affine[:3, :3] = directions * SIZE_MM
    affine[:3, 3] = np.array(shift_mm) - affine[:3, :3] @ np.full(3, (N - 1) / 2)
    points = world_points((N, N, N), affine)
    return np.sqrt((points**2).sum(axis=0)) < 80, affine


def _acquired(mask: np.ndarray) -> np.ndarray:
    """A volume with noise in every voxel, so that no plane of it is padding."""
    return (mask + np.random.default_rng(0).random(mask.shape)).astype(np.float32)


@pytest.mark.parametrize("name", list(ORIENTATIONS))
def test_a_whole_head_is_not_cut_and_the_neck_does_not_count(name):
    mask, affine = _scan(ORIENTATIONS[name])
    assert fov_cut_cm2(_acquired(mask), affine, mask) == 0.0
    mask, affine = _scan(ORIENTATIONS[name], shift_mm=(0, 0, 60))  # the volume moves up
    assert mask[world_points(mask.shape, affine)[2] < -30].any()
    assert fov_cut_cm2(_acquired(mask), affine, mask) == 0.0


@pytest.mark.parametrize("name", list(ORIENTATIONS))
@pytest.mark.parametrize("shift_mm", [(0, 0, -60), (0, 60, 0), (-60, 0, 0)])
def test_the_area_of_a_cut_is_that_of_the_circle(name, shift_mm):
    mask, affine = _scan(ORIENTATIONS[name], shift_mm=shift_mm)
    height = 98 - 60  # the outermost voxels' centres lie 38 mm off the middle
    wanted = np.pi * (80**2 - height**2) / 100
    assert fov_cut_cm2(_acquired(mask), affine, mask) == pytest.approx(wanted, rel=0.02)
    padded = np.pad(mask, 4)
    moved = affine.copy()
    moved[:3, 3] -= affine[:3, :3] @ np.full(3, 4)
    filled = np.pad(_acquired(mask), 4)
    assert fov_cut_cm2(filled, moved, padded) == pytest.approx(wanted, rel=0.02)


def test_the_share_outside_a_grid_is_that_of_the_spherical_cap():
    for directions in (*ORIENTATIONS.values(), oblique(20.0)):
        mask, affine = _scan(directions)
        grid = straight_grid(
            np.array([-100.0, -100.0, -40.0]), resolution_mm=2.0, shape=(100,) * 3
        )
        cap = np.pi * 40**2 * (3 * 80 - 40) / 3 / (4 / 3 * np.pi * 80**3)
        assert share_outside(mask, affine, grid) == pytest.approx(cap, abs=0.01)
    whole = Grid(mask.shape, affine)
    assert share_outside(mask, affine, whole) == 0.0
    assert share_outside(np.zeros_like(mask), affine, whole) == 0.0


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_grid_that_ends_in_the_middle_leaves_half_outside(axis, side):
    mask, affine = _scan(oblique(20.0))
    corner = np.full(3, -100.0)
    shape = [100, 100, 100]
    shape[axis] = 50
    corner[axis] = 0.0 if side == 1 else -100.0
    i, j, k = shape
    grid = straight_grid(corner, resolution_mm=2.0, shape=(i, j, k))
    assert share_outside(mask, affine, grid) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("name", list(ORIENTATIONS))
def test_obliqueness_and_anisotropy_do_not_depend_on_the_orientation(name):
    tilt = np.deg2rad(12.0)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ ORIENTATIONS[name] @ np.diag([0.8, 1.0, 2.0])
    assert obliqueness_deg(affine) == pytest.approx(12.0, abs=1e-6)
    assert anisotropy(affine) == pytest.approx(2.5, rel=1e-9)


def test_padding_is_not_acquired():
    volume = np.zeros((10, 12, 14), np.float32)
    volume[2:9, 1:12, 5:6] = np.random.default_rng(0).random((7, 11, 1))
    assert acquired_box(volume) == (slice(2, 9), slice(1, 12), slice(5, 6))
    assert acquired_box(np.zeros((3, 4, 5))) == (slice(0, 3), slice(0, 4), slice(0, 5))


@pytest.mark.parametrize("name", sorted(ORIENTATIONS))
def test_contact_is_named_by_the_side_of_the_world(name):
    affine = np.eye(4)
    affine[:3, :3] = ORIENTATIONS[name] * [2.0, 3.0, 4.0]
    mask = np.zeros((10, 12, 14), bool)
    array_axis = int(np.abs(affine[2, :3]).argmax())  # the one that runs up
    upper = -1 if affine[2, array_axis] > 0 else 0
    np.moveaxis(mask, array_axis, 0)[upper, 3:6, 3:7] = True
    contacts = contact_cm2(mask, affine, acquired_box(np.random.default_rng(0).random(mask.shape)))
    size = np.array([2.0, 3.0, 4.0])
    face = np.prod(np.delete(size, array_axis)) / 100
    assert contacts["top"][0] == pytest.approx(12 * face)
    slice_mm = max(2.0, size[array_axis])  # a mask of 2 mm has caps of 2 mm
    assert contacts["top"][1] == pytest.approx(2 * np.pi * 75 * slice_mm / 100)
    assert sorted(contacts) == ["back", "bottom", "front", "left", "right", "top"]
    assert sum(area for area, _ in contacts.values()) == pytest.approx(12 * face)
