"""Inputs for which no mask should be trusted, made from a phantom scan; a table of functions.

Each takes a scan with ``volume``, ``affine``, ``brain`` and ``white`` and returns a volume and
its affine.
"""

import numpy as np

from tests.benchmarks.corruptions import cut_field_of_view, world_axes


def abdomen(scan) -> tuple[np.ndarray, np.ndarray]:
    """A trunk with fat, organs and a spine; it leaves the field of view above and below."""
    x, y, z = world_axes(scan.volume.shape, scan.affine)
    middle = [float((axis.min() + axis.max()) / 2) for axis in (x, y, z)]
    x, y, z = x - middle[0], y - middle[1], z - middle[2]
    trunk = (x / 98) ** 2 + (y / 85) ** 2
    values = np.where(trunk < 1, 1.1, 0.0)
    values[trunk < 0.75] = 0.5
    for centre, radius, level in (
        ((-35, 20, 30), 40, 0.7), ((40, 10, -20), 30, 0.35), ((0, -45, 0), 18, 0.25),
        ((20, 30, 60), 25, 0.05), ((-40, -10, -60), 30, 0.6),
    ):  # fmt: skip
        ball = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
        values[(ball < radius**2) & (trunk < 0.75)] = level
    return _noisy(scan.white * values, scan.white), scan.affine


def upside_down(scan) -> tuple[np.ndarray, np.ndarray]:
    """The head turned by 180 degrees about the left-right axis; the header does not know."""
    axes = tuple(int(np.abs(scan.affine[world, :3]).argmax()) for world in (1, 2))
    return np.ascontiguousarray(np.flip(scan.volume, axes)), scan.affine


def back_to_front(scan) -> tuple[np.ndarray, np.ndarray]:
    """The head turned by 180 degrees about the vertical axis; the header does not know."""
    axes = tuple(int(np.abs(scan.affine[world, :3]).argmax()) for world in (0, 1))
    return np.ascontiguousarray(np.flip(scan.volume, axes)), scan.affine


def _middle(scan, world_axis: int) -> float:
    return float(world_axes(scan.volume.shape, scan.affine)[world_axis][scan.brain].mean())


def lower_half(scan) -> tuple[np.ndarray, np.ndarray]:
    """The field of view ends above the middle of the brain."""
    return cut_field_of_view(scan.volume, scan.affine, world_axis=2, above=_middle(scan, 2))


def upper_half(scan) -> tuple[np.ndarray, np.ndarray]:
    """The field of view ends below the middle of the brain."""
    return cut_field_of_view(scan.volume, scan.affine, world_axis=2, below=_middle(scan, 2))


def left_half(scan) -> tuple[np.ndarray, np.ndarray]:
    """The field of view ends at the middle of the brain."""
    return cut_field_of_view(scan.volume, scan.affine, world_axis=0, above=_middle(scan, 0))


def padded_upper_half(scan) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`upper_half`, filled with zeros to the former field of view."""
    z = world_axes(scan.volume.shape, scan.affine)[2]
    return np.where(z > _middle(scan, 2), scan.volume, 0).astype(np.float32), scan.affine


def stripped_hemisphere(scan) -> tuple[np.ndarray, np.ndarray]:
    """Half of a skull-stripped brain."""
    x = world_axes(scan.volume.shape, scan.affine)[0]
    kept = scan.brain & (x < _middle(scan, 0))
    return np.where(kept, scan.volume, 0).astype(np.float32), scan.affine


def small_head_without_face(scan) -> tuple[np.ndarray, np.ndarray]:
    """A child's head in black air, cut from nose to nape: no larger than a stripped brain."""
    affine = scan.affine.copy()
    affine[:3, :3] *= 0.93
    y, z = world_axes(scan.volume.shape, affine)[1:]
    height = z - 0.35 * y
    kept = round(1.85e6 / abs(np.linalg.det(affine[:3, :3])))
    lowest = np.sort(height[scan.head])[-kept]
    shown = scan.head & (height >= lowest)
    return np.where(shown, scan.volume, 0).astype(np.float32), affine


def noise(scan) -> tuple[np.ndarray, np.ndarray]:
    """Nothing but Rayleigh noise."""
    return _noisy(np.zeros(scan.volume.shape), scan.white * 5), scan.affine


def noisy_head_shape(scan) -> tuple[np.ndarray, np.ndarray]:
    """The head's outline, filled with noise."""
    filled = np.random.default_rng(2).uniform(0.5, 1.5, scan.volume.shape) * scan.head
    return _noisy(scan.white * filled, scan.white), scan.affine


def _noisy(signal: np.ndarray, white: float) -> np.ndarray:
    real, imaginary = 0.03 * white * np.random.default_rng(1).standard_normal((2, *signal.shape))
    return np.hypot(signal + real, imaginary).astype(np.float32)


WRONG = {
    function.__name__: function
    for function in (
        abdomen, upside_down, back_to_front, lower_half, upper_half, left_half, padded_upper_half,
        stripped_hemisphere, small_head_without_face, noise, noisy_head_shape,
    )
}  # fmt: skip
