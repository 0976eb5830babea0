"""Lesions of known size and contrast, and images that keep, fade, widen or move them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from bids_harmonize.imaging.lesions import find_places, lesion_change, make_lesion

SHAPE = (48, 48, 48)
SIZE_MM = 2.0
AFFINE = np.diag([SIZE_MM, SIZE_MM, SIZE_MM, 1.0])
CENTRE = np.array([24, 24, 24])


def distance_mm(centre=CENTRE):
    return SIZE_MM * np.sqrt(
        sum((axis - c) ** 2 for axis, c in zip(np.indices(SHAPE), centre, strict=True))
    )


@pytest.fixture(scope="module")
def brain():
    return distance_mm() < 44


@pytest.fixture(scope="module")
def volume(brain):
    """White inside, grey outside, noise; the 1st and 99th percentile do not feel a lesion."""
    rng = np.random.default_rng(0)
    tissue = np.where(distance_mm() < 32, 900.0, 600.0) + rng.normal(scale=20, size=SHAPE)
    return np.where(brain, tissue, 0).astype(np.float32)


@pytest.fixture(scope="module")
def lesion():
    return make_lesion(SHAPE, AFFINE, CENTRE)


def change_of(transform, lesion, volume, brain, change=-0.35):
    planted = lesion.put_into(volume, change=change)
    made = transform(volume), transform(planted)
    return lesion_change(lesion, (volume, planted), made, brain=brain)


def test_a_lesion_has_the_volume_of_its_ball_and_the_contrast_asked_for(lesion, volume):
    ml = lesion.share.sum() * SIZE_MM**3 / 1e3
    assert ml == pytest.approx(4 / 3 * np.pi * 5**3 / 1e3, rel=0.05)
    planted = lesion.put_into(volume, change=-0.35)
    core = lesion.share == 1
    assert planted[core] == pytest.approx(0.65 * volume[core], rel=1e-5)
    assert np.array_equal(planted[lesion.distance_mm > 7], volume[lesion.distance_mm > 7])


def test_on_a_coarse_grid_it_grows_to_be_seen():
    coarse = make_lesion((20, 20, 20), np.diag([6.0, 6.0, 6.0, 1.0]), np.array([10, 10, 10]))
    assert coarse.radius_mm == 9.0
    assert (coarse.share == 1).sum() >= 7


def test_any_affine_map_of_intensities_keeps_it(lesion, volume, brain):
    found = change_of(lambda image: 3 * image + 7, lesion, volume, brain)
    assert (found.contrast, found.volume) == pytest.approx((1, 1), abs=1e-4)
    assert found.away < 1e-4


def test_a_flatter_curve_fades_it_by_its_slope(lesion, volume, brain):
    low, high = np.percentile(volume[brain], (1, 99))

    def flat_on_top(image):
        return np.where(image > 700, 700 + 0.5 * (image - 700), image)

    found = change_of(flat_on_top, lesion, volume, brain, change=-0.15)
    flat_range = flat_on_top(high) - low
    assert found.contrast == pytest.approx(0.5 * (high - low) / flat_range, rel=0.03)
    assert found.volume == pytest.approx(1.0, abs=0.05)


def test_blur_takes_contrast_and_gives_volume(lesion, volume, brain):
    found = change_of(lambda image: gaussian_filter(image, 2.0), lesion, volume, brain)
    assert found.contrast < 0.8
    assert found.volume > 1.3


def test_the_same_image_for_everybody_erases_it(lesion, volume, brain):
    found = change_of(lambda image: volume, lesion, volume, brain)
    assert found.contrast == 0.0
    assert np.isnan(found.volume)


def test_a_change_far_away_is_told(lesion, volume, brain):
    def shifted(image):
        result = image.copy()
        result[8, 24, 24] += 0.5 * (image[24, 24, 24] - volume[24, 24, 24])
        return result

    assert change_of(shifted, lesion, volume, brain).away == pytest.approx(0.5, rel=0.1)


def test_places_are_deep_bright_and_apart(volume, brain):
    rng = np.random.default_rng(3)
    places = find_places(volume, brain, AFFINE, n_places=3, rng=rng)
    assert len(places) == 3
    depth = 44 - np.array([distance_mm()[tuple(place)] for place in places])
    assert depth.min() >= 5 + 6
    assert all(distance_mm()[tuple(place)] < 32 for place in places)
    apart = [np.linalg.norm(SIZE_MM * (a - b)) for a in places for b in places if a is not b]
    assert min(apart) > 10


def test_a_brain_that_is_too_small_has_no_place(volume):
    tiny = distance_mm() < 9
    rng = np.random.default_rng(3)
    assert find_places(volume, tiny, AFFINE, n_places=2, rng=rng) == []
