import numpy as np
import pytest

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.grid import (
    Grid,
    centred_grid,
    place_grid,
    resample,
    study_shape,
    vertex_height_mm,
)
from bids_harmonize.phantom import PRESETS, make_person, make_scanners, simulate, truth_on_grid
from bids_harmonize.phantom.session import Session
from tests.imaging.heads import ORIENTATIONS, head_at, make_scan, oblique, world_points

ALL = {**ORIENTATIONS, "oblique": oblique()}


@pytest.mark.parametrize(
    ("resolution_mm", "shape"),
    [(1.0, (192, 224, 192)), (2.0, (96, 112, 96)), (3.0, (64, 80, 64)), (4.0, (48, 56, 48))],
)
def test_the_study_shape_covers_the_extent_in_multiples_of_eight(resolution_mm, shape):
    assert study_shape(resolution_mm) == shape


@pytest.mark.parametrize("name", ALL)
def test_every_orientation_lands_on_the_same_conformed_volume(name):
    volume, affine = make_scan(ALL[name])
    grid = Grid(shape=(48, 56, 48), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    grid.affine[:3, 3] = (-88.0, -120.0, -80.0)
    found = resample(volume, affine, grid)
    truth = head_at(world_points(grid.shape, grid.affine))
    assert np.abs(found - truth).max() < 2.0  # of 130; the soft surface is 15 mm wide


@pytest.mark.parametrize("name", ALL)
def test_the_grid_lies_where_the_head_is_whatever_the_orientation(name):
    volume, affine = make_scan(ALL[name])
    grid = place_grid(volume > 50, affine, resolution_mm=4.0)
    assert grid.shape == (48, 56, 48)
    top = grid.affine[2, 3] + 47.5 * 4.0
    assert top == pytest.approx(20 + 85 + 10, abs=4.0)
    assert grid.centre_mm[:2] == pytest.approx([5.0, -10.0], abs=3.0)


@pytest.mark.parametrize("name", ALL)
def test_left_stays_left(name):
    volume, affine = make_scan(ALL[name])
    grid = place_grid(volume > 50, affine, resolution_mm=4.0)
    conformed = resample(volume, affine, grid)
    brightest = np.unravel_index(conformed.argmax(), conformed.shape)
    place = grid.affine @ np.array([*brightest, 1.0])
    assert place[:3] == pytest.approx([-30.0, 45.0, 20.0], abs=6.0)


@pytest.mark.parametrize("rotation_deg", [(30.0, 0.0, 0.0), (-30.0, 0.0, 0.0), (20.0, 15.0, 25.0)])
def test_a_tilted_head_keeps_its_brain_far_from_the_edge(rotation_deg, person_4mm):
    scanner = make_scanners(PRESETS["default"], n_sites=1, resolution_mm=4.0, seed=0)[0]
    session = Session(rotation_deg, (0.0, 0.0, 0.0), 1.0, (0.0, 0.0, 0.0), 1.0, 0)
    scan = simulate(person_4mm, scanner, session)
    truth = truth_on_grid(person_4mm, scan.volume.shape, scan.affine, scan.to_person)
    grid = place_grid(truth.head, scan.affine, resolution_mm=2.0)
    to_grid = np.linalg.inv(grid.affine) @ scan.affine
    places = to_grid[:3, :3] @ np.argwhere(truth.brain).T + to_grid[:3, 3:]
    margins_mm = 2.0 * np.array([places.min(), (np.array(grid.shape)[:, None] - 1 - places).min()])
    assert margins_mm.min() > 5.0  # found: 7 mm where the chin is up by 30 degrees


@pytest.fixture(scope="module")
def person_4mm():
    return make_person(0, "somebody", base_mm=4.0)


def test_a_coarser_grid_keeps_the_centre():
    grid = Grid(shape=(64, 80, 64), affine=np.diag([3.0, 3.0, 3.0, 1.0]))
    coarse = centred_grid(grid, resolution_mm=4.0, shape=(48, 56, 48))
    assert coarse.voxel_size_mm == pytest.approx((4.0, 4.0, 4.0), abs=1e-9)
    assert coarse.centre_mm == pytest.approx(grid.centre_mm, abs=1e-9)


def test_the_vertex_needs_four_square_centimetres():
    mask = np.zeros((40, 40, 40), bool)
    mask[10:30, 10:30, 5:20] = True
    mask[20:24, 20:24, 20:35] = True  # 0.64 cm2 a slice: no vertex
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    assert vertex_height_mm(mask, affine) == pytest.approx(39.0, abs=1e-4)


def test_an_empty_mask_is_a_scan_error():
    with pytest.raises(ScanError, match="no head found"):
        place_grid(np.zeros((8, 8, 8), bool), np.eye(4), resolution_mm=4.0)
