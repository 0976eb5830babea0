import numpy as np
import pytest

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.headmask import find_head
from tests.imaging.heads import ORIENTATIONS, make_scan, oblique


@pytest.mark.parametrize("name", ["RAS", "PIR", "oblique"])
def test_the_head_is_found_in_noise_whatever_the_orientation(name, rng):
    volume, affine = make_scan({**ORIENTATIONS, "oblique": oblique()}[name])
    truth = volume > 30  # about half of the brightness of the soft surface's outer 10 mm
    noisy = np.hypot(volume + rng.normal(0, 4, volume.shape), rng.normal(0, 4, volume.shape))
    head = find_head(noisy.astype(np.float32), affine)
    dice = 2 * (head.mask & truth).sum() / (head.mask.sum() + truth.sum())
    assert dice > 0.97
    assert head.mask[volume > 50].mean() > 0.999
    assert head.vertex_mm == pytest.approx(109.0, abs=5.0)  # 105 and the soft surface
    assert not head.skull_stripped
    assert head.flags == ()


def test_a_brain_alone_is_told_from_a_head():
    volume, affine = make_scan(np.eye(3), size_mm=4.0)
    affine[:3, :3] *= 0.75  # 1.3 L
    volume[volume < 50] = 0
    head = find_head(volume, affine)
    assert head.skull_stripped
    assert head.flags == ("skull-stripped input",)
    np.testing.assert_array_equal(head.mask, volume > 0)


def test_a_head_in_black_air_is_no_stripped_brain():
    volume, affine = make_scan(np.eye(3), size_mm=4.0)
    volume[volume < 30] = 0
    head = find_head(volume, affine)
    assert not head.skull_stripped
    assert head.mask.sum() == pytest.approx((volume > 0).sum(), rel=0.08)


def test_a_streak_of_ghosting_is_cut_off():
    volume, affine = make_scan(np.eye(3), length_mm=264.0)
    middle = volume.shape[0] // 2
    volume[middle, middle, :] = np.maximum(volume[middle, middle, :], 60)
    head = find_head(volume, affine)
    assert not head.mask[middle, middle, -3]
    assert head.mask[middle, middle, middle]


@pytest.mark.parametrize("level", [0.0, 5.0])
def test_a_constant_image_holds_no_head(level):
    with pytest.raises(ScanError, match="no head found"):
        find_head(np.full((30, 30, 30), level, np.float32), np.diag([6.0, 6.0, 6.0, 1.0]))


def test_a_tiny_object_is_flagged():
    volume, affine = make_scan(np.eye(3), size_mm=4.0)
    affine[:3, :3] *= 0.6
    noisy = volume + np.random.default_rng(0).uniform(0, 3, volume.shape)
    head = find_head(noisy.astype(np.float32), affine)
    assert any("head volume" in flag for flag in head.flags)
