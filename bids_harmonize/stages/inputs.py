"""What several stages read in the same way: a scan's files, its grid, and that of networks."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.sidecars import read_json, sidecar_path
from bids_harmonize.bids.study import Study
from bids_harmonize.config import Settings
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import resample
from bids_harmonize.imaging.types import Affine, Volume
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.volumes import ScanFiles

CLASSIFIER_CPU_MM: Final = 4.0  # 48 x 56 x 48 voxels: a fold in seconds
GENERATOR_MM: Final = 3.0  # 64 x 80 x 64 voxels: a pair in minutes

_SAME_PLACE_MM: Final = 1e-3


def scan_files(scan: DerivedScan) -> ScanFiles:
    """What training reads of a scan."""
    return ScanFiles(
        key=scan.stem,
        participant_id=scan.participant_id,
        site=scan.site,
        t1w=scan.t1w,
        head_mask=scan.head_mask,
        brain_mask=scan.brain_mask,
    )


def read_on_grid(path: Path, shape: tuple[int, ...], affine: Affine) -> Volume:
    """An image on a scan's grid, resampled where it lies on another.

    Parameters
    ----------
    path
        The image.
    shape, affine
        The scan's grid.

    Returns
    -------
    ndarray
        float32 of that shape; 0 where the image does not reach.

    Raises
    ------
    ScanError
        If it cannot be read, or does not overlap with the scan.
    """
    volume, own = read_image(path)
    if volume.shape == shape and np.allclose(own, affine, atol=_SAME_PLACE_MM):
        return volume
    i, j, k = shape
    moved = np.asarray(resample(volume, own, Grid(shape=(i, j, k), affine=affine)))
    if not moved.any():
        message = f"{path} lies elsewhere than its scan: on the scan's grid it is empty"
        raise ScanError(message)
    return moved.astype(np.float32)


def bias_corrections(scans: Iterable[DerivedScan]) -> frozenset[str]:
    """Words of ``--bias-correction`` by which scans were made, as far as their sidecars tell.

    Parameters
    ----------
    scans
        Preprocessed ones; another tool's say nothing.

    Returns
    -------
    frozenset of str
        More than one where a study is mixed.
    """
    words = set()
    for scan in scans:
        sidecar = sidecar_path(scan.t1w)
        settings = read_json(sidecar).get("Settings") if sidecar.is_file() else None
        if isinstance(settings, Mapping) and "bias_correction" in settings:
            words.add(str(settings["bias_correction"]))
    return frozenset(words)


def classifier_resolution_mm(study: Study, settings: Settings, runtime: Runtime) -> float:
    """Voxel size of the site classifier and the probes.

    Parameters
    ----------
    study, settings, runtime
        The study's grid, ``--network-resolution`` and the device.

    Returns
    -------
    float
        mm: what was asked for, else 4 on a CPU and the study's on CUDA; never finer than the
        study's.
    """
    return _resolution_mm(study, settings, runtime, on_cpu_mm=CLASSIFIER_CPU_MM)


def generator_resolution_mm(study: Study, settings: Settings, runtime: Runtime) -> float:
    """Voxel size on which generators are trained.

    Parameters
    ----------
    study, settings, runtime
        The study's grid, ``--network-resolution`` and the device.

    Returns
    -------
    float
        mm: what was asked for, else 3 on a CPU and for sub-boxes, and the study's for whole
        volumes on CUDA; never finer than the study's.
    """
    if takes_sub_boxes(study, settings, runtime):
        wanted = settings.group.network_resolution_mm or GENERATOR_MM
        return max(wanted, study.voxel_size_mm)
    return _resolution_mm(study, settings, runtime, on_cpu_mm=GENERATOR_MM)


def takes_sub_boxes(study: Study, settings: Settings, runtime: Runtime) -> bool:
    """Whether generators train at the study's voxel size, on random boxes.

    Parameters
    ----------
    study, settings, runtime
        Whether there are images of the reference, ``--sub-boxes`` and ``--generator``, and the
        device.

    Returns
    -------
    bool
        As asked for; by default on CUDA, where generators are bilateral and the reference has
        images.
    """
    if settings.group.sub_boxes != "auto":
        return settings.group.sub_boxes == "on"
    is_bilateral = settings.harmonizer.get("generator", "bilateral") == "bilateral"
    return runtime.device.type == "cuda" and is_bilateral and not study.outside_reference


def _resolution_mm(
    study: Study, settings: Settings, runtime: Runtime, *, on_cpu_mm: float
) -> float:
    wanted = settings.group.network_resolution_mm
    if wanted is None:
        wanted = on_cpu_mm if runtime.device.type == "cpu" else study.voxel_size_mm
    return max(wanted, study.voxel_size_mm)
