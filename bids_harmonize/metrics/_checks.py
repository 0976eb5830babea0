"""What every voxel-wise metric demands of its input, and the part of it that counts."""

import numpy as np


def check_pair(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> None:
    """Refuse volumes of other shapes than the mask, an empty mask, and non-finite voxels in it."""
    if not image.shape == target.shape == mask.shape:
        message = (
            f"image, target and mask must have one shape; found {image.shape}, "
            f"{target.shape}, {mask.shape}"
        )
        raise ValueError(message)
    check_mask(mask)
    if not (np.isfinite(image[mask]).all() and np.isfinite(target[mask]).all()):
        message = "a voxel inside the mask is not finite; no metric can be computed from it"
        raise ValueError(message)


def check_mask(mask: np.ndarray) -> None:
    """Refuse a mask that is not boolean, or in which no voxel counts."""
    if mask.dtype != np.bool_:
        message = f"the mask must be boolean, found {mask.dtype}"
        raise ValueError(message)
    if not mask.any():
        message = "the mask is empty: no voxel is left to compare"
        raise ValueError(message)


def bounding_box(mask: np.ndarray, *, margin_voxels: int = 0) -> tuple[slice, ...]:
    """Smallest box around the mask, wider by a margin where the array allows it."""
    filled = [np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1))]
    return tuple(
        slice(max(int(index[0]) - margin_voxels, 0), int(index[-1]) + 1 + margin_voxels)
        for index in filled
    )
