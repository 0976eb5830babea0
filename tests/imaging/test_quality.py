import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.imaging.air_quality import measure_raw
from bids_harmonize.imaging.brain_quality import (
    contrast_to_noise,
    gradient_entropy,
    joint_variation,
    signal_to_air,
    signal_to_noise,
    smoothness_mm,
    white_to_maximum,
)
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.quality import QUALITY_MEASURES, RAW_MEASURES, measure_quality
from tests.imaging.corruption import corrupt, phantom_head

CORRUPTIONS = [  # kind, measures that rise by at least a share, that fall by at least a factor
    (
        "noise",
        {"air_sd": 2.5, "cjv": 0.03, "efc": 0.1, "gradient_entropy": 0.02},
        {"snr": 1.5, "snr_gm": 1.2, "snr_dietrich": 3.5, "cnr": 1.02, "fber": 12, "wm2max": 1.03},
    ),
    ("ghost", {"qi1": 0.0, "efc": 0.08}, {"snr": 1.15, "snr_dietrich": 2.0}),
    ("motion", {"qi1": 0.0, "efc": 0.05, "gradient_entropy": 0.02}, {"snr": 1.3}),
    ("blur", {"fwhm_mm": 0.3, "gradient_entropy": 0.03}, {}),
    ("bias", {"inu_range": 1.0}, {}),
    ("hot spots", {}, {"wm2max": 2.0}),
]

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
    raw = measure_raw(*_scan(3.0)[:1], GRID.affine, _scan(3.0)[1])
    assert set(raw) == set(RAW_MEASURES) - {"neck_cropped_mm", "head_outside_grid"}
    measures = measure_quality(*_scan(3.0), GRID)
    assert set(measures) == set(QUALITY_MEASURES) - set(RAW_MEASURES)
    assert set(RAW_MEASURES) < set(QUALITY_MEASURES)
    assert measures["brain_volume_l"] == pytest.approx(4 / 3 * np.pi * 64**3 / 1e6, rel=0.03)
    assert measures["brain_cropped"] == 0.0
    assert np.isnan(measures["snr_dietrich"])  # nothing is known of the air


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
    grey, white = np.array([49.0, 50.0, 51.0]), np.array([98.0, 100.0, 102.0])
    assert joint_variation(grey, white) == pytest.approx(1.4826 * 3 / 50, rel=1e-9)
    assert contrast_to_noise(grey, white) == pytest.approx(50 / np.sqrt(2 / 3 + 8 / 3), rel=1e-9)
    assert contrast_to_noise(grey, white, air_sd=2.0) == pytest.approx(
        50 / np.sqrt(2 / 3 + 8 / 3 + 4), rel=1e-9
    )
    assert signal_to_air(white, 2.0) == pytest.approx(100 / 2 * 0.655136, rel=1e-5)
    assert np.isnan(signal_to_air(white, float("nan")))
    head = np.linspace(0, 200, 2001)
    assert white_to_maximum(white, head) == pytest.approx(100 / 199.9, rel=1e-9)


def test_the_noise_of_the_air_gives_the_noise_of_the_tissue(rng):
    """Dietrich's SNR is the true one for Rayleigh air, known to be 10 here."""
    air = np.hypot(*rng.normal(0, 10, (2, 100_000)))
    assert signal_to_air(np.full(5, 100.0), float(air.std())) == pytest.approx(10.0, rel=0.01)


def test_one_edge_is_more_orderly_than_many():
    head = np.ones((30, 30, 30), bool)
    one_edge = np.zeros(head.shape, np.float32)
    one_edge[15:] = 100
    n, n_steep = 28**3, 2 * 28**2  # central differences see an edge in the voxel on either side
    wanted = np.sqrt(n_steep) * np.log(np.sqrt(n_steep)) / (np.sqrt(n) * np.log(np.sqrt(n)))
    assert gradient_entropy(one_edge, head) == pytest.approx(wanted, rel=1e-4)
    assert gradient_entropy(np.cumsum(np.ones(head.shape, np.float32), axis=0), head) == (
        pytest.approx(1.0, abs=1e-6)
    )


def test_hot_spots_lower_the_white_matter_over_the_maximum():
    volume, head, brain = _scan(2.0)
    hot = volume.copy()
    hot[np.roll(_distance() < 2.5, 17, axis=1)] = 400
    assert (head & (hot == 400)).sum() > 0.0005 * head.sum()
    plain, spotted = (measure_quality(v, head, brain, GRID)["wm2max"] for v in (volume, hot))
    assert plain == pytest.approx(100 / 106, rel=0.03)
    assert spotted == pytest.approx(100 / 400, rel=0.03)


def test_classes_that_are_handed_over_are_used():
    volume, head, brain = _scan(3.0)
    distance = _distance()
    classes = np.select([distance < 9, distance < 14, distance < 16], [3, 2, 1], 0)
    measures = measure_quality(volume, head, brain, GRID, classes=classes, air_sd=2.0)
    assert measures["snr_dietrich"] == pytest.approx(0.6551 * 100 / 2, rel=0.03)
    both = np.array([100.0, 70.0]).repeat([11**3 - 9**3, 14**3 - 11**3])
    assert measures["cnr"] == pytest.approx(
        (100 - both.mean()) / np.sqrt(both.var() + 9 + 9 + 4), rel=0.15
    )


def test_an_empty_brain_mask_gives_no_tissue_measures():
    volume, head, brain = _scan(2.0)
    measures = measure_quality(volume, head, np.zeros_like(brain), GRID)
    assert measures["brain_volume_l"] == 0.0
    assert np.isnan(measures["snr"])


@pytest.mark.parametrize(("kind", "rising", "falling"), CORRUPTIONS)
def test_a_corrupted_phantom_is_told_from_a_clean_one(kind, rising, falling):
    clean, head, brain, affine = phantom_head()
    scans = [corrupt(clean, kind, level) for level in (0, 1, 2)]
    grid = Grid(shape=clean.shape, affine=affine)
    found = []
    for scan in scans:
        raw = measure_raw(scan, affine, head)
        masked = np.where(head, scan, 0).astype(np.float32)
        found.append(raw | measure_quality(masked, head, brain, grid, air_sd=raw["air_sd"]))
    for name, least in rising.items():
        values = [measures[name] for measures in found]
        assert values[0] < values[1] < values[2], name
        assert values[2] - values[0] >= least * abs(values[0]), name
    for name, least in falling.items():
        values = [measures[name] for measures in found]
        assert values[0] > values[1] > values[2], name
        assert values[0] >= least * values[2], name


def test_three_gaussians_are_told_apart(rng):
    values = np.concatenate(
        [rng.normal(20, 4, 2000), rng.normal(60, 5, 6000), rng.normal(100, 4, 5000)]
    )
    mixture = fit_mixture(values)
    assert mixture.means == pytest.approx([20, 60, 100], abs=1.0)
    assert mixture.sds == pytest.approx([4, 5, 4], abs=0.7)
    labels = mixture.labels(values)
    assert np.mean(labels == np.repeat([0, 1, 2], [2000, 6000, 5000])) > 0.99
