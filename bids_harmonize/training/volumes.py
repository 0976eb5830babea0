"""Rescaled volumes for training; networks read one memory-mapped array a study.

Choice: one interface, :class:`VolumeSource`, with several kinds. Trained networks read
:class:`MappedVolumes`, one array file a study in the work directory, so that memory does not grow
with the number of scans. :func:`to_network_grid` is the one way to a coarser grid, for whole
studies and for a single scan alike. Rejected: caching NIfTI reads in memory. Revisit when a study
at 1 mm does not fit on the work disk.
"""

import json
import logging
import tempfile
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from bids_harmonize.config import settings_hash
from bids_harmonize.imaging.grid import Grid, centred_grid, resample, resample_mask, study_shape
from bids_harmonize.training.sources import (
    BRAIN_BIT,
    HEAD_BIT,
    INDEX_NAME,
    MASKS_NAME,
    VOLUMES_NAME,
    DiskVolumes,
    MappedVolumes,
    ScanFiles,
    VolumeSource,
)
from bids_harmonize.training.views import SelectedVolumes, StoredVolumes, TransformedVolumes

__all__ = [
    "DiskVolumes",
    "MappedVolumes",
    "ScanFiles",
    "SelectedVolumes",
    "StoredVolumes",
    "TransformedVolumes",
    "VolumeSource",
    "map_volumes",
    "to_network_grid",
]

LOGGER = logging.getLogger(__name__)

# Raise when the numbers in the mapped arrays change, so that old arrays are not reused.
_MAP_VERSION = 1
_SAME_MM = 1e-3


def to_network_grid(
    volume: np.ndarray,
    head_mask: np.ndarray,
    brain_mask: np.ndarray,
    *,
    voxel_size_mm: float,
    resolution_mm: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A volume and its masks on the network's grid, centred on the same point.

    Parameters
    ----------
    volume
        Float32, shape (I, J, K), 0 outside the head.
    head_mask, brain_mask
        Bool, shape (I, J, K).
    voxel_size_mm
        Voxel size of the input, mm.
    resolution_mm
        Voxel size wanted, mm. Where the input is not finer, it is returned as it is.

    Returns
    -------
    tuple of np.ndarray
        Float32 volume that is 0 outside the head, head mask, brain mask; shape
        ``study_shape(resolution_mm)`` where coarser.
    """
    if resolution_mm <= voxel_size_mm + _SAME_MM:
        return volume, head_mask, brain_mask
    affine = np.diag([voxel_size_mm, voxel_size_mm, voxel_size_mm, 1.0])
    grid = centred_grid(
        Grid(shape=volume.shape, affine=affine),
        resolution_mm=resolution_mm,
        shape=study_shape(resolution_mm),
    )
    head, brain = (resample_mask(mask, affine, grid) for mask in (head_mask, brain_mask))
    coarse = resample(volume, affine, grid, interpolation="linear")
    return np.where(head, coarse, np.float32(0)), head, brain & head


def map_volumes(source: DiskVolumes, *, resolution_mm: float, folder: Path) -> MappedVolumes:
    """The scans of a study as one memory-mapped array on the network's grid.

    Parameters
    ----------
    source
        Volumes on the study grid.
    resolution_mm
        Voxel size wanted, mm; never finer than the study's.
    folder
        A folder of the work directory. An array of the same scans is reused while files (size and
        time of change) and settings are the same, and replaced in one go otherwise.

    Returns
    -------
    MappedVolumes
        The same scans in the same order.
    """
    resolution_mm = max(resolution_mm, source.voxel_size_mm)
    keys = [scan.key for scan in source.scans]
    target = folder / f"volumes-{settings_hash(keys, round(resolution_mm, 4))}"
    content = _content_hash(source, resolution_mm)
    if _is_current(target, content):
        return MappedVolumes(source.scans, target)
    folder.mkdir(parents=True, exist_ok=True)
    LOGGER.info("mapping %d scans at %g mm into %s", len(source), resolution_mm, target)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".volumes-") as temporary:
        _fill(Path(temporary) / "new", source, resolution_mm, content)
        if target.exists():
            target.rename(Path(temporary) / "old")
        (Path(temporary) / "new").rename(target)
    return MappedVolumes(source.scans, target)


def _content_hash(source: DiskVolumes, resolution_mm: float) -> str:
    files = []
    for scan in source.scans:
        for path in (scan.t1w, scan.head_mask, scan.brain_mask):
            found = None if path is None else path.stat()
            files.append(found and [str(path), found.st_size, found.st_mtime_ns])
    return settings_hash(_MAP_VERSION, files, source.scaling_mask, round(resolution_mm, 4))


def _is_current(folder: Path, content: str) -> bool:
    index = folder / INDEX_NAME
    return index.is_file() and json.loads(index.read_text(encoding="utf-8"))["content"] == content


def _fill(folder: Path, source: DiskVolumes, resolution_mm: float, content: str) -> None:
    """Write arrays and index scan by scan; the caller moves the folder into place."""
    folder.mkdir()
    is_coarser = resolution_mm > source.voxel_size_mm + _SAME_MM
    shape = (len(source), *(study_shape(resolution_mm) if is_coarser else source.shape))
    volumes = open_memmap(folder / VOLUMES_NAME, mode="w+", dtype=np.float32, shape=shape)
    masks = open_memmap(folder / MASKS_NAME, mode="w+", dtype=np.uint8, shape=shape)
    high = []
    for index in range(len(source)):
        scan = source.read(index)
        volume, head, brain = to_network_grid(
            scan.volume,
            scan.head_mask,
            scan.brain_mask,
            voxel_size_mm=source.voxel_size_mm,
            resolution_mm=resolution_mm,
        )
        volumes[index] = volume
        masks[index] = head * HEAD_BIT + brain * BRAIN_BIT
        high.append(scan.scaling.high)
    volumes.flush()
    masks.flush()
    table = {"content": content, "voxel_size_mm": resolution_mm, "high": high}
    (folder / INDEX_NAME).write_text(json.dumps(table), encoding="utf-8")
