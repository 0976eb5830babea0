"""Threshold-free cluster enhancement: height and extent in one number a voxel."""

from typing import Final

import numpy as np
from scipy import ndimage

EXTENT: Final = 0.5
HEIGHT: Final = 2.0
STEP: Final = 0.1
"""Powers and step of t that Smith and Nichols recommend in volumes."""


def enhance(scores: np.ndarray) -> np.ndarray:
    """How much every voxel stands out, alone and with its neighbours.

    The sum over thresholds h below the score of extent**0.5 * h**2 * 0.1, where the extent is
    that of the voxel's cluster above h (neighbours share a face). Clusters below 0 are enhanced
    likewise, with a minus.

    Parameters
    ----------
    scores
        Shape (I, J, K): values of t, 0 outside the voxels that are tested.

    Returns
    -------
    ndarray
        Float64, same shape.

    References
    ----------
    Smith and Nichols 2009, doi:10.1016/j.neuroimage.2008.03.061

    Examples
    --------
    >>> float(enhance(np.full((1, 1, 4), 0.15)).round(6)[0, 0, 0])  # 4**0.5 * 0.1**2 * 0.1
    0.002
    """
    enhanced = np.zeros(scores.shape)
    labels = np.empty(scores.shape, dtype=np.int32)
    for sign in (1.0, -1.0):
        own = scores * sign
        for height in np.arange(1, int(own.max() / STEP) + 1) * STEP:
            ndimage.label(own >= height, output=labels)
            extent = np.bincount(labels.ravel()).astype(np.float64)
            extent[0] = 0.0
            enhanced += (extent**EXTENT * (sign * height**HEIGHT * STEP))[labels]
    return enhanced
