"""Augmentation: what is drawn is what is done."""

import numpy as np
import pytest

from bids_harmonize.training.augmentation import (
    Augmentation,
    AugmentationSettings,
    apply_augmentation,
    draw_augmentation,
)

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
