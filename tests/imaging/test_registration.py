import numpy as np
import pytest

from bids_harmonize.atlases import load_template
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.registration import apply_world_transform, register_rigid
from tests.imaging.heads import oblique


@pytest.fixture(scope="module")
def pair():
    """The template's brain, and the same brain moved by a known transform, other contrast."""
    template = load_template(4.0)
    truth = np.eye(4)  # fixed world -> moving world
    truth[:3, :3] = oblique(8.0)
    truth[:3, 3] = (6.0, -9.0, 4.0)
    grid = Grid(shape=template.t1.shape, affine=template.affine)
    back = np.linalg.inv(truth)
    moved = apply_world_transform(template.t1, template.affine, back, grid)
    return template, moved.astype(np.float32), truth


def test_a_known_movement_is_found(pair):
    template, moved, truth = pair
    found = register_rigid(moved * 3, template.affine, template.t1, template.affine)
    places = np.argwhere(template.brain_mask).T
    world = template.affine[:3, :3] @ places + template.affine[:3, 3:]
    error = (found - truth)[:3, :3] @ world + (found - truth)[:3, 3:]
    assert np.linalg.norm(error, axis=0).max() < 0.8  # mm; the voxel is 4 mm
    rotation = found[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)


def test_applying_it_lays_one_on_the_other(pair):
    template, moved, truth = pair
    grid = Grid(shape=template.t1.shape, affine=template.affine)
    back = apply_world_transform(moved, template.affine, truth, grid)
    inside = template.brain_mask
    assert np.corrcoef(back[inside], template.t1[inside])[0, 1] > 0.97
    assert np.corrcoef(moved[inside], template.t1[inside])[0, 1] < 0.8


def test_equal_input_gives_equal_bits(pair):
    template, moved, _ = pair
    masks = {"moving_mask": moved > 0, "fixed_mask": template.brain_mask}
    first = register_rigid(moved, template.affine, template.t1, template.affine, **masks)
    second = register_rigid(moved, template.affine, template.t1, template.affine, **masks)
    np.testing.assert_array_equal(first, second)
