import numpy as np
import pytest

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.intensity import (
    Scaling,
    histogram_shares,
    p99_scaling,
    percentile_scaling,
)


def test_undoing_a_scaling_gives_the_input(rng):
    volume = rng.uniform(0, 900, (6, 6, 6)).astype(np.float32)
    scaling = Scaling(low=12.0, high=700.0)
    np.testing.assert_allclose(scaling.undo(scaling.apply(volume)), volume, rtol=1e-5, atol=1e-3)


def test_the_p99_in_the_mask_becomes_one():
    volume = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    mask = volume < 101
    assert p99_scaling(volume, mask) == Scaling(low=0.0, high=99.0)


def test_metrics_see_no_affine_change_of_intensity(rng):
    volume = rng.gamma(2.0, 50.0, (8, 8, 8)).astype(np.float32)
    mask = np.ones(volume.shape, bool)
    changed = volume * 3 + 17
    first = percentile_scaling(volume, mask).apply(volume)
    second = percentile_scaling(changed, mask).apply(changed)
    np.testing.assert_allclose(first, second, atol=1e-5)
    assert np.percentile(first, 99) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("mask_value", [False, True])
def test_a_constant_image_or_an_empty_mask_cannot_be_scaled(mask_value):
    volume = np.zeros((4, 4, 4), np.float32)
    with pytest.raises(ScanError, match="cannot be scaled"):
        p99_scaling(volume, np.full(volume.shape, mask_value))


def test_a_histogram_counts_what_lies_beyond_in_its_last_bins():
    shares = histogram_shares(np.array([-1.0, 0.0, 0.75, 1.5, 9.0], dtype=np.float32))
    assert shares.shape == (64,)
    assert shares[[0, 32, 63]].tolist() == [0.4, 0.2, 0.4]
    assert histogram_shares(np.zeros(0)).sum() == 0
