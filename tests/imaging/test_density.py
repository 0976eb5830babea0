"""Smoothed density of a tissue on a template grid."""

import numpy as np
import pytest

from bids_harmonize.imaging.density import FWHM_PER_SD, smoothed_density
from bids_harmonize.imaging.geometry import Grid, straight_grid

GRID = straight_grid(np.array([-30.0, -34.0, -26.0]), resolution_mm=4.0, shape=(15, 17, 13))
STEP_MM = 2.0


def lattice(low, high):
    """Points of a lattice of 2 mm, off the grid's own, (3, n)."""
    axes = [np.arange(a, b, STEP_MM) + 0.7 for a, b in zip(low, high, strict=True)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])


def density(share, points, grid=GRID):
    return smoothed_density(share, points, grid, voxel_ml=STEP_MM**3 / 1e3, fwhm_mm=8.0)


def world(grid):
    points = np.argwhere(np.ones(grid.shape, dtype=bool)).T
    return grid.affine[:3, :3] @ points + grid.affine[:3, 3:]


def test_even_tissue_keeps_its_density_up_to_the_brain_s_border():
    points = lattice((-14, -14, -14), (14, 14, 14))
    found = density(np.full(points.shape[1], 0.4, np.float32), points)
    inside = (np.abs(world(GRID)) < 14).all(axis=0).reshape(GRID.shape)
    np.testing.assert_allclose(found[inside], 0.4, atol=1e-6)
    far = (np.abs(world(GRID)) > 24).any(axis=0).reshape(GRID.shape)
    assert np.isnan(found[far]).all()


def test_the_whole_smoothing_is_as_wide_as_is_said():
    points = lattice((-34, -38, -30), (34, 38, 30))  # beyond the grid too
    share = (np.abs(points - 0.7) < 0.5).all(axis=0).astype(np.float32)  # one point
    found = density(share, points)
    places = world(GRID)
    centre = points[:, share > 0].mean(axis=1)
    weights = found.ravel() / found.sum()
    spread = np.sqrt(((places - centre[:, None]) ** 2 * weights).sum(axis=1))
    np.testing.assert_allclose(spread * FWHM_PER_SD, 8.0, rtol=0.03)


@pytest.mark.parametrize("flip", [(0,), (0, 1)])
def test_the_grid_s_orientation_does_not_matter(flip):
    rng = np.random.default_rng(0)
    points = lattice((-14, -14, -14), (14, 14, 14))
    share = rng.random(points.shape[1]).astype(np.float32)
    turn = np.eye(4)
    for axis in flip:
        turn[axis, axis] = -1
        turn[axis, 3] = GRID.shape[axis] - 1
    turned = Grid(shape=GRID.shape, affine=GRID.affine @ turn)
    np.testing.assert_allclose(
        density(share, points, turned), np.flip(density(share, points), flip), atol=1e-6
    )


def test_points_beyond_the_grid_do_not_count():
    points = lattice((-14, -14, -14), (14, 14, 14))
    share = np.full(points.shape[1], 0.4, np.float32)
    far = points + np.array([[500.0], [0.0], [0.0]])
    both = density(np.concatenate([share, 1 - share]), np.concatenate([points, far], axis=1))
    np.testing.assert_array_equal(both, density(share, points))
