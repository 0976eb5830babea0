"""Training-time changes of a volume: drawing the numbers and applying them are two functions."""

from dataclasses import dataclass

import numpy as np

from bids_harmonize.imaging.occlusion import draw_block, hide_block, keep_block

Block = tuple[slice, slice, slice]


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """How often each change happens; all off by default.

    Attributes
    ----------
    flip_probability
        Mirror left and right (axis I), 0..1.
    mask_block_probability
        Hide one block, 0..1.
    keep_block_probability
        Hide everything but one block, 0..1.
    max_shift_voxels
        Largest shift along each axis, voxels.
    """

    flip_probability: float = 0.0
    mask_block_probability: float = 0.0
    keep_block_probability: float = 0.0
    max_shift_voxels: int = 0


@dataclass(frozen=True)
class Augmentation:
    """What is done to one volume.

    Attributes
    ----------
    flip
        Mirror left and right.
    shift_voxels
        Shift along I, J, K; what leaves the grid is lost, what enters is 0.
    hidden, kept
        The block that is hidden, and the only one that is kept; ``None`` for neither.
    """

    flip: bool = False
    shift_voxels: tuple[int, int, int] = (0, 0, 0)
    hidden: Block | None = None
    kept: Block | None = None


def draw_augmentation(
    rng: np.random.Generator, shape: tuple[int, int, int], settings: AugmentationSettings
) -> Augmentation:
    """Random numbers for one volume.

    Parameters
    ----------
    rng
        Where the numbers come from.
    shape
        Shape (I, J, K) of the volume.
    settings
        How often each change happens.

    Returns
    -------
    Augmentation
        For :func:`apply_augmentation`; at most one of ``hidden`` and ``kept`` is set, so that
        the two together never leave nothing to see.
    """
    flip = bool(rng.random() < settings.flip_probability)
    largest = settings.max_shift_voxels
    i, j, k = (int(step) for step in rng.integers(-largest, largest + 1, size=3))
    draw = rng.random()
    hides = draw < settings.mask_block_probability
    keeps = not hides and draw < settings.mask_block_probability + settings.keep_block_probability
    block = draw_block(rng, shape) if hides or keeps else None
    return Augmentation(
        flip=flip,
        shift_voxels=(i, j, k),
        hidden=block if hides else None,
        kept=block if keeps else None,
    )


def apply_augmentation(volume: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """The changed volume; also for masks, which change alike.

    Parameters
    ----------
    volume
        Array of shape (I, J, K).
    augmentation
        What to do.

    Returns
    -------
    np.ndarray
        A contiguous copy of the same shape and type; the input stays as it is.
    """
    changed = volume[::-1] if augmentation.flip else volume
    changed = _shift(changed, augmentation.shift_voxels)
    if augmentation.hidden is not None:
        changed = hide_block(changed, augmentation.hidden)
    if augmentation.kept is not None:
        changed = keep_block(changed, augmentation.kept)
    return np.array(changed, order="C")


def _shift(volume: np.ndarray, steps: tuple[int, int, int]) -> np.ndarray:
    if not any(steps):
        return volume
    shifted = np.zeros_like(volume)
    target = tuple(
        slice(max(step, 0), size + min(step, 0)) for step, size in _pairs(steps, volume)
    )
    origin = tuple(
        slice(max(-step, 0), size - max(step, 0)) for step, size in _pairs(steps, volume)
    )
    shifted[target] = volume[origin]
    return shifted


def _pairs(steps: tuple[int, int, int], volume: np.ndarray) -> list[tuple[int, int]]:
    return list(zip(steps, volume.shape, strict=True))
