"""Augmentation: what is drawn is what is done."""

import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.training.augmentation import (
    Augmentation,
    AugmentationSettings,
    SmallAffine,
    apply_augmentation,
    draw_augmentation,
)

STILL = (0.0, 0.0, 0.0)
SAME = (1.0, 1.0, 1.0)
VOLUME = np.random.default_rng(0).random((6, 7, 8)).astype(np.float32) + 1


def test_nothing_drawn_changes_nothing():
    settings = AugmentationSettings()
    augmentation = draw_augmentation(np.random.default_rng(0), (6, 7, 8), settings)
    assert augmentation == Augmentation()
    assert np.array_equal(apply_augmentation(VOLUME, augmentation), VOLUME)


def test_flip_mirrors_left_and_right_only():
    flipped = apply_augmentation(VOLUME, Augmentation(flip=True))
    assert np.array_equal(flipped, VOLUME[::-1])


def test_hidden_and_kept_block_are_complements():
    block = (slice(1, 4), slice(0, 3), slice(2, 8))
    hidden = apply_augmentation(VOLUME, Augmentation(hidden=block))
    kept = apply_augmentation(VOLUME, Augmentation(kept=block))
    assert np.array_equal(hidden + kept, VOLUME)
    assert not hidden[block].any()


def test_a_shift_brings_zeros_in_and_loses_what_leaves():
    shifted = apply_augmentation(VOLUME, Augmentation(shift_voxels=(2, -1, 0)))
    assert np.array_equal(shifted[2:, :-1], VOLUME[:-2, 1:])
    assert not shifted[:2].any()
    assert not shifted[:, -1].any()


def test_the_input_stays_as_it_is():
    before = VOLUME.copy()
    everything = Augmentation(
        flip=True, shift_voxels=(1, 1, 1), hidden=(slice(0, 2), slice(0, 2), slice(0, 2))
    )
    apply_augmentation(VOLUME, everything)
    assert np.array_equal(before, VOLUME)


def test_each_change_happens_as_often_as_asked():
    settings = AugmentationSettings(
        flip_probability=0.5,
        mask_block_probability=0.25,
        keep_block_probability=0.25,
        max_shift_voxels=2,
    )
    rng = np.random.default_rng(1)
    drawn = [draw_augmentation(rng, (48, 56, 48), settings) for _ in range(2000)]
    assert np.mean([a.flip for a in drawn]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([a.hidden is not None for a in drawn]) == pytest.approx(0.25, abs=0.04)
    assert np.mean([a.kept is not None for a in drawn]) == pytest.approx(0.25, abs=0.04)
    assert {step for a in drawn for step in a.shift_voxels} == {-2, -1, 0, 1, 2}
    assert not any(a.hidden is not None and a.kept is not None for a in drawn)


def blob(middle, *, shape=(31, 33, 29), width=2.0):
    """A Gaussian blob; linear interpolation keeps its centre of mass."""
    axes = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    squares = sum((axis - place) ** 2 for axis, place in zip(axes, middle, strict=True))
    return np.exp(-squares / (2 * width**2)).astype(np.float32)


def moved(volume, rotation=STILL, scaling=SAME, offset=STILL):
    return apply_augmentation(volume, Augmentation(affine=SmallAffine(rotation, scaling, offset)))


def overlap(first, second):
    return (first & second).sum() / (first | second).sum()


def test_an_affine_that_does_nothing_changes_nothing():
    assert np.abs(moved(VOLUME) - VOLUME).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"rotation": (90.0, 0.0, 0.0)}, (15, 16, 19)),  # around I: J turns to K
        ({"rotation": (0.0, 0.0, -90.0)}, (20, 16, 14)),  # around K: J turns to I
        ({"scaling": (1.0, 1.4, 1.0)}, (15, 23, 14)),
        ({"offset": (0.5, -0.25, 1.5)}, (15.5, 20.75, 15.5)),
        ({"rotation": (90.0, 0.0, 0.0), "scaling": (1.0, 1.4, 1.0)}, (15, 16, 21)),
    ],
)
def test_a_point_lands_where_the_affine_says(change, expected):
    volume = blob((15, 21, 14))  # 5 voxels from the middle of the grid along J
    centre = ndimage.center_of_mass(moved(volume, **change))
    assert centre == pytest.approx(expected, abs=0.05)


def test_a_mask_moves_with_its_volume_and_stays_a_mask():
    volume = blob((15, 17, 13), width=5.0)
    change = {
        "rotation": (6.0, -4.0, 8.0),
        "scaling": (1.05, 0.97, 1.0),
        "offset": (2.0, -2.0, 0.0),
    }
    mask = moved(volume > 0.5, **change)
    other = moved(volume, **change) > 0.5
    assert mask.dtype == np.bool_
    assert overlap(mask, other) > 0.88
    assert mask.sum() == pytest.approx(other.sum(), rel=0.05)
    assert overlap(volume > 0.5, other) < 0.75


def test_what_enters_the_grid_is_zero():
    bright = np.ones((9, 9, 9), dtype=np.float32)
    shifted = moved(bright, offset=(3.0, 0.0, 0.0))
    assert not shifted[:2].any()
    assert shifted[3:].min() == pytest.approx(1, abs=1e-6)


def test_affines_stay_within_their_limits_and_happen_as_often_as_asked():
    settings = AugmentationSettings(
        affine_probability=0.4, max_rotation_degrees=5, max_scaling=0.03, max_offset_voxels=0.5
    )
    rng = np.random.default_rng(2)
    drawn = [draw_augmentation(rng, (48, 56, 48), settings).affine for _ in range(2000)]
    some = [affine for affine in drawn if affine is not None]
    assert len(some) / len(drawn) == pytest.approx(0.4, abs=0.04)
    rotation = np.array([affine.rotation_degrees for affine in some])
    scaling = np.array([affine.scaling for affine in some])
    offset = np.array([affine.offset_voxels for affine in some])
    for values, largest in ((rotation, 5), (scaling - 1, 0.03), (offset, 0.5)):
        assert np.abs(values).max() == pytest.approx(largest, rel=0.02)
        assert np.abs(values).max() <= largest


def test_affines_that_are_off_take_no_random_numbers():
    rng, by_hand = (np.random.default_rng(3) for _ in range(2))
    draw_augmentation(rng, (6, 7, 8), AugmentationSettings(max_rotation_degrees=5))
    by_hand.random(), by_hand.integers(0, 1, size=3), by_hand.random()  # flip, shift, block
    assert rng.random() == by_hand.random()
