"""Volume of a tissue in each region of the template."""

from collections.abc import Iterable

import numpy as np

from bids_harmonize.imaging.geometry import invert
from bids_harmonize.imaging.types import Affine, Array, Volume


def volume_by_region(
    share: Volume,
    points: Array,
    *,
    voxel_ml: float,
    regions: Array,
    affine: Affine,
    labels: Iterable[int],
) -> dict[int, float]:
    """Volume of a tissue in each region, in the scan's own space.

    Choice: every voxel of the scan asks the template where it lies. Reason: the volume is the
    scan's own, no Jacobian is needed, and the regions sum to the whole. Rejected: shares brought
    to the template and multiplied by the Jacobian (two interpolations more).

    Parameters
    ----------
    share
        float32 (n,): share of the tissue in each voxel, 0 to 1.
    points
        Array (3, n), mm, RAS+: where the voxels lie in the template.
    voxel_ml
        Volume of a voxel, mL.
    regions
        Integer array (I, J, K): the template's regions; a point beyond its edge belongs to the
        nearest voxel.
    affine
        4x4 voxel-to-world matrix of ``regions``, mm, RAS+.
    labels
        The regions that are wanted.

    Returns
    -------
    dict
        Label to volume, mL; 0 where there is nothing.
    """
    matrix = invert(affine)
    voxels = np.rint(matrix[:3, :3] @ points + matrix[:3, 3:]).astype(np.intp)
    last = np.array(regions.shape)[:, None] - 1
    found = regions[tuple(np.clip(voxels, 0, last))]
    sums = np.bincount(found, weights=share, minlength=int(regions.max()) + 1)
    return {label: float(sums[label]) * voxel_ml for label in labels}
