from dataclasses import replace

import numpy as np
import pytest

from bids_harmonize.phantom import PRESETS, TISSUES, make_scanners
from bids_harmonize.phantom.scanner import site_names
from bids_harmonize.phantom.tissues import base_intensities


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_scanners_keep_to_the_stated_physics(preset: str) -> None:
    row = PRESETS[preset]
    for seed in range(5):
        for scanner in make_scanners(row, n_sites=5, resolution_mm=3.0, seed=seed):
            change = np.array(scanner.intensities) / base_intensities() - 1
            assert np.abs(change).max() <= row.contrast + 1e-6
            assert row.coil[0] <= scanner.coil_strength <= row.coil[1]
            assert row.noise[0] <= scanner.noise <= row.noise[1]
            assert row.scale[0] <= scanner.scale <= row.scale[1] * (1 + 1e-9)
            assert np.linalg.norm(scanner.coil_shape) == pytest.approx(1, abs=1e-9)


def test_the_default_physics_is_the_documented_one() -> None:
    row = PRESETS["default"]
    assert (row.contrast, row.coil, row.noise) == (0.08, (0.10, 0.35), (0.02, 0.045))


def test_two_sites_always_differ_clearly_in_the_default_preset() -> None:
    for seed in range(20):
        first, second = make_scanners(PRESETS["default"], n_sites=2, resolution_mm=3.0, seed=seed)
        assert first.voxel_size_mm == second.voxel_size_mm == (3.0, 3.0, 3.0)
        contrast = np.array(first.intensities) / np.array(second.intensities)
        assert 0.05 < np.abs(np.log(contrast)).max() < 0.2
        assert 0.09 < abs(first.coil_strength - second.coil_strength) < 0.2


def test_hard_scanners_leave_everything_outside_the_brain_alone() -> None:
    outer = [place for place, tissue in enumerate(TISSUES) if not tissue.is_brain]
    for scanner in make_scanners(PRESETS["hard"], n_sites=4, resolution_mm=3.0, seed=0):
        assert np.array_equal(np.array(scanner.intensities)[outer], base_intensities()[outer])
        assert scanner.psf_voxels == 1.0


def test_null_sites_differ_in_name_alone() -> None:
    first, *others = make_scanners(PRESETS["null"], n_sites=3, resolution_mm=3.0, seed=0)
    assert [other.name for other in others] == ["SiteB", "SiteC"]
    assert all(replace(other, name="SiteA") == first for other in others)


def test_mixed_sites_differ_in_grid_and_storage() -> None:
    scanners = make_scanners(PRESETS["mixed"], n_sites=5, resolution_mm=3.0, seed=0)
    assert len({scanner.voxel_size_mm for scanner in scanners}) == 5
    assert {scanner.orientation for scanner in scanners} == {"RAS", "LAS", "PIR", "LPS", "LIA"}
    assert {scanner.datatype for scanner in scanners} == {"int16", "uint16", "float32"}


def test_more_sites_leave_the_first_ones_alone() -> None:
    few = make_scanners(PRESETS["default"], n_sites=2, resolution_mm=3.0, seed=1)
    many = make_scanners(PRESETS["default"], n_sites=6, resolution_mm=3.0, seed=1)
    assert many[:2] == few


def test_sites_are_named_by_letter() -> None:
    assert site_names(3) == ("SiteA", "SiteB", "SiteC")
    with pytest.raises(ValueError, match="n_sites=27"):
        site_names(27)
