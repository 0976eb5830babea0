"""Reordering of axes; no voxel value changes here."""

import nibabel as nb
import numpy as np

from bids_harmonize.imaging.types import Affine, Array


def axis_codes(affine: Affine) -> str:
    """Where the axes I, J, K point to, as three letters.

    Parameters
    ----------
    affine
        4x4 voxel-to-world matrix, mm, RAS+.

    Returns
    -------
    str
        One of L/R, P/A, I/S an axis, for the nearest anatomical direction.

    Examples
    --------
    >>> axis_codes(np.diag([-1.0, 1.0, 1.0, 1.0]))
    'LAS'
    """
    return "".join(str(code) for code in nb.orientations.aff2axcodes(affine))


def to_ras(volume: Array, affine: Affine) -> tuple[Array, Affine]:
    """Volume with its axes flipped and permuted so that I, J, K point right, front, up.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), any type.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.

    Returns
    -------
    volume
        The same voxels in the new order; an oblique volume stays oblique.
    affine
        4x4 matrix under which every voxel keeps its place in the world.

    Examples
    --------
    >>> volume, affine = to_ras(np.arange(8.0).reshape(2, 2, 2), np.diag([-1.0, 1.0, 1.0, 1.0]))
    >>> axis_codes(affine), volume[0, 0, 0]
    ('RAS', np.float64(4.0))
    """
    order = nb.orientations.io_orientation(affine)
    moved = np.ascontiguousarray(nb.orientations.apply_orientation(volume, order))
    return moved, affine @ nb.orientations.inv_ornt_aff(order, volume.shape)
