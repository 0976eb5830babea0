"""Measures of the raw image, against numbers that the formulas give and against own loops."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage, stats

from bids_harmonize.imaging.air_quality import (
    PART_VALUES,
    constant_places,
    energy_ratio,
    entropy_focus,
    find_air,
    find_artefacts,
    measure_raw,
    noise_misfit,
    noise_sd,
)

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
SHAPE = (60, 60, 60)
SIGNAL = 500.0
AIR = ("fber", "qi1", "qi2", "air_sd")


def _ball(radius: float = 18.0) -> np.ndarray:
    places = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in SHAPE], indexing="ij"))
    return np.sqrt((places**2).sum(axis=0)) < radius


def _magnitude(clean: np.ndarray, sd: float, *, n_coils: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    power = np.zeros(clean.shape)
    for _ in range(n_coils):
        power += (clean / np.sqrt(n_coils) + rng.normal(0, sd, clean.shape)) ** 2
        power += rng.normal(0, sd, clean.shape) ** 2
    return np.sqrt(power).astype(np.float32)


def _scan(sd: float = 10.0, *, n_coils: int = 1) -> tuple[np.ndarray, np.ndarray]:
    head = _ball()
    return _magnitude(SIGNAL * head, sd, n_coils=n_coils), head


def _ghosted(share: float, sd: float = 10.0) -> np.ndarray:
    clean = SIGNAL * _ball()
    return _magnitude(clean + share * np.roll(clean, 30, axis=1), sd)


def test_pure_noise_has_its_own_spread_and_no_artefacts():
    volume, head = _scan(10.0)
    measures = measure_raw(volume, AFFINE, head)
    rayleigh_iqr = 10 * (np.sqrt(2 * np.log(4)) - np.sqrt(2 * np.log(4 / 3)))
    assert measures["air_sd"] == pytest.approx(rayleigh_iqr / 1.349, rel=0.01)
    assert measures["air_sd"] == pytest.approx(10 * 0.6551, rel=0.035)
    assert measures["fber"] == pytest.approx(SIGNAL**2 / (2 * np.log(2) * 100), rel=0.01)
    assert measures["qi1"] == 0.0
    assert 0.0 < measures["qi2"] < 0.02
    assert measures["air_filled"] == 0.0


def test_more_noise_means_more_spread_and_less_energy_ratio():
    few, many = (measure_raw(*_swap(_scan(sd))) for sd in (5.0, 20.0))
    assert many["air_sd"] / few["air_sd"] == pytest.approx(4.0, rel=1e-3)
    assert few["fber"] / many["fber"] == pytest.approx(16.0, rel=0.01)
    assert many["efc"] > 1.2 * few["efc"]


def _swap(scan: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return scan[0], AFFINE, scan[1]


def test_a_ghost_raises_qi1_to_its_share_of_the_air_and_raises_efc():
    head = _ball()
    measures = [measure_raw(_ghosted(share), AFFINE, head) for share in (0.0, 0.2)]
    air = find_air(head, AFFINE)
    ghost = (np.roll(head, 30, axis=1) & air).sum() / air.sum()
    assert ghost > 0.05
    assert measures[0]["qi1"] == 0.0
    assert measures[1]["qi1"] == pytest.approx(ghost, rel=0.05)
    assert measures[1]["efc"] > 1.05 * measures[0]["efc"]
    assert 0.9 < measures[1]["qi2"] / measures[0]["qi2"] < 3.0  # the rest of the air is noise


def test_a_ghost_too_faint_for_qi1_raises_qi2():
    """A ghost of 2 and of 3 standard deviations of the noise, in a twelfth of the air."""
    head = _ball()
    found = [measure_raw(_ghosted(share), AFFINE, head) for share in (0.0, 0.04, 0.06)]
    assert [measures["qi1"] for measures in found] == [0.0, 0.0, 0.0]
    values = [measures["qi2"] for measures in found]
    assert values[1] > 3 * values[0]
    assert values[2] > 3 * values[1]


@pytest.mark.parametrize("n_coils", [1, 4, 16])
def test_noise_of_any_number_of_coils_fits(n_coils):
    volume, head = _scan(10.0, n_coils=n_coils)
    measures = measure_raw(volume, AFFINE, head)
    assert measures["qi1"] == 0.0
    assert 0.0 < measures["qi2"] < 0.02


def test_misfit_is_that_of_an_own_computation(rng):
    values = np.concatenate([rng.rayleigh(10, 40_000), rng.uniform(0, 60, 8_000)])
    square = values[values <= np.median(values) + 4 * noise_sd(values)] ** 2
    freedom = 2 * square.mean() ** 2 / ((square**2).mean() - square.mean() ** 2)
    chi = stats.chi(freedom, scale=np.sqrt(square.mean() / freedom))
    edges = [*np.linspace(0, np.percentile(values, 99.5), 65), np.inf]
    pairs = list(pairwise(edges))
    seen = np.array([np.mean((values >= low) & (values < high)) for low, high in pairs])
    expected = np.diff(chi.cdf(edges))
    start = int(np.argmax(seen))
    wanted = sum(abs(a - b) for a, b in zip(seen[start:], expected[start:], strict=True))
    assert wanted > 0.1
    assert noise_misfit(values) == pytest.approx(wanted, rel=1e-9)


def test_a_few_stray_voxels_do_not_spoil_the_fit(rng):
    values = np.rint(rng.rayleigh(1.5, 100_000))
    assert noise_misfit(values) < 0.03
    values[:30] = rng.uniform(20, 70, 30)
    assert noise_misfit(values) < 0.03


def test_noise_of_few_levels_is_not_rounded(rng):
    fine = rng.rayleigh(1.6, 200_000)
    assert noise_sd(np.rint(fine)) == pytest.approx(noise_sd(fine), rel=0.03)
    assert noise_misfit(np.rint(fine)) < 0.03
    strange = np.append(np.rint(fine), np.arange(20, 900))
    assert noise_sd(strange) == pytest.approx(noise_sd(fine), rel=0.03)
    assert np.isnan(noise_sd(np.full(1000, 3.0)))
    assert np.isnan(noise_misfit(np.full(1000, 3.0)))


def test_air_set_to_zero_is_told_and_not_measured():
    volume, head = _scan()
    volume[~head] = 0
    measures = measure_raw(volume, AFFINE, head)
    assert measures["air_filled"] == 1.0
    assert all(np.isnan(measures[name]) for name in AIR)


def test_a_cut_away_face_does_not_change_what_the_other_air_says():
    volume, head = _scan()
    whole = measure_raw(volume, AFFINE, head)
    volume[:, 40:, :20] = 0
    cut = measure_raw(volume, AFFINE, head & (volume != 0))
    assert cut["air_filled"] == pytest.approx(0.13, abs=0.02)
    assert cut["air_sd"] == pytest.approx(whole["air_sd"], rel=0.01)
    assert cut["fber"] == pytest.approx(whole["fber"], rel=0.02)
    assert cut["qi1"] == 0.0


def test_specks_left_in_a_constant_are_no_noise():
    volume, head = _scan()
    volume[~head & (volume < 27)] = 0
    measures = measure_raw(volume, AFFINE, head)
    assert measures["air_filled"] > 0.5
    assert all(np.isnan(measures[name]) for name in AIR)


def test_constant_blocks_are_found_at_their_places_and_integers_of_noise_are_not(rng):
    volume = np.rint(rng.rayleigh(1.0, SHAPE)).astype(np.float32)
    assert constant_places(volume).sum() == 0
    volume[10:14, 20:23, :5] = 7
    wanted = np.zeros(SHAPE, bool)
    wanted[10:14, 20:23, :5] = True
    found = constant_places(volume)
    assert (found & wanted).sum() == wanted.sum()
    assert (found & ~wanted).sum() <= 2  # a neighbour may happen to be 7 as well


def test_air_is_the_world_beyond_the_margin():
    head = np.zeros((20, 20, 20), bool)
    head[10, 10, 10] = True
    air = find_air(head, np.diag([2.0, 4.0, 8.0, 1.0]), margin_mm=8.0)
    assert (~air).sum() == 9 * 5 * 3


def test_single_bright_voxels_are_no_artefact():
    volume, head = _scan()
    air = find_air(head, AFFINE)
    volume[5, 5, 5] = 900
    assert find_artefacts(volume, air).sum() == 0
    volume[ndimage.binary_dilation(np.pad(np.ones((1, 1, 1), bool), [(5, 54)] * 3))] = 900
    assert find_artefacts(volume, air).sum() == 7


def test_formulas_give_known_values():
    assert energy_ratio(np.array([10.0, 10.0]), np.array([1.0, 2.0, 1.0])) == pytest.approx(100.0)
    assert entropy_focus(np.full(100, 7.0)) == pytest.approx(1.0, abs=1e-9)
    assert entropy_focus(np.eye(1, 100)[0]) == pytest.approx(0.0, abs=1e-9)
    values = np.array([3.0, 4.0])
    wanted = -(0.6 * np.log(0.6) + 0.8 * np.log(0.8)) / (np.sqrt(2) * np.log(np.sqrt(2)))
    assert entropy_focus(values) == pytest.approx(wanted, rel=1e-9)


def test_entropy_of_a_large_image_takes_parts_and_equals_the_formula():
    values = np.random.default_rng(0).normal(1.0, 2.0, (130, 128, 128)).astype(np.float32)
    assert values.size > 2 * PART_VALUES
    positive = values[values > 0].astype(np.float64)
    share = positive / np.sqrt((positive**2).sum())
    most = np.sqrt(values.size) * np.log(np.sqrt(values.size))
    tracemalloc.start()
    found = entropy_focus(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(-(share * np.log(share)).sum() / most, rel=1e-9)
    assert peak < 5 * 8 * PART_VALUES  # five arrays of one part, however large the image is
