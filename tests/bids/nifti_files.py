"""NIfTI files written field by field, so that a test can make any of them lie."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nb
import numpy as np

SIZE_MM = 5.0


def affine_of(size_mm: float = SIZE_MM, flips: tuple[int, int, int] = (1, 1, 1)) -> np.ndarray:
    """Straight, with the world's origin somewhere inside."""
    affine = np.diag([*(size_mm * np.array(flips, dtype=float)), 1.0])
    affine[:3, 3] = -40.0 * np.array(flips)
    return affine


def head_like(shape: tuple[int, ...] = (20, 22, 24), dtype: Any = np.float32) -> np.ndarray:
    """0 outside, 1 to 120 inside a ball, different everywhere."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape[:3]], indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.5
    values = np.where(inside, 1 + np.arange(inside.size).reshape(inside.shape) % 120, 0)
    return values.reshape(shape).astype(dtype)


def make_header(
    data: np.ndarray,
    *,
    sform: np.ndarray | None = None,
    qform: np.ndarray | None = None,
    order: str = "<",
    **fields: Any,
) -> nb.Nifti1Header:
    """A header; ``fields`` are written last, whatever they say.

    Without sform and qform both are :func:`affine_of`.
    """
    header = nb.Nifti1Header(endianness=order)
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    both = sform is None and qform is None
    if qform is not None or both:
        header.set_qform(affine_of() if both else qform, code=1)
    else:
        header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    if sform is not None or both:
        header.set_sform(affine_of() if both else sform, code=1)
    header["vox_offset"] = 352
    for name, value in fields.items():
        header[name] = value
    return header


def write_nifti(path: Path, data: np.ndarray, *, order: str = "<", **fields: Any) -> Path:
    """A NIfTI-1 file with the header of :func:`make_header`."""
    header = make_header(data, order=order, **fields)
    voxels = data.astype(data.dtype.newbyteorder(order)).tobytes(order="F")
    content = header.binaryblock + bytes(4) + voxels
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path
