"""NIfTI images in and out, with clear words for every way in which a file can be broken."""

import gzip
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nb
import numpy as np
from numpy.typing import DTypeLike, NDArray

from bids_harmonize.bids.files import replacing, write_json
from bids_harmonize.bids.nifti import open_nifti, read_voxels
from bids_harmonize.bids.placement import AffineSource, place_image
from bids_harmonize.errors import ScanError

__all__ = [
    "StoredImage",
    "is_finite",
    "read_grid",
    "read_image",
    "read_mask",
    "read_stored",
    "write_image",
    "write_json",
]

LOGGER = logging.getLogger(__name__)

_NOTHING = "expected an image of a head: convert it again, or leave the scan out"


def read_image(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The volume of a NIfTI file and where it lies.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``; axes beyond the third are dropped where their length is 1.

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
    stored = read_stored(path)
    for flag in stored.flags:
        LOGGER.warning("%s: %s", path, flag)
    if not is_finite(stored.volume):
        finite = np.isfinite(stored.volume)
        LOGGER.warning("%s: %d voxels are not finite; set to 0", path, int((~finite).sum()))
        stored.volume[~finite] = 0
    return stored.volume, stored.affine


@dataclass(frozen=True, eq=False)
class StoredImage:
    """What a file holds, before anything is done about odd voxels.

    Parameters
    ----------
    volume
        Shape (I, J, K), float32, scaled as the header says; not all of one value.
    affine
        4x4, voxel to world, mm, RAS+.
    affine_source
        ``sform``, ``qform`` or ``none`` (a guess), see ``placement``.
    dtype
        Name of the type of the voxels in the file.
    flags
        What is odd about file and header, in words.
    """

    volume: NDArray[np.float32]
    affine: NDArray[np.float64]
    affine_source: AffineSource
    dtype: str
    flags: tuple[str, ...]


def read_stored(path: Path) -> StoredImage:
    """The voxels of a NIfTI file as they are, NaN included; raises as :func:`read_image`."""
    file = open_nifti(path)
    _check_shape(file.shape, path)
    placement = place_image(file)
    volume, extra = read_voxels(file)
    flags = [*file.flags, *placement.flags]
    if extra:
        flags.append(f"{extra} bytes follow the voxels that the header claims; left out")
    _check_contrast(volume, path)
    return StoredImage(volume, placement.affine, placement.source, file.dtype.name, tuple(flags))


def is_finite(volume: NDArray[np.float32]) -> bool:
    """Whether no voxel is NaN or infinite; makes no copy."""
    return bool(np.isfinite(volume.min()) and np.isfinite(volume.max()))


def read_mask(path: Path) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """The mask in a NIfTI file (voxels above 0) and its affine; raises ScanError as above."""
    volume, affine = read_image(path)
    return volume > 0, affine


def read_grid(path: Path) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Shape and affine from the header alone; raises ScanError as :func:`read_image`."""
    file = open_nifti(path)
    _check_shape(file.shape, path)
    i, j, k = file.shape[:3]
    return (i, j, k), place_image(file).affine


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


def _check_shape(shape: tuple[int, ...], path: Path) -> None:
    size = " x ".join(str(length) for length in shape)
    if len(shape) > 3 and max(shape[3:]) > 1:
        n_volumes = math.prod(shape[3:])
        message = (
            f"{path}: {size} holds {n_volumes} volumes, expected one; extract or average them"
        )
        raise ScanError(message)
    if len(shape) < 3 or min(shape[:3]) < 2:
        message = f"{path}: {size} is no 3D volume; expected three axes of 2 voxels or more"
        raise ScanError(message)


def _check_contrast(volume: NDArray[np.float32], path: Path) -> None:
    """Refuse a volume without two different finite values."""
    low, high = volume.min(), volume.max()
    if not is_finite(volume):
        finite = volume[np.isfinite(volume)]
        if finite.size == 0:
            message = f"{path}: no voxel has a finite value; {_NOTHING}"
            raise ScanError(message)
        low, high = finite.min(), finite.max()
    if low == high:
        message = f"{path}: all voxels have the same value, {low:g}; {_NOTHING}"
        raise ScanError(message)
