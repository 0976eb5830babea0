import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_harmonize.imaging.intensity import percentile_scaling
from bids_harmonize.metrics.sharpness import blur_to_level, gradient_level, sharpness


@pytest.fixture
def volume():
    return gaussian_filter(np.random.default_rng(1).random((24, 24, 24)), 1.0) * 5


@pytest.fixture
def mask():
    mask = np.zeros((24, 24, 24), dtype=bool)
    mask[4:20, 4:20, 4:20] = True
    return mask


def _rescaled_level(volume, mask):
    return gradient_level(percentile_scaling(volume, mask).apply(volume), mask)


def test_a_ramp_has_its_slope_as_level(mask):
    ramp = np.broadcast_to(0.3 * np.arange(24.0)[:, None, None], (24, 24, 24))
    assert gradient_level(ramp, mask) == pytest.approx(0.3, abs=1e-12)


def test_an_edge_on_the_mask_does_not_count(volume, mask):
    stripped = np.where(mask, volume, 0.0)
    assert gradient_level(stripped, mask) == pytest.approx(gradient_level(volume, mask), abs=1e-12)


def test_a_volume_against_its_own_level_is_one(volume, mask):
    assert sharpness(volume, mask, gradient_level(volume, mask)) == pytest.approx(1.0, abs=1e-12)


def test_smoothing_lowers_the_ratio_and_noise_raises_it(volume, mask):
    level = gradient_level(volume, mask)
    noise = np.random.default_rng(2).normal(scale=0.2, size=volume.shape)
    assert sharpness(gaussian_filter(volume, 1.0), mask, level) < 0.9
    assert sharpness(volume + noise, mask, level) > 1.1


def test_a_mask_that_erosion_would_empty_is_used_whole():
    thin = np.zeros((5, 5, 5), dtype=bool)
    thin[2, 2, 2] = True
    ramp = np.broadcast_to(np.arange(5.0)[:, None, None], (5, 5, 5))
    assert gradient_level(ramp, thin) == pytest.approx(1.0, abs=1e-12)


def test_the_blur_control_reaches_the_level_it_was_given(volume, mask):
    level = 0.8 * _rescaled_level(volume, mask)
    smoothed, sigma = blur_to_level(volume, mask, level)
    assert 0.3 < sigma < 2.5
    assert _rescaled_level(smoothed, mask) == pytest.approx(level, rel=1e-3)


def test_a_volume_blurrier_than_the_level_is_left_alone(volume, mask):
    smoothed, sigma = blur_to_level(volume, mask, 1.3 * _rescaled_level(volume, mask))
    assert sigma == 0.0
    np.testing.assert_array_equal(smoothed, volume)


def test_a_reference_level_of_zero_is_refused(volume, mask):
    with pytest.raises(ValueError, match="positive"):
        sharpness(volume, mask, 0.0)
