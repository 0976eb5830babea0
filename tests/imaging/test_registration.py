import numpy as np
import pytest

from bids_harmonize.atlases import load_template
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.head_pair import HeadScan, register_heads
from bids_harmonize.imaging.registration import (
    _rigid_levels,
    apply_world_transform,
    register_rigid,
)
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


def misplaced_mm(found, truth, brain, affine):
    """Root mean square over the brain, mm."""
    world = affine[:3, :3] @ np.argwhere(brain).T + affine[:3, 3:]
    error = (found - truth)[:3, :3] @ world + (found - truth)[:3, 3:]
    return float(np.sqrt((error**2).sum(axis=0).mean()))


def coil(shape, direction, strength):
    """A smooth field that rises along a direction by ``exp(2 strength)``."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    along = sum(part * axis for part, axis in zip(direction, axes, strict=True))
    return np.exp(strength * along)


def test_two_coils_do_not_drag_a_head_to_and_fro(pair):
    template, moved, truth = pair
    grid = Grid(shape=template.t1.shape, affine=template.affine)
    back = np.linalg.inv(truth)
    brain = apply_world_transform(
        template.brain_mask.astype(np.float32), template.affine, back, grid, interpolation="linear"
    ) > 0.5  # fmt: skip
    shape, affine = template.t1.shape, template.affine
    one = np.maximum(moved, 0) * coil(shape, (0.6, 0.6, 0.5), 0.5)
    other = np.maximum(template.t1, 0) ** 0.7 * coil(shape, (-0.6, -0.5, -0.6), 0.5)
    found = register_heads(
        HeadScan(one, affine, moved > 0.05 * moved.max(), brain),
        HeadScan(other, affine, template.t1 > 0.05 * template.t1.max(), template.brain_mask),
    )
    as_they_are = register_rigid(
        one, affine, other, affine, moving_mask=brain, fixed_mask=template.brain_mask
    )
    assert misplaced_mm(found, truth, template.brain_mask, affine) < 1.2  # mm; the voxel is 4 mm
    assert misplaced_mm(as_they_are, truth, template.brain_mask, affine) > 5.0
    without = register_heads(
        HeadScan(one, affine, moved > 0.05 * moved.max(), None),
        HeadScan(other, affine, template.t1 > 0.05 * template.t1.max(), None),
    )
    assert misplaced_mm(without, truth, template.brain_mask, affine) < 1.2


@pytest.mark.parametrize(
    ("finest_mm", "levels"),
    [
        (1.0, (8.0, 4.0, 2.0)),
        (2.0, (8.0, 4.0, 2.0)),
        (3.0, (8.0, 4.0, 3.0)),
        (4.0, (8.0, 4.0)),
        (5.0, (8.0, 4.0)),
        (6.0, (8.0, 6.0)),
    ],
)
def test_the_last_level_is_about_as_fine_as_the_scans(finest_mm, levels):
    assert _rigid_levels(finest_mm) == levels
