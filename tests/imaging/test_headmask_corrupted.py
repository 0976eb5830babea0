"""Head masks of phantom heads that suffer what real scans suffer; 4 mm, so that it is fast.

Bounds lie about .01 under what was measured; at 4 mm half a voxel of the outline is .06.
"""

import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.imaging.headmask import find_head
from tests.benchmarks import corruptions
from tests.imaging.phantom_scans import dice, make_phantom_scan


@pytest.fixture(scope="module")
def scan():
    return make_phantom_scan()


def _noisy(scan, snr):
    rng = np.random.default_rng(0)
    sd = scan.white / snr
    return corruptions.add_noise(scan.noise_free, scan.affine, sd=sd, rng=rng)


def _far_from_the_coil(scan):
    falling = corruptions.coil_falloff(scan.noise_free, scan.affine, lowest=0.1)
    rng = np.random.default_rng(0)
    return corruptions.add_noise(falling, scan.affine, sd=0.01 * scan.white, rng=rng)


CORRUPTIONS = {
    "nothing": (lambda s: s.volume, 0.955),
    "weak ghosts": (lambda s: corruptions.ghost(s.volume, s.affine, share=0.05), 0.955),
    "strong ghosts": (lambda s: corruptions.ghost(s.volume, s.affine, share=0.12), 0.92),
    "suppressed fat": (lambda s: s.with_dark_fat(), 0.975),
    "bright eyes": (lambda s: corruptions.bright_eyes(s.volume, s.affine, s.brain), 0.955),
    "coil falloff to a tenth": (_far_from_the_coil, 0.955),
    "SNR 8": (lambda s: _noisy(s, 8), 0.96),
    "SNR 15": (lambda s: _noisy(s, 15), 0.955),
    "no noise": (lambda s: s.noise_free, 0.955),
    "air set to zero": (
        lambda s: corruptions.zero_air(s.volume, s.affine, below=0.1 * s.white),
        0.955,
    ),
    "nothing but the head": (lambda s: np.where(s.head, s.volume, 0).astype(np.float32), 0.98),
}
REDUNDANT = ("weak ghosts", "SNR 15", "no noise")  # stronger or rarer siblings run always


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in REDUNDANT else n for n in CORRUPTIONS],
)
def test_the_head_is_found_whatever_befell_the_scan(scan, name):
    corrupt, bound = CORRUPTIONS[name]
    head = find_head(corrupt(scan), scan.affine)
    assert dice(head.mask, scan.head) > bound
    assert head.mask[scan.brain].mean() > 0.999
    assert not head.skull_stripped
    assert not head.doubtful, head.flags
    assert head.flags == ()


@pytest.mark.parametrize("fill", [0.0, pytest.param(0.04, marks=pytest.mark.slow)])
def test_a_face_that_was_cut_off_is_not_grown_back(scan, fill):
    level = fill * scan.white
    volume, cut = corruptions.deface(scan.volume, scan.affine, scan.head, scan.brain, fill=level)
    head = find_head(volume, scan.affine)
    assert dice(head.mask, scan.head & ~cut) > 0.955
    assert head.mask[ndimage.binary_erosion(cut & scan.head, iterations=3)].mean() < 0.1
    assert not head.doubtful, head.flags


def test_a_nose_that_wraps_to_the_back_is_left_out(scan):
    volume = corruptions.wrap(scan.volume, scan.affine, cut_mm=30)
    affine = corruptions.wrapped_affine(scan.affine, cut_mm=30)
    kept = volume.shape[1]
    assert volume.max() > 0
    head = find_head(volume, affine)
    truth = scan.head[:, :kept]
    assert dice(head.mask, truth) > 0.955
    assert head.mask[scan.brain[:, :kept]].mean() > 0.999


def test_a_brain_alone_is_its_own_head(scan):
    volume = np.where(scan.brain, scan.volume, 0).astype(np.float32)
    head = find_head(volume, scan.affine)
    assert head.skull_stripped
    assert head.flags == ("skull-stripped input",)
    assert not head.doubtful
    assert dice(head.mask, scan.brain) > 0.995


def test_the_two_orientations_of_one_scan_give_one_mask(scan):
    flipped = np.ascontiguousarray(scan.volume[::-1, ::-1])
    affine = scan.affine @ np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (scan.affine @ [scan.volume.shape[0] - 1, scan.volume.shape[1] - 1, 0, 1])[:3]
    one, other = find_head(scan.volume, scan.affine), find_head(flipped, affine)
    assert dice(one.mask, other.mask[::-1, ::-1]) > 0.9999
    assert one.confidence == pytest.approx(other.confidence, abs=0.01)
