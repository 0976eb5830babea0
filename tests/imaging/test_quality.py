import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.quality import (
    QUALITY_MEASURES,
    energy_ratio,
    entropy_focus,
    joint_variation,
    measure_quality,
    signal_to_noise,
    smoothness_mm,
)

GRID = Grid(shape=(40, 44, 40), affine=np.diag([4.0, 4.0, 4.0, 1.0]))


def _distance() -> np.ndarray:
    places = np.stack(np.meshgrid(*[np.arange(n) - n / 2 for n in GRID.shape], indexing="ij"))
    return np.sqrt((places**2).sum(axis=0))


def _scan(noise: float, *, blur: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    distance = _distance()
    volume = np.select([distance < 11, distance < 14, distance < 16], [100.0, 70.0, 20.0], 0.0)
    volume = ndimage.gaussian_filter(volume, blur) if blur else volume
    volume += np.random.default_rng(0).normal(0, noise, volume.shape)
    head = distance < 19
    volume[head] = np.maximum(volume[head], 0.1)
    volume[~head] = 0
    return volume.astype(np.float32), head, distance < 16


def test_the_names_of_the_values_are_those_of_the_table():
    measures = measure_quality(*_scan(3.0), GRID)
    assert set(measures) == set(QUALITY_MEASURES) - {"neck_cropped_mm"}
    assert measures["brain_volume_l"] == pytest.approx(4 / 3 * np.pi * 64**3 / 1e6, rel=0.03)
    assert measures["brain_cropped"] == 0.0
    assert np.isnan(measures["fber"])  # the air is 0


def test_noise_lowers_snr_and_cnr_and_raises_cjv():
    clean, noisy = measure_quality(*_scan(2.0), GRID), measure_quality(*_scan(6.0), GRID)
    assert clean["snr"] == pytest.approx(100 / 2, rel=0.15)
    assert noisy["snr"] == pytest.approx(100 / 6, rel=0.2)
    assert noisy["cnr"] < 0.6 * clean["cnr"]
    assert noisy["cjv"] > 1.8 * clean["cjv"]


def test_a_bias_field_shows_in_its_range_and_not_in_the_snr():
    volume, head, brain = _scan(2.0)
    field = np.exp(0.015 * (np.arange(40) - 20))[:, None, None].astype(np.float32)
    even = measure_quality(volume, head, brain, GRID)
    uneven = measure_quality(volume * field, head, brain, GRID)
    assert even["inu_range"] < 0.06
    assert uneven["inu_range"] == pytest.approx(0.3, abs=0.1)
    assert uneven["snr"] == pytest.approx(even["snr"], rel=0.25)


def test_without_a_brain_mask_the_brain_measures_are_unknown():
    volume, head, _ = _scan(2.0)
    measures = measure_quality(volume, head, None, GRID)
    assert np.isnan(measures["snr"])
    assert np.isnan(measures["brain_volume_l"])
    assert measures["head_volume_l"] == pytest.approx(head.sum() * 64e-6, rel=1e-9)


def test_a_brain_at_the_edge_counts_as_cropped():
    volume, head, _ = _scan(2.0)
    brain = np.roll(_distance() < 16, -10, axis=2)
    assert measure_quality(volume, head | brain, brain, GRID)["brain_cropped"] == 1.0


def test_the_width_of_smoothed_noise_is_found(rng):
    noise = ndimage.gaussian_filter(rng.normal(size=(60, 60, 60)), 1.5).astype(np.float32)
    grid = Grid(shape=(60, 60, 60), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
    wanted = 1.5 * 2.0 * 2.3548
    assert smoothness_mm(noise, np.ones(noise.shape, bool), grid) == pytest.approx(wanted, rel=0.1)


def test_formulas_give_known_values():
    assert signal_to_noise(np.array([9.0, 11.0])) == pytest.approx(10 / np.sqrt(2), rel=1e-9)
    assert energy_ratio(np.array([10.0, 10.0]), np.array([1.0, 2.0, 1.0])) == pytest.approx(100.0)
    assert entropy_focus(np.full(100, 7.0)) == pytest.approx(1.0, abs=1e-9)
    assert entropy_focus(np.eye(1, 100)[0]) == pytest.approx(0.0, abs=1e-9)
    grey, white = np.array([49.0, 50.0, 51.0]), np.array([98.0, 100.0, 102.0])
    assert joint_variation(grey, white) == pytest.approx(1.4826 * 3 / 50, rel=1e-9)


def test_three_gaussians_are_told_apart(rng):
    values = np.concatenate(
        [rng.normal(20, 4, 2000), rng.normal(60, 5, 6000), rng.normal(100, 4, 5000)]
    )
    mixture = fit_mixture(values)
    assert mixture.means == pytest.approx([20, 60, 100], abs=1.0)
    assert mixture.sds == pytest.approx([4, 5, 4], abs=0.7)
    labels = mixture.labels(values)
    assert np.mean(labels == np.repeat([0, 1, 2], [2000, 6000, 5000])) > 0.99
