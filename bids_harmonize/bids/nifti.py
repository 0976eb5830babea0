"""The bytes of a NIfTI file: header and voxels, read in one pass and held against each other.

Choice: a stream of our own under nibabel's header classes. Reason: nibabel goes by the file's
name, decompresses without looking at the checksum, and allocates what a header claims. Rejected:
``nibabel.load`` with its errors caught (a header that claims 30,000 slices ends in a
MemoryError). Revisit when nibabel reads whole files this way.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import IO, Any

import nibabel as nb
import numpy as np
from numpy.typing import NDArray

from bids_harmonize.errors import ScanError

_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = 540  # of NIfTI-2, the longer one
_MAX_DEFLATE_RATIO = 1100  # deflate cannot do better than 1032
_SLAB_BYTES = 2**21


@dataclass(frozen=True, eq=False)
class NiftiFile:
    """A file whose header could be read.

    Parameters
    ----------
    path
        The file.
    header
        nibabel's view of it, as stored.
    compressed
        Its bytes are gzip, whatever its name says.
    """

    path: Path
    header: Any
    compressed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of all axes, as the header claims."""
        return tuple(int(length) for length in self.header.get_data_shape())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels as stored, byte order included."""
        return self.header.get_data_dtype()

    @property
    def offset(self) -> int:
        """Byte at which the voxels begin."""
        least = int(self.header.sizeof_hdr) + 4
        stated = float(self.header["vox_offset"])
        return int(stated) if stated > least else least

    @property
    def scaling(self) -> tuple[float, float] | None:
        """Slope and intercept; ``None`` where they change nothing, or the slope is 0 or NaN."""
        slope, intercept = (float(self.header[key]) for key in ("scl_slope", "scl_inter"))
        if slope == 0 or not math.isfinite(slope):
            return None
        intercept = intercept if math.isfinite(intercept) else 0.0
        return None if (slope, intercept) == (1.0, 0.0) else (slope, intercept)

    @property
    def flags(self) -> tuple[str, ...]:
        """What is odd about the file itself, in words."""
        flags = []
        if self.compressed != self.path.name.endswith(".gz"):
            found = "compressed" if self.compressed else "not compressed"
            flags.append(f"the file is {found} although its name says otherwise")
        slope = float(self.header["scl_slope"])
        if (
            slope != 0
            and math.isfinite(slope)
            and not math.isfinite(float(self.header["scl_inter"]))
        ):
            flags.append("the intercept in the header is not finite and was taken as 0")
        return tuple(flags)


def open_nifti(path: Path) -> NiftiFile:
    """Read the header of a NIfTI-1 or NIfTI-2 file.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``; what counts is what the bytes are.

    Returns
    -------
    NiftiFile
        Its axes have positive lengths and its voxels are plain numbers.

    Raises
    ------
    ScanError
        If there is no such file, or it is no NIfTI file that can be used.
    """
    _check_presence(path)
    with _stream(path) as (stream, compressed):
        try:
            content = stream.read(_HEADER_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            message = f"{path}: no readable NIfTI file ({error}); copy or convert it again"
            raise ScanError(message) from None
    file = NiftiFile(path, _parse_header(content, path), compressed)
    _check_type(file)
    lengths = _lengths(file)
    if not lengths or min(lengths) < 1:
        message = (
            f"{path}: the header lies: found the shape {_by(lengths)},"
            " expected positive lengths; convert the image again"
        )
        raise ScanError(message)
    return file


def read_voxels(file: NiftiFile) -> tuple[NDArray[np.float32], int]:
    """All voxels of a file that holds one volume, scaled as its header says.

    Parameters
    ----------
    file
        From :func:`open_nifti`; axes beyond the third must have length 1.

    Returns
    -------
    volume
        Shape (I, J, K), float32, in the file's order in memory.
    extra
        Bytes that follow the voxels and that the header does not explain.

    Raises
    ------
    ScanError
        If the file holds fewer voxels than its header claims, or is damaged; the checksum of a
        compressed file is checked.
    """
    i, j, k = file.shape[:3]
    n_bytes = file.offset + i * j * k * file.dtype.itemsize
    on_disk = file.path.stat().st_size
    if n_bytes > on_disk * (_MAX_DEFLATE_RATIO if file.compressed else 1):
        raise _too_short(file, f"{on_disk} bytes{' compressed' if file.compressed else ''}")
    volume = np.empty((i, j, k), np.float32, order="F")
    slice_bytes = i * j * file.dtype.itemsize
    step = max(1, _SLAB_BYTES // slice_bytes)
    first, extra = 0, 0
    with _stream(file.path) as (stream, _):
        try:
            stream.seek(file.offset)
            for first in range(0, k, step):
                n_slices = min(step, k - first)
                content = stream.read(n_slices * slice_bytes)
                if len(content) < n_slices * slice_bytes:
                    whole = first + len(content) // slice_bytes
                    raise _too_short(file, f"voxels for {whole} slices of {i} x {j}")
                stored = np.frombuffer(content, file.dtype).reshape((i, j, n_slices), order="F")
                volume[:, :, first : first + n_slices] = _scaled(stored, file.scaling)
            while content := stream.read(_SLAB_BYTES):
                extra += len(content)
        except (OSError, EOFError, zlib.error) as error:
            message = (
                f"{file.path}: the file is truncated or damaged after {first} of {k} slices:"
                f" {error}; copy or convert it again"
            )
            raise ScanError(message) from None
    return volume, extra


def _scaled(stored: NDArray[Any], scaling: tuple[float, float] | None) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        if scaling is None:
            return stored.astype(np.float32)
        slope, intercept = scaling
        return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def _too_short(file: NiftiFile, found: str) -> ScanError:
    return ScanError(
        f"{file.path}: the file is truncated or damaged, or the header lies about the shape:"
        f" found {found}, expected {_by(file.shape)} voxels of {file.dtype.name};"
        " copy or convert it again"
    )


def _check_presence(path: Path) -> None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        reason = "a broken link (get the file's content first)" if path.is_symlink() else "absent"
        message = f"{path}: the image is {reason}"
        raise ScanError(message) from None
    except OSError as error:
        message = f"{path}: the image cannot be reached: {error.strerror}; check its permissions"
        raise ScanError(message) from None
    is_folder = S_ISDIR(status.st_mode)
    if is_folder or status.st_size == 0:
        reason = "a folder" if is_folder else "empty (0 bytes)"
        message = f"{path}: no readable NIfTI file (it is {reason}); copy or convert it again"
        raise ScanError(message)


@contextmanager
def _stream(path: Path) -> Iterator[tuple[IO[bytes], bool]]:
    """The bytes of a file, decompressed where they are gzip."""
    try:
        file = path.open("rb")
    except OSError as error:
        message = f"{path}: the image cannot be opened: {error.strerror}; check its permissions"
        raise ScanError(message) from None
    with file:
        compressed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not compressed:
            yield file, False
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream, True  # type: ignore[misc]


def _parse_header(content: bytes, path: Path) -> Any:
    for order in ("little", "big"):
        size = int.from_bytes(content[:4], order)
        if size == 348 and content[344:347] == b"n+1":
            return nb.Nifti1Header(content[:348], endianness=order, check=False)
        if size == 540 and content[4:7] == b"n+2" and len(content) == _HEADER_BYTES:
            return nb.Nifti2Header(content, endianness=order, check=False)
        if size == 348 and len(content) >= 348:
            message = (
                f"{path}: found an Analyze header or one of a pair of files, expected NIfTI in"
                " one file; convert it again"
            )
            raise ScanError(message)
    message = f"{path}: no readable NIfTI file (its header is none); copy or convert it again"
    raise ScanError(message)


def _check_type(file: NiftiFile) -> None:
    code = int(file.header["datatype"])
    try:
        dtype = file.dtype
    except (KeyError, nb.spatialimages.HeaderDataError):
        dtype = None
    if dtype is None or dtype.kind not in "iuf" or dtype.itemsize == 0:
        name = f"unknown code {code}" if dtype is None else nb.nifti1.data_type_codes.label[code]
        message = (
            f"{file.path}: voxels of type {name} are not plain numbers; expected integers or"
            " floats: take the magnitude of complex images, convert colour pictures again"
        )
        raise ScanError(message)


def _lengths(file: NiftiFile) -> tuple[int, ...]:
    """The header's shape, once it is sure that shape and offset are numbers at all."""
    try:
        _ = file.offset
        return file.shape
    except (OverflowError, ValueError, nb.spatialimages.HeaderDataError) as error:
        message = f"{file.path}: the header lies: {error}; convert the image again"
        raise ScanError(message) from None


def _by(lengths: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in lengths)
