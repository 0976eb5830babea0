"""NIfTI images in and out, with clear words for every way in which a file can be broken."""

import gzip
import logging
import math
import zlib
from pathlib import Path
from typing import Any

import nibabel as nb
import numpy as np
from numpy.typing import DTypeLike, NDArray

from bids_harmonize.bids.files import replacing, write_json
from bids_harmonize.errors import ScanError

__all__ = ["read_grid", "read_image", "read_mask", "write_image", "write_json"]

LOGGER = logging.getLogger(__name__)

VOXEL_SIZES_MM = (0.1, 20.0)
"""Sizes that a header can claim and be believed."""

SIZE_TOLERANCE = 0.05
"""Relative difference allowed between the voxel sizes that one header states twice."""


def read_image(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The volume of a NIfTI file and where it lies.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``; a fourth axis of length 1 is dropped.

    Returns
    -------
    volume
        Shape (I, J, K), float32, native units; voxels that are not finite are 0.
    affine
        4x4, voxel to world, mm, RAS+.

    Raises
    ------
    ScanError
        If the file is absent or truncated, the image is not one 3D volume, its header
        contradicts itself, or its voxels hold nothing.
    """
    image = _open(path)
    _check_shape(image.shape, path)
    affine = _checked_affine(image, path)
    kind = image.get_data_dtype().kind
    if kind not in "iufb":
        message = f"{path}: voxels of type {image.get_data_dtype()} are not plain numbers"
        raise ScanError(message)
    try:
        if path.name.endswith(".gz"):  # all of it, so that the checksum at the end is checked
            image = type(image).from_bytes(gzip.decompress(path.read_bytes()))
        data = np.asarray(image.dataobj, dtype=np.float32)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        message = f"{path}: the file is truncated or damaged: {error}; copy or convert it again"
        raise ScanError(message) from None
    data = data.reshape(image.shape[:3])
    finite = np.isfinite(data)
    if not finite.any():
        message = f"{path}: no voxel has a finite value"
        raise ScanError(message)
    if not finite.all():
        LOGGER.warning("%s: %d voxels are not finite; set to 0", path, int((~finite).sum()))
        data = np.where(finite, data, np.float32(0))
    if data.min() == data.max():
        message = f"{path}: all voxels have the same value, {data.flat[0]:g}"
        raise ScanError(message)
    return data, affine


def read_mask(path: Path) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """The mask in a NIfTI file (voxels above 0) and its affine; raises ScanError as above."""
    volume, affine = read_image(path)
    return volume > 0, affine


def read_grid(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine from the header alone; raises ScanError as :func:`read_image`."""
    image = _open(path)
    _check_shape(image.shape, path)
    shape = tuple(int(length) for length in image.shape[:3])
    return (shape[0], shape[1], shape[2]), _checked_affine(image, path)


def write_image(
    path: Path,
    volume: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    dtype: DTypeLike = np.float32,
) -> None:
    """Write a NIfTI file in one go; equal input gives an equal file, byte for byte.

    Parameters
    ----------
    path
        Ends with ``.nii.gz`` or ``.nii``.
    volume
        Shape (I, J, K); values must fit ``dtype``, nothing is scaled.
    affine
        4x4, voxel to world, mm, RAS+; goes into qform and sform (code 1, scanner).
    dtype
        Type on disk: float32 for images, uint8 for masks.

    Raises
    ------
    OutputError
        If it cannot be written.
    StorageError
        If the disk is full or fails.
    """
    image = nb.Nifti1Image(np.asarray(volume).astype(dtype), affine)
    image.header.set_data_dtype(dtype)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(1, 0)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    content = image.to_bytes()
    if path.name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=5, mtime=0)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _open(path: Path) -> Any:
    if not path.exists():
        reason = "a broken link (get the file's content first)" if path.is_symlink() else "absent"
        message = f"{path}: the image is {reason}"
        raise ScanError(message)
    try:
        image = nb.load(path)
    except (OSError, EOFError, ValueError, zlib.error, nb.filebasedimages.ImageFileError) as error:
        message = f"{path}: no readable NIfTI file ({error}); copy or convert it again"
        raise ScanError(message) from None
    if not isinstance(image, nb.Nifti1Image):
        message = f"{path}: found {type(image).__name__}, expected NIfTI"
        raise ScanError(message)
    return image


def _check_shape(shape: tuple[int, ...], path: Path) -> None:
    size = " x ".join(str(length) for length in shape)
    if len(shape) > 3 and max(shape[3:]) > 1:
        n_volumes = math.prod(shape[3:])
        message = (
            f"{path}: {size} holds {n_volumes} volumes, expected one; extract or average them"
        )
        raise ScanError(message)
    if len(shape) < 3 or min(shape[:3]) < 2:
        message = f"{path}: {size} is no 3D volume"
        raise ScanError(message)


def _checked_affine(image: Any, path: Path) -> NDArray[np.float64]:
    affine = np.asarray(image.affine, dtype=np.float64)
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    low, high = VOXEL_SIZES_MM
    if not np.isfinite(affine).all() or not ((sizes > low) & (sizes < high)).all():
        message = (
            f"{path}: the header lies: voxel size {_format(sizes)} mm, "
            f"expected between {low:g} and {high:g} mm"
        )
        raise ScanError(message)
    if abs(np.linalg.det(affine[:3, :3])) < 1e-3 * np.prod(sizes):
        message = f"{path}: the header lies: two axes of the affine are parallel"
        raise ScanError(message)
    stated = np.asarray(image.header.get_zooms()[:3], dtype=np.float64)
    if not np.allclose(stated, sizes, rtol=SIZE_TOLERANCE):
        message = (
            f"{path}: the header lies: voxel size {_format(stated)} mm in pixdim, "
            f"{_format(sizes)} mm in the affine; convert the image again"
        )
        raise ScanError(message)
    if int(image.header["sform_code"]) == 0 and int(image.header["qform_code"]) == 0:
        LOGGER.warning("%s: the header states no orientation; left and right are a guess", path)
    return affine


def _format(sizes: NDArray[np.float64]) -> str:
    return " x ".join(f"{size:.3g}" for size in sizes)
