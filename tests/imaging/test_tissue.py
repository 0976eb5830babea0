"""Tissue of a phantom's scan against its truth, in any orientation, with what may go wrong."""

import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.atlases import load_template
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample, resample_mask
from bids_harmonize.imaging.tissue import find_tissue
from tests.imaging.heads import oblique
from tests.imaging.phantom_scan import phantom_scan


def tissue_of(scan, **changes):
    parts = {"volume": scan.volume, "affine": scan.affine, "brain": scan.brain, **changes}
    return find_tissue(
        parts["volume"], parts["affine"], parts["brain"], load_template(2.0),
        to_template=scan.to_template,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scan():
    return phantom_scan(resolution_mm=4.0)


@pytest.fixture(scope="module")
def found(scan):
    return tissue_of(scan)


def test_tissue_agrees_with_the_truth_at_4_mm(scan, found):
    """Two thirds of the voxels are mixed here: labels suffer, volumes do not."""
    fluid, grey, white = scan.dice(found)
    assert (fluid, grey, white) == pytest.approx((0.755, 0.897, 0.903), abs=0.02)
    for name, true_ml in scan.true_ml.items():
        assert found.volumes_ml[name] == pytest.approx(true_ml, rel=0.06)
    assert not found.doubtful
    assert found.flags == ()


@pytest.mark.slow
def test_tissue_agrees_with_the_truth_at_2_mm():
    scan = phantom_scan(resolution_mm=2.0)
    fluid, grey, white = scan.dice(tissue_of(scan))
    assert fluid > 0.78
    assert grey > 0.9
    assert white > 0.9


def test_shares_are_shares_and_zero_outside(scan, found):
    for share in (found.gm, found.wm, found.csf):
        assert share.dtype == np.float32
        assert share.shape == scan.volume.shape
        assert share.min() >= 0
        assert not share[~scan.brain].any()
    total = found.gm + found.wm + found.csf
    assert total.max() <= 1 + 1e-5
    assert total[scan.brain].mean() > 0.97
    assert found.volumes_ml["gm"] == pytest.approx(found.gm.sum() * 0.064, rel=1e-4)


def test_equal_input_gives_equal_bits(scan, found):
    again = tissue_of(scan)
    for name in ("gm", "wm", "csf"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_a_flipped_array_gives_the_same_maps(scan, found):
    las = scan.affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    las[:3, 3] = (scan.affine @ [scan.volume.shape[0] - 1, 0, 0, 1])[:3]
    flipped = tissue_of(
        scan,
        volume=np.ascontiguousarray(scan.volume[::-1]),
        affine=las,
        brain=np.ascontiguousarray(scan.brain[::-1]),
    )
    for name in ("gm", "wm", "csf"):
        difference = np.abs(getattr(flipped, name)[::-1] - getattr(found, name))
        assert difference.max() < 0.02
        assert difference.mean() < 1e-4


def test_an_oblique_grid_gives_the_same_tissue(scan, found):
    """The same scan interpolated onto a tilted grid: labels agree but at borders."""
    affine = scan.affine.copy()
    affine[:3, :3] = oblique(12.0) @ scan.affine[:3, :3]
    middle = (np.array(scan.volume.shape) - 1) / 2
    affine[:3, 3] = (scan.affine @ [*middle, 1])[:3] - affine[:3, :3] @ middle
    grid = Grid(shape=scan.volume.shape, affine=affine)
    tilted = tissue_of(
        scan,
        volume=resample(scan.volume, scan.affine, grid),
        affine=affine,
        brain=resample_mask(scan.brain, scan.affine, grid),
    )
    straight = Grid(shape=scan.volume.shape, affine=scan.affine)
    inner = ndimage.binary_erosion(scan.brain)
    for name in ("gm", "wm"):
        back = resample(getattr(tilted, name), affine, straight, interpolation="linear")
        assert np.corrcoef(back[inner], getattr(found, name)[inner])[0, 1] > 0.93
        assert tilted.volumes_ml[name] == pytest.approx(found.volumes_ml[name], rel=0.04)


@pytest.mark.slow
def test_coil_and_scale_do_not_matter(scan, found):
    strong = phantom_scan(resolution_mm=4.0, coil=0.45)
    other = tissue_of(strong, volume=strong.volume * np.float32(0.01))
    assert strong.dice(other)[1:] == pytest.approx(scan.dice(found)[1:], abs=0.015)
    for name in ("gm", "wm"):
        assert other.volumes_ml[name] == pytest.approx(found.volumes_ml[name], rel=0.04)


@pytest.mark.slow
def test_noise_costs_little(scan, found):
    noisy = phantom_scan(resolution_mm=4.0, noise=0.05)  # more than any preset's
    other = tissue_of(noisy)
    assert noisy.dice(other)[1] > scan.dice(found)[1] - 0.03
    assert other.volumes_ml["gm"] == pytest.approx(found.volumes_ml["gm"], rel=0.06)


@pytest.mark.slow
def test_six_scanners_give_one_person_one_volume():
    volumes = []
    for site in range(6):
        scan = phantom_scan(resolution_mm=3.0, site=site)
        volumes.append(tissue_of(scan).volumes_ml["gm"])
    assert np.std(volumes, ddof=1) / np.mean(volumes) < 0.05


def test_half_a_brain_is_doubtful(scan):
    half = scan.brain.copy()
    half[:, :, : half.shape[2] * 9 // 16] = False
    result = tissue_of(scan, brain=half)
    assert result.doubtful
    assert any("grey and white matter" in flag for flag in result.flags)


def test_noise_in_a_brain_mask_is_doubtful(scan):
    noise = np.random.default_rng(0).uniform(20, 100, scan.volume.shape).astype(np.float32)
    result = tissue_of(scan, volume=noise)
    assert result.doubtful
    assert any("correlation with the deformed template" in flag for flag in result.flags)


def test_an_empty_brain_mask_is_a_scan_error(scan):
    with pytest.raises(ScanError, match="the brain mask is empty"):
        tissue_of(scan, brain=np.zeros(scan.brain.shape, bool))
