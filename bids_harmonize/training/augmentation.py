"""Training-time changes of a volume: drawing the numbers and applying them are two functions.

Choice: only changes that no scanner makes: which side is left, where the head lies, which part is
seen. Rejected: changes of intensity, noise and blur, for these *are* the site; a network that
learns not to mind them has unlearnt what it is asked for. Rotating and scaling interpolate, and so
blur too.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

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
        Largest shift along each axis, whole voxels.
    affine_probability
        Rotate, scale and shift by parts of a voxel, 0..1.
    max_rotation_degrees
        Largest rotation around each axis, degrees.
    max_scaling
        Largest stretch of each axis, as a share: 0.05 is 5 % larger or smaller.
    max_offset_voxels
        Largest shift along each axis that comes with a rotation, voxels.
    """

    flip_probability: float = 0.0
    mask_block_probability: float = 0.0
    keep_block_probability: float = 0.0
    max_shift_voxels: int = 0
    affine_probability: float = 0.0
    max_rotation_degrees: float = 0.0
    max_scaling: float = 0.0
    max_offset_voxels: float = 0.0


@dataclass(frozen=True)
class SmallAffine:
    """A rotation, stretch and shift about the middle of the grid.

    Attributes
    ----------
    rotation_degrees
        Around the axes I, J, K, applied in this order.
    scaling
        Stretch of each axis; above 1 the head grows.
    offset_voxels
        Shift along I, J, K.
    """

    rotation_degrees: tuple[float, float, float]
    scaling: tuple[float, float, float]
    offset_voxels: tuple[float, float, float]


@dataclass(frozen=True)
class Augmentation:
    """What is done to one volume.

    Attributes
    ----------
    flip
        Mirror left and right.
    shift_voxels
        Shift along I, J, K; what leaves the grid is lost, what enters is 0.
    affine
        Rotation, stretch and shift by interpolation; ``None`` for none.
    hidden, kept
        The block that is hidden, and the only one that is kept; ``None`` for neither.
    """

    flip: bool = False
    shift_voxels: tuple[int, int, int] = (0, 0, 0)
    affine: SmallAffine | None = None
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
        affine=_draw_affine(rng, settings),
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
        A contiguous copy of the same shape and type; the input stays as it is. An affine
        interpolates linearly; in a mask, a half and more is inside.
    """
    changed = volume[::-1] if augmentation.flip else volume
    changed = _shift(changed, augmentation.shift_voxels)
    if augmentation.affine is not None:
        changed = _move(changed, augmentation.affine)
    if augmentation.hidden is not None:
        changed = hide_block(changed, augmentation.hidden)
    if augmentation.kept is not None:
        changed = keep_block(changed, augmentation.kept)
    return np.array(changed, order="C")


def _draw_affine(rng: np.random.Generator, settings: AugmentationSettings) -> SmallAffine | None:
    # Nothing is drawn where nothing is asked for: older trainings keep their numbers.
    if settings.affine_probability == 0 or rng.random() >= settings.affine_probability:
        return None
    rotation = settings.max_rotation_degrees * rng.uniform(-1, 1, 3)
    scaling = 1 + settings.max_scaling * rng.uniform(-1, 1, 3)
    offset = settings.max_offset_voxels * rng.uniform(-1, 1, 3)
    return SmallAffine(_three(rotation), _three(scaling), _three(offset))


def _move(volume: np.ndarray, affine: SmallAffine) -> np.ndarray:
    turn = Rotation.from_euler("xyz", affine.rotation_degrees, degrees=True).as_matrix()
    # ndimage asks where each voxel of the result comes from: the inverse.
    pull = np.diag(1 / np.array(affine.scaling)) @ turn.T
    middle = (np.array(volume.shape) - 1) / 2
    offset = middle - pull @ (middle + np.array(affine.offset_voxels))
    moved = ndimage.affine_transform(volume.astype(np.float32), pull, offset, order=1)
    return moved >= 0.5 if volume.dtype == np.bool_ else moved.astype(volume.dtype)


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


def _three(values: np.ndarray) -> tuple[float, float, float]:
    i, j, k = (float(value) for value in values)
    return i, j, k
