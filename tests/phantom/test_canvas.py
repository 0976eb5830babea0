import numpy as np
import pytest

from bids_harmonize.phantom.canvas import Canvas, smooth_noise


def _linear_field(canvas: Canvas) -> np.ndarray:
    x, y, z = canvas.coordinates()
    return x + 2 * y - 5 * z


def test_a_linear_field_survives_the_way_to_a_finer_canvas() -> None:
    coarse, fine = Canvas(6.0), Canvas(4.0)
    field, expected = _linear_field(coarse), _linear_field(fine)
    found = fine.from_lattice(np.stack([field, 2 * field]), coarse)
    inner = (slice(2, -2),) * 3
    assert found.shape == (2, *fine.shape)
    assert np.abs(found[0][inner] - expected[inner]).max() < 1e-3
    assert np.abs(found[1][inner] - 2 * expected[inner]).max() < 1e-3


def test_smooth_noise_has_unit_spread_and_its_stated_smoothness() -> None:
    canvas = Canvas(4.0)
    field = smooth_noise(np.random.default_rng(0), canvas, sigma_mm=8.0)
    assert field.mean() == pytest.approx(0, abs=0.15)
    assert field.std() == pytest.approx(1, abs=1e-3)
    neighbour = np.mean(field[1:] * field[:-1])
    assert neighbour == pytest.approx(np.exp(-(4.0**2) / (4 * 8.0**2)), abs=0.02)
