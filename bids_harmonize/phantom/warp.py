"""Random diffeomorphisms: a smooth velocity field, integrated by scaling and squaring.

References
----------
Arsigny V et al. (2006). A log-Euclidean framework for statistics on diffeomorphisms.
doi:10.1007/11866565_113
"""

import numpy as np
from scipy import ndimage

N_SQUARINGS = 6


def integrate_velocity(velocity_mm: np.ndarray, *, voxel_mm: float) -> np.ndarray:
    """Displacement after unit time along a stationary velocity field.

    Parameters
    ----------
    velocity_mm
        Shape ``(3, I, J, K)``, mm.
    voxel_mm
        Lattice spacing, mm.

    Returns
    -------
    numpy.ndarray
        Displacement ``(3, I, J, K)`` in mm: ``x -> x + displacement(x)`` is invertible as long as
        the velocity is smooth over a few lattice points.
    """
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in velocity_mm.shape[1:]], indexing="ij"))
    displacement = velocity_mm / voxel_mm / 2**N_SQUARINGS
    for _ in range(N_SQUARINGS):
        at = grid + displacement
        displacement = displacement + np.stack(
            [ndimage.map_coordinates(part, at, order=1, mode="nearest") for part in displacement]
        )
    return (displacement * voxel_mm).astype(np.float32)


def jacobian_determinant(displacement_mm: np.ndarray, *, voxel_mm: float) -> np.ndarray:
    """Local volume change of ``x -> x + displacement(x)``; above 0 everywhere if invertible.

    Parameters
    ----------
    displacement_mm
        Shape ``(3, I, J, K)``, mm.
    voxel_mm
        Lattice spacing, mm.

    Returns
    -------
    numpy.ndarray
        Shape ``(I, J, K)``, no unit.
    """
    gradient = np.stack(
        [np.stack(np.gradient(part, voxel_mm), axis=-1) for part in displacement_mm], axis=-2
    )
    return np.linalg.det(gradient + np.eye(3))
