"""What happens to real scans: arrays in, arrays out, in any orientation.

Every function takes ``volume`` of shape (I, J, K) and its 4x4 ``affine`` (voxel to world, mm,
RAS+) first and returns a new float32 volume on the same grid.
"""

import numpy as np

from bids_harmonize.imaging.geometry import world_box


def world_axes(shape: tuple[int, ...], affine: np.ndarray) -> tuple[np.ndarray, ...]:
    """World x, y and z of every voxel, three arrays of the volume's shape, mm."""
    index = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in shape], indexing="ij")
    x, y, z = np.tensordot(affine[:3, :3].astype(np.float32), np.stack(index), axes=1)
    return x + affine[0, 3], y + affine[1, 3], z + affine[2, 3]


def _array_axis(affine: np.ndarray, world_axis: int) -> tuple[int, int]:
    """Array axis that runs along a world axis, and its sign."""
    axis = int(np.abs(affine[world_axis, :3]).argmax())
    return axis, int(np.sign(affine[world_axis, axis]))


def wrap(volume: np.ndarray, affine: np.ndarray, *, cut_mm: float, world_axis: int = 1):
    """The field of view ends ``cut_mm`` earlier; what is beyond appears on the other side.

    The front (of axis 1) wraps to the back. Shape is kept, the cut part holds nothing but noise.
    """
    axis, sign = _array_axis(affine, world_axis)
    n = volume.shape[axis]
    size = float(np.linalg.norm(affine[:3, axis]))
    line = np.moveaxis(volume if sign > 0 else np.flip(volume, axis), axis, 0)
    n_cut = round(cut_mm / size)
    result = line[: n - n_cut].astype(np.float32).copy()
    result[:n_cut] = np.hypot(result[:n_cut], line[n - n_cut :])
    result = np.moveaxis(np.concatenate([result, np.zeros_like(line[:n_cut])]), 0, axis)
    result = np.delete(np.moveaxis(result, axis, 0), np.arange(n - n_cut, n), axis=0)
    result = np.moveaxis(result, 0, axis)
    return np.ascontiguousarray(result if sign > 0 else np.flip(result, axis))


def wrapped_affine(affine: np.ndarray, *, cut_mm: float, world_axis: int = 1) -> np.ndarray:
    """Affine of what :func:`wrap` returns."""
    axis, sign = _array_axis(affine, world_axis)
    n_cut = round(cut_mm / float(np.linalg.norm(affine[:3, axis])))
    moved = affine.copy()
    if sign < 0:
        moved[:3, 3] += affine[:3, axis] * n_cut
    return moved


def ghost(volume: np.ndarray, affine: np.ndarray, *, share: float, world_axis: int = 1):
    """Nyquist ghosts: ``share`` of the image, moved by half the field of view and by a quarter."""
    axis, _ = _array_axis(affine, world_axis)
    n = volume.shape[axis]
    half, quarter = np.roll(volume, n // 2, axis), np.roll(volume, n // 4, axis)
    return np.sqrt(volume**2 + (share * half) ** 2 + (0.5 * share * quarter) ** 2).astype(
        np.float32
    )


def deface(
    volume: np.ndarray,
    affine: np.ndarray,
    head: np.ndarray,
    brain: np.ndarray,
    *,
    fill: float = 0.0,
):
    """Face cut off along a slanted plane in front of and below the brain."""
    _, y, z = world_axes(volume.shape, affine)
    front, bottom = float(y[brain].max()), float(z[brain].min())
    middle = float(y[brain].mean())
    slope = (z - (bottom + 45)) < (y - front) * 1.2
    cut = slope & (y > middle + 20) & (z < bottom + 60)
    cut &= ~brain
    return np.where(cut, np.float32(fill), volume).astype(np.float32), cut


def bright_eyes(volume: np.ndarray, affine: np.ndarray, brain: np.ndarray, *, factor: float = 3.0):
    """Flow and motion in the eyes: two globes of ``factor`` times the brightest percent."""
    x, y, z = world_axes(volume.shape, affine)
    middle = float(x[brain].mean())
    front, bottom = float(y[brain].max()), float(z[brain].min())
    result = volume.astype(np.float32).copy()
    top = float(np.percentile(volume[brain], 99)) * factor
    for side in (-1, 1):
        ball = (x - middle - side * 32) ** 2 + (y - front + 4) ** 2 + (z - bottom - 28) ** 2
        result[ball < 13**2] = top
    return result


def coil_falloff(volume: np.ndarray, affine: np.ndarray, *, lowest: float, world_axis: int = 2):
    """Sensitivity 1 at the upper end, ``lowest`` at the lower end, exponential between."""
    low, high = world_box(volume.shape, affine)
    height = (world_axes(volume.shape, affine)[world_axis] - low[world_axis]) / (
        high[world_axis] - low[world_axis]
    )
    return (volume * lowest ** (1 - height)).astype(np.float32)


def add_noise(volume: np.ndarray, affine: np.ndarray, *, sd: float, rng: np.random.Generator):
    """Rician noise of ``sd`` intensity units in both channels."""
    real, imaginary = sd * rng.standard_normal((2, *volume.shape))
    return np.hypot(volume + real, imaginary).astype(np.float32)


def zero_air(volume: np.ndarray, affine: np.ndarray, *, below: float):
    """Air set to 0, as some scanners' reconstruction does: all under a level."""
    return np.where(volume < below, 0, volume).astype(np.float32)


def cut_field_of_view(
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    world_axis: int,
    below: float = -np.inf,
    above: float = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """Volume and affine of the slices between two world coordinates (a straight grid)."""
    axis, _ = _array_axis(affine, world_axis)
    places = affine[world_axis, axis] * np.arange(volume.shape[axis]) + affine[world_axis, 3]
    kept = np.flatnonzero((places > below) & (places < above))
    moved = affine.copy()
    moved[:3, 3] += affine[:3, axis] * kept[0]
    return np.ascontiguousarray(np.take(volume, kept, axis=axis)), moved
