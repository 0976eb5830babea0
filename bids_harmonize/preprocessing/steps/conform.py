"""The first step: find the head, and put the scan on the study grid."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.rawimages import read_raw
from bids_harmonize.imaging.air_quality import measure_raw
from bids_harmonize.imaging.field_of_view import share_outside
from bids_harmonize.imaging.geometry import voxel_size_mm, world_coordinate
from bids_harmonize.imaging.grid import Grid, place_grid, resample, resample_mask
from bids_harmonize.imaging.headmask import find_head
from bids_harmonize.imaging.orientation import axis_codes
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
        ``flags``, ``skull_stripped``, ``confidence`` and ``doubtful`` of the head mask,
        ``measures`` (those that need the raw image) and ``native`` (the raw grid, which can give
        a site away before any voxel is looked at).

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
        "confidence": float(head.confidence),
        "doubtful": bool(head.doubtful),
        "measures": {
            "neck_cropped_mm": _cropped_below_mm(head.mask, affine, grid),
            "head_outside_grid": share_outside(head.mask, affine, grid),
            **measure_raw(volume, affine, head.mask),
        },
        "native": {
            "shape": [int(length) for length in volume.shape],
            "voxel_size_mm": [round(float(size), 4) for size in voxel_size_mm(affine)],
            "orientation": axis_codes(affine),
            "affine_source": raw.affine_source,
            "datatype": raw.dtype,
            "intensity_offset": raw.intensity_offset,
        },
    }


def _cropped_below_mm(head_mask: Mask, affine: Affine, grid: Grid) -> float:
    bottom = float(grid.affine[2, 3] - grid.voxel_size_mm[2] / 2)
    lowest = float(world_coordinate(head_mask, affine, axis=2).min())
    return round(max(0.0, bottom - lowest), 2)
