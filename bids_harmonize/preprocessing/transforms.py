"""Transform files that ITK, ANTs and 3D Slicer read.

Choice: the composite is laid out by h5py, as ITK would lay it out. Reason: ITK's own writer puts
the time of day and the system's kernel into the file, so that no two files are equal, and does
not compress; ours has neither, and the displacements take a third of the room. Rejected: patching
the times in ITK's file (the checksums of its headers would have to be made anew). Revisit if
SimpleITK learns to write without times.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bids_harmonize.bids.files import replacing, write_text
from bids_harmonize.imaging._itk import geometry, to_itk_transform
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.types import Affine, Array

IDENTITY_TEXT = """\
#Insight Transform File V1.0
#Transform 0
Transform: AffineTransform_double_3_3
Parameters: 1 0 0 0 1 0 0 0 1 0 0 0
FixedParameters: 0 0 0
"""

_RAS_TO_LPS = np.array([-1, -1, 1], np.float32)
_GZIP_LEVEL = 5


def write_identity(path: Path) -> None:
    """Write the transform between two grids in one and the same world.

    Parameters
    ----------
    path
        Ends with ``.txt``.
    """
    write_text(path, IDENTITY_TEXT)


def write_to_template(
    path: Path,
    template_to_scan: Affine,
    *,
    displacement_mm: Array | None = None,
    grid: Grid | None = None,
) -> None:
    """Write the ITK composite that resamples an image onto the template.

    Equal input gives an equal file, byte for byte, whenever and wherever it is written.

    Parameters
    ----------
    path
        Ends with ``.h5``.
    template_to_scan
        4x4 matrix, mm, RAS+, from the template's world to the image's world: ITK resamples by
        asking where a point of the target comes from.
    displacement_mm
        Array (I, J, K, 3), mm, RAS+: a template point p goes to ``template_to_scan @ (p + u(p))``;
        0 beyond the grid. None writes the affine alone.
    grid
        Where the displacements lie, in the template's world.

    Raises
    ------
    OutputError, StorageError
        If it cannot be written.
    """
    affine = to_itk_transform(np.asarray(template_to_scan, dtype=np.float64))
    parts: list[tuple[str, Array, Array]] = [
        ("AffineTransform", np.array(affine.GetParameters()), np.zeros(3))
    ]
    if displacement_mm is not None and grid is not None:
        # ITK applies the last one first
        parts.append(("DisplacementFieldTransform", *_field(displacement_mm, grid)))
    with replacing(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        _add_text(file, "ITKVersion", "5.4")
        _add_text(file, "HDFVersion", "1.12")
        group = file.create_group("TransformGroup")
        _add_text(group.create_group("0"), "TransformType", "CompositeTransform_double_3_3")
        for number, (kind, parameters, fixed) in enumerate(parts, start=1):
            part = group.create_group(str(number))
            _add_text(part, "TransformType", f"{kind}_double_3_3")
            _add_numbers(part, "TransformFixedParameters", fixed)
            _add_numbers(part, "TransformParameters", parameters)


def _field(displacement_mm: Array, grid: Grid) -> tuple[Array, Array]:
    """Parameters and fixed parameters of ITK's displacement field, in LPS."""
    lps = np.asarray(displacement_mm, dtype=np.float32) * _RAS_TO_LPS
    origin, spacing, direction = geometry(grid.affine)
    fixed = np.array([*grid.shape, *origin, *spacing, *direction], dtype=np.float64)
    return np.ascontiguousarray(lps.transpose(2, 1, 0, 3)).ravel(), fixed


def _add_text(group: Any, name: str, text: str) -> None:
    kind = h5py.string_dtype("ascii")
    group.create_dataset(name, data=np.array([text], dtype=object), dtype=kind, track_times=False)


def _add_numbers(group: Any, name: str, values: NDArray[Any]) -> None:
    large = values.size > 1000
    group.create_dataset(
        name,
        data=values,
        track_times=False,
        compression="gzip" if large else None,
        compression_opts=_GZIP_LEVEL if large else None,
        shuffle=large,
    )
