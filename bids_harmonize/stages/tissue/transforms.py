"""The way from a scan to the template, as the participant level wrote it."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging._itk import affine_of, field_from_itk, from_itk_transform
from bids_harmonize.imaging.deformation import points_in_template
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.types import Array

_N_PARTS = 2  # the affine and the displacements


def read_template_points(path: Path, points: Array) -> Array:
    """Template points that belong to points of the scan.

    Parameters
    ----------
    path
        ITK composite of an affine and a displacement field, as the participant level writes it.
    points
        Array (3, n), mm, the scan's world, RAS+.

    Returns
    -------
    ndarray
        float32 (3, n), mm, the template's world.

    Raises
    ------
    ScanError
        If the file cannot be read or holds no deformation.
    """
    try:
        transform = sitk.ReadTransform(str(path))
        composite = sitk.CompositeTransform(transform)
        n_parts = composite.GetNumberOfTransforms()
        if n_parts == _N_PARTS:
            affine = from_itk_transform(composite.GetNthTransform(0))
            field = sitk.DisplacementFieldTransform(composite.GetNthTransform(1))
            image = field.GetDisplacementField()
    except RuntimeError as error:
        message = f"{path}: no transform that ITK can read: {str(error).strip().splitlines()[-1]}"
        raise ScanError(message) from None
    if n_parts != _N_PARTS:
        message = (
            f"{path}: {n_parts} transforms, expected an affine and a displacement field; run "
            "participant again without --no-tissue"
        )
        raise ScanError(message)
    displacement = field_from_itk(image).astype(np.float32)
    i, j, k = displacement.shape[:3]
    grid = Grid(shape=(i, j, k), affine=affine_of(image))
    return points_in_template(points, affine, displacement, grid)
