"""A small synthetic head with a known place, and its description in any orientation."""

import numpy as np

ORIENTATIONS = {
    "RAS": np.diag([1.0, 1.0, 1.0]),
    "LAS": np.diag([-1.0, 1.0, 1.0]),
    "LPS": np.diag([-1.0, -1.0, 1.0]),
    "PSR": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    "PIR": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
}


def oblique(degrees: float = 17.0) -> np.ndarray:
    """Rotation about an axis that is no axis of the grid."""
    axis = np.array([1.0, 0.5, -0.3])
    axis /= np.linalg.norm(axis)
    cross = np.array(
        [[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]], dtype=float
    )
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def head_at(points: np.ndarray) -> np.ndarray:
    """Intensity of the head at world points (3, ...), mm; smooth, with a bright left eye.

    Centre (5, -10, 20) mm; half axes 70, 90, 85 mm; soft surface; the blob at the left front tells
    left from right.
    """
    x, y, z = (points[axis] - centre for axis, centre in enumerate((5.0, -10.0, 20.0)))
    radius = np.sqrt((x / 70) ** 2 + (y / 90) ** 2 + (z / 85) ** 2)
    body = 100 / (1 + np.exp((radius - 1) * 25))
    eye = 120 * np.exp(-((x + 35) ** 2 + (y - 55) ** 2 + z**2) / (2 * 9.0**2))
    return (body + eye).astype(np.float32)


def make_scan(
    directions: np.ndarray,
    *,
    size_mm: float | tuple[float, float, float] = 4.0,
    length_mm: float = 216.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Volume and affine of the head on a cube of space with the given axis directions.

    ``size_mm`` is that of the stored axes I, J, K.
    """
    sizes = np.broadcast_to(np.array(size_mm), 3)
    shape = tuple(int(n) for n in np.round(length_mm / sizes))
    affine = np.eye(4)
    affine[:3, :3] = directions * sizes
    middle = (np.array(shape) - 1) / 2
    affine[:3, 3] = np.array([5.0, -10.0, 20.0]) - affine[:3, :3] @ middle
    return head_at(world_points(shape, affine)), affine


def world_points(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """World coordinates (3, I, J, K) of every voxel."""
    voxels = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    return np.tensordot(affine[:3, :3], voxels, axes=1) + affine[:3, 3].reshape(3, 1, 1, 1)
