"""What is done with one scan, step by step; arrays go from step to step through small files.

Each function reads files, calls the ground floor, and writes one file, so that it runs in any
process and gives the same bytes there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bids_harmonize.atlases import load_template
from bids_harmonize.bids.rawimages import read_raw
from bids_harmonize.imaging.brainmask import find_brain
from bids_harmonize.imaging.geometry import world_coordinate
from bids_harmonize.imaging.grid import Grid, place_grid, resample, resample_mask
from bids_harmonize.imaging.headmask import find_head
from bids_harmonize.imaging.orientation import axis_codes
from bids_harmonize.imaging.quality import energy_ratio, measure_quality
from bids_harmonize.imaging.types import Affine, Mask, Volume


@dataclass(frozen=True, eq=False)
class Conformed:
    """A scan on the study grid.

    Parameters
    ----------
    volume
        Shape (I, J, K), float32, native units, 0 outside the head.
    head_mask
        Shape (I, J, K), bool.
    affine
        4x4, voxel to world, mm, RAS+.
    raw_head_mask
        The head on the raw image's own grid, bool.
    """

    volume: Volume
    head_mask: Mask
    affine: Affine
    raw_head_mask: Mask

    def save(self, path: Path) -> None:
        """Write all arrays to an uncompressed ``.npz`` file."""
        np.savez(
            path,
            volume=self.volume,
            head_mask=self.head_mask,
            affine=self.affine,
            raw_head_mask=self.raw_head_mask,
        )

    @classmethod
    def load(cls, path: Path) -> "Conformed":
        """Read what :meth:`save` wrote."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @property
    def grid(self) -> Grid:
        """The study grid as it lies on this scan."""
        i, j, k = self.volume.shape
        return Grid(shape=(i, j, k), affine=self.affine)


def conform(
    source: Path,
    out_file: Path,
    *,
    resolution_mm: float,
    grid_shape: tuple[int, int, int] | None,
) -> dict[str, Any]:
    """Find the head and put the scan on the study grid by one interpolation.

    Parameters
    ----------
    source
        The raw image.
    out_file
        Where the :class:`Conformed` scan goes.
    resolution_mm
        Voxel size of the study grid, mm.
    grid_shape
        Its shape, or ``None`` for the default extent.

    Returns
    -------
    dict
        ``flags``, ``skull_stripped``, ``measures`` (those that need the raw image) and
        ``native`` (the raw grid, which can give a site away before any voxel is looked at).

    Raises
    ------
    ScanError
        If the image cannot be used.
    """
    raw = read_raw(source)
    volume, affine = raw.volume, raw.affine
    head = find_head(volume, affine)
    grid = place_grid(head.mask, affine, resolution_mm=resolution_mm, shape=grid_shape)
    head_mask = resample_mask(head.mask, affine, grid)
    conformed = resample(volume, affine, grid)
    conformed[~head_mask] = 0
    Conformed(conformed, head_mask, grid.affine, head.mask).save(out_file)
    return {
        "flags": [*raw.flags, *head.flags],
        "skull_stripped": head.skull_stripped,
        "measures": {
            "neck_cropped_mm": _cropped_below_mm(head.mask, affine, grid),
            "fber": energy_ratio(volume[head.mask], volume[~head.mask]),
        },
        "native": {
            "shape": [int(length) for length in volume.shape],
            "voxel_size_mm": [round(float(size), 4) for size in _voxel_sizes(affine)],
            "orientation": axis_codes(affine),
            "affine_source": raw.affine_source,
            "datatype": raw.dtype,
            "intensity_offset": raw.intensity_offset,
        },
    }


def mask_brain(
    source: Path, conformed_file: Path, out_file: Path, *, skull_stripped: bool
) -> dict[str, Any]:
    """Find the brain with the template, in the raw image: the study grid may be coarse.

    Parameters
    ----------
    source
        The raw image.
    conformed_file
        The same scan, :class:`Conformed`.
    out_file
        Where mask and affine go (``.npz`` with ``mask`` and ``world_to_template``).
    skull_stripped
        The raw image shows a brain only, see :func:`conform`.

    Returns
    -------
    dict
        ``flags``, ``doubtful``, ``volume_litres`` and ``correlation`` with the template.
    """
    raw = read_raw(source)
    volume, affine = raw.volume, raw.affine
    scan = Conformed.load(conformed_file)
    brain = find_brain(
        volume, affine, scan.raw_head_mask, load_template(), skull_stripped=skull_stripped
    )
    mask = resample_mask(brain.mask, affine, scan.grid) & scan.head_mask
    np.savez(out_file, mask=mask, world_to_template=brain.template_affine)
    return {
        "flags": list(brain.flags),
        "doubtful": bool(brain.doubtful),
        "volume_litres": float(brain.volume_litres),
        "correlation": float(brain.correlation),
    }


def measure(
    conformed_file: Path, brain_file: Path | None, *, raw_measures: Mapping[str, float]
) -> dict[str, float]:
    """Quality measures of a conformed scan.

    Parameters
    ----------
    conformed_file
        A :class:`Conformed` scan.
    brain_file
        What :func:`mask_brain` wrote; ``None`` where no brain mask is wanted.
    raw_measures
        Measures of the raw image, from :func:`conform`; they win.

    Returns
    -------
    dict
        Name to value, see ``bids_harmonize.imaging.quality.QUALITY_MEASURES``.
    """
    scan = Conformed.load(conformed_file)
    brain_mask = None if brain_file is None else load_brain(brain_file)[0]
    measures = measure_quality(scan.volume, scan.head_mask, brain_mask, scan.grid)
    return {name: float(value) for name, value in {**measures, **raw_measures}.items()}


def load_brain(path: Path) -> tuple[Mask, Affine]:
    """Brain mask and world-to-template matrix that :func:`mask_brain` wrote."""
    with np.load(path) as arrays:
        return arrays["mask"], arrays["world_to_template"]


def _voxel_sizes(affine: Affine) -> NDArray[np.float64]:
    sizes: NDArray[np.float64] = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return sizes


def _cropped_below_mm(head_mask: Mask, affine: Affine, grid: Grid) -> float:
    bottom = float(grid.affine[2, 3] - grid.voxel_size_mm[2] / 2)
    lowest = float(world_coordinate(head_mask, affine, axis=2).min())
    return round(max(0.0, bottom - lowest), 2)
