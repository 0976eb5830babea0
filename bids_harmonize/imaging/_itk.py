"""Bridge between our arrays and SimpleITK; the only place that knows ITK's axis and world order.

ITK stores arrays as (K, J, I) and measures the world in LPS; we use (I, J, K) and RAS+. Both
conversions happen here and nowhere else, so that a flip can only be wrong in one file.
"""

import numpy as np
import SimpleITK as sitk

from bids_harmonize.imaging.types import Affine, Array

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

TINY = 1e-30
"""Entries of a direction below this are 0: ITK's inversion fails on them, without an error."""


def to_itk(volume: Array, affine: Affine) -> sitk.Image:
    """SimpleITK image with the voxels and the place of a volume (masks become uint8)."""
    data = volume.astype(np.uint8) if volume.dtype == np.bool_ else volume
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    origin, spacing, direction = geometry(affine)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    return image


def from_itk(image: sitk.Image) -> Array:
    """Array (I, J, K) with the voxels of a SimpleITK image."""
    return np.ascontiguousarray(sitk.GetArrayViewFromImage(image).transpose(2, 1, 0))


def geometry(affine: Affine) -> tuple[list[float], list[float], list[float]]:
    """Origin, spacing and direction (row by row) of an affine, in ITK's LPS world."""
    lps = _RAS_TO_LPS @ affine
    spacing = np.sqrt((lps[:3, :3] ** 2).sum(axis=0))
    direction = lps[:3, :3] / spacing
    direction[np.abs(direction) < TINY] = 0.0
    return lps[:3, 3].tolist(), spacing.tolist(), direction.ravel().tolist()


def affine_of(image: sitk.Image) -> Affine:
    """4x4 voxel-to-world matrix, mm, RAS+, of a SimpleITK image."""
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return _RAS_TO_LPS @ lps


def to_itk_transform(matrix: Affine) -> sitk.AffineTransform:
    """ITK's point transform (LPS) of a 4x4 matrix in RAS+."""
    lps = _RAS_TO_LPS @ matrix @ _RAS_TO_LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def from_itk_transform(transform: sitk.Transform) -> Affine:
    """4x4 matrix in RAS+ of a linear ITK transform, whatever its centre.

    Read off from where the transform sends the origin and the three unit vectors, so that every
    linear kind of transform is served alike.
    """
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    lps = np.eye(4)
    lps[:3, 3] = origin
    for axis in range(3):
        lps[:3, axis] = np.array(transform.TransformPoint(np.eye(3)[axis].tolist())) - origin
    return _RAS_TO_LPS @ lps @ _RAS_TO_LPS


def field_from_itk(image: sitk.Image) -> Array:
    """Displacements (I, J, K, 3), mm, RAS+, of a SimpleITK displacement field (LPS)."""
    lps = sitk.GetArrayViewFromImage(image).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(lps * np.array([-1.0, -1.0, 1.0]))


def field_to_itk(displacement_mm: Array, affine: Affine) -> sitk.Image:
    """SimpleITK displacement field (LPS, 64 bits) of displacements (I, J, K, 3), mm, RAS+."""
    lps = displacement_mm.astype(np.float64) * np.array([-1.0, -1.0, 1.0])
    image = sitk.GetImageFromArray(np.ascontiguousarray(lps.transpose(2, 1, 0, 3)), isVector=True)
    origin, spacing, direction = geometry(affine)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    return image
