"""Harmonized images of people whom the harmonizer has not seen: fit on a half, apply to the other.

The images lie in the work directory, on the grid that the probes see, and never in the dataset.
Each is made like a delivered one and read back like a delivered one, so that a probe sees what a
user of the images would see.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.apply import harmonize_image
from bids_harmonize.harmonizers.base import Harmonizer, TrainingData
from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.imaging.types import Volume
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.sources import LoadedScan
from bids_harmonize.training.splits import check_no_leak
from bids_harmonize.training.volumes import (
    DiskVolumes,
    SelectedVolumes,
    StoredVolumes,
    VolumeSource,
    to_network_grid,
)

Halves = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True)
class HalfModels:
    """Participants of each half, and the harmonizers fitted on half 1 and on half 2."""

    halves: Halves
    models: tuple[Harmonizer, Harmonizer]


def fit_baseline_halves(
    name: str,
    sources: tuple[DiskVolumes, VolumeSource],
    halves: Halves,
    *,
    reference_site: str,
    runtime: Runtime,
    work_dir: Path,
    reference_high: float | None = None,
) -> HalfModels:
    """A training-free harmonizer fitted on each half.

    Parameters
    ----------
    name
        A baseline of the table of harmonizers.
    sources
        Eligible scans on the study grid, and the same on the probes' grid.
    halves
        The participants of each half.
    reference_site
        The site to harmonize to.
    runtime, work_dir
        Passed on to ``fit``.
    reference_high
        Native intensity of 1 at a reference that is known by its card alone.

    Returns
    -------
    HalfModels
        Fitted on half 1 and on half 2.
    """
    native, network = sources
    fitted = []
    for half in halves:
        own = [n for n, scan in enumerate(native.scans) if scan.participant_id in half]
        data = TrainingData(
            native=SelectedVolumes(native, own),
            network=SelectedVolumes(network, own),
            reference_site=reference_site,
            monitor=frozenset(),
            reference_high=reference_high,
        )
        harmonizer = make_harmonizer(
            name,
            reference_site=reference_site,
            source_sites={scan.site for scan in data.native.scans},
            voxel_size_mm=native.voxel_size_mm,
            scaling_mask=native.scaling_mask,
        )
        harmonizer.fit(data, runtime=runtime, seed=0, work_dir=work_dir, resume=False)
        fitted.append(harmonizer)
    return HalfModels(halves, (fitted[0], fitted[1]))


def cross_fitted_images(
    fitted: HalfModels,
    sources: tuple[DiskVolumes, VolumeSource],
    *,
    path: Path,
) -> VolumeSource:
    """Every eligible scan, harmonized by the model that has not seen its participant.

    Parameters
    ----------
    fitted
        Models of both halves.
    sources
        Eligible scans on the study grid, and the same on the probes' grid.
    path
        Array file in the work directory; replaced.

    Returns
    -------
    VolumeSource
        On the probes' grid, rescaled like any image that is read; masks as before.

    Raises
    ------
    UnusableDataError
        If a scan's participant stands in no half.
    ScanError
        If an image cannot be read or made.
    LeakError
        If the halves overlap.
    """
    halves = fitted.halves
    check_no_leak(halves[0], held_out=halves[1])
    native, network = sources

    def made(index: int) -> Volume:
        scan = native.scans[index]
        unseen_by = [n for n, half in enumerate(halves) if scan.participant_id not in half]
        if len(unseen_by) != 1:
            message = (
                f"{scan.key}: {scan.participant_id} stands in neither half; run harmonize again"
            )
            raise UnusableDataError(message)
        make = _harmonizing(fitted.models[unseen_by[0]], scan.site)
        return probe_volume(make, native, index, resolution_mm=network.voxel_size_mm)

    return kept_volumes(network, made, path=path)


def kept_volumes(
    network: VolumeSource, made: Callable[[int], Volume], *, path: Path
) -> VolumeSource:
    """Volumes made once, one after the other, and read from an array file from then on.

    Parameters
    ----------
    network
        The scans they are made of; masks stay theirs.
    made
        Takes the number of a scan, gives float32 on the same grid.
    path
        Array file in the work directory; replaced.

    Returns
    -------
    VolumeSource
        As many volumes, in the same order.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = open_memmap(path, mode="w+", dtype=np.float32, shape=(len(network), *network.shape))
    for index in range(len(network)):
        kept[index] = made(index)
    kept.flush()
    return StoredVolumes(network, path)


def probe_volume(
    make: Callable[[LoadedScan], Volume], native: DiskVolumes, index: int, *, resolution_mm: float
) -> np.ndarray:
    """An image made of a scan, as a probe sees it.

    Parameters
    ----------
    make
        Takes the scan, gives the image in any unit.
    native
        Scans on the study grid.
    index
        Which of them.
    resolution_mm
        Voxel size of the probes' grid, mm.

    Returns
    -------
    ndarray
        float32 on that grid, rescaled by the image's own 99th percentile, 0 outside the head.
    """
    scan = native.read(index)
    image = make(scan)
    inside = scan.brain_mask if native.scaling_mask == "brain" else scan.head_mask
    rescaled = np.where(scan.head_mask, p99_scaling(image, inside).apply(image), np.float32(0))
    volume, _, _ = to_network_grid(
        rescaled,
        scan.head_mask,
        scan.brain_mask,
        voxel_size_mm=native.voxel_size_mm,
        resolution_mm=resolution_mm,
    )
    return volume


def _harmonizing(model: Harmonizer, site: str) -> Callable[[LoadedScan], Volume]:
    def make(scan: LoadedScan) -> Volume:
        return harmonize_image(
            model,
            scan.scaling.undo(scan.volume),
            site=site,
            head_mask=scan.head_mask,
            brain_mask=scan.brain_mask,
        )

    return make
