import numpy as np
import pytest

from bids_harmonize.phantom.canvas import LATTICE_MM, Canvas
from bids_harmonize.phantom.person import _draw_displacement, draw_traits
from bids_harmonize.phantom.template import head_template
from bids_harmonize.phantom.warp import integrate_velocity, jacobian_determinant


def test_a_constant_velocity_is_a_shift() -> None:
    velocity = np.zeros((3, 8, 8, 8)) + np.array([2.0, -1.0, 0.5])[:, None, None, None]
    displacement = integrate_velocity(velocity, voxel_mm=4.0)
    assert np.abs(displacement - velocity).max() < 1e-5


def test_a_linear_velocity_grows_exponentially() -> None:
    x = np.arange(-10.0, 11.0)[:, None, None] * np.ones((1, 5, 5))
    displacement = integrate_velocity(np.stack([0.1 * x, 0 * x, 0 * x]), voxel_mm=1.0)
    assert displacement[0][15, 2, 2] == pytest.approx(5 * (np.exp(0.1) - 1), rel=0.01)
    volume = jacobian_determinant(displacement, voxel_mm=1.0)
    assert volume[10, 2, 2] == pytest.approx(np.exp(0.1), rel=0.01)


def test_no_person_folds() -> None:
    template, lattice = head_template(3.0), Canvas(LATTICE_MM)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        traits = draw_traits(rng, age=75.0, pattern="subcortical", severity=2.0)
        displacement = _draw_displacement(template, lattice, traits, rng)
        volume = jacobian_determinant(displacement, voxel_mm=LATTICE_MM)
        assert volume.min() > 0.1
        assert volume.max() < 4
