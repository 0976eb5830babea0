"""One harmonized image, and many of them by as many processes as are worth it."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json, write_text
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import group_crash_file
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import ScanError
from bids_harmonize.harmonizers.apply import harmonize_image, image_distance
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.imaging.types import Affine, Volume
from bids_harmonize.stages.harmonization.image_sidecars import ImageMaker, make_sidecar
from bids_harmonize.stages.processes import KILLED, Lost, count_processes, work_through

_S_PER_IMAGE = 2.8
_GB_PER_IMAGE, _GB_OF_RESIDUAL = 0.9, 4.0
"""At 1 mm, by one thread (``tests.benchmarks.bench_image_cost``, ``generator_cost``)."""
_GB_OF_PROCESS = 0.7
WORTH_PROCESSES_S = 30.0
"""Seconds of work from which on processes save more than they take to start."""


@dataclass(frozen=True)
class Stored:
    """The harmonizer as it lies on disk, and what may be used to apply it in processes.

    Attributes
    ----------
    folder
        Of the model.
    resources
        ``nprocs``, memory.
    """

    folder: Path
    resources: ResourceSettings


@dataclass(frozen=True)
class ImageJob:
    """A scan to be harmonized, and the hash of its image."""

    scan: DerivedScan
    sha256: str


@dataclass(frozen=True)
class ImageAnswer:
    """What came of a scan.

    Attributes
    ----------
    sidecar
        Of the image, which waits; empty where there is none.
    failure
        Why there is none; empty where there is one.
    """

    sidecar: Mapping[str, Any]
    failure: str = ""


@dataclass(frozen=True, eq=False)
class MadeImage:
    """A harmonized image: volume, affine, and the scan's distance from the training sites.

    ``distance`` is ``None`` for a harmonizer that does not know it.
    """

    volume: Volume
    affine: Affine
    distance: float | None


def make_images(
    maker: ImageMaker, jobs: Sequence[ImageJob], new: Path, stored: Stored | None
) -> Iterator[tuple[ImageJob, ImageAnswer]]:
    """Make images that wait, by as many processes as are worth it.

    Parameters
    ----------
    maker
        The harmonizer, fitted, and what sidecars say.
    jobs
        Scans of sites that it serves.
    new
        Folder in which images wait.
    stored
        Lets several processes work; ``None`` is this one alone.

    Yields
    ------
    tuple
        Job and answer, in the order in which they end. A scan that fails leaves a crash file.
    """
    n_procs = 1 if stored is None else _count(maker.harmonizer, len(jobs), stored.resources)
    make = partial(_make, maker, new)
    if stored is not None and n_procs > 1:
        # The harmonizer itself stays here: each process reads its own.
        told = replace(maker, harmonizer=None)  # type: ignore[arg-type]
        make = partial(_make_by, stored.folder, told, new)
    for job, answer in work_through(make, jobs, n_procs=n_procs):
        if isinstance(answer, Lost):
            write_text(group_crash_file(maker.output_dir, job.scan, str(maker.run_id)), KILLED)
        yield job, ImageAnswer({}, KILLED) if isinstance(answer, Lost) else answer


def _count(harmonizer: Harmonizer, n_images: int, resources: ResourceSettings) -> int:
    mm3 = harmonizer.frame.voxel_size_mm**3
    if n_images * _S_PER_IMAGE / mm3 < WORTH_PROCESSES_S:
        return 1
    is_residual = harmonizer.settings.get("generator") == "residual"
    gb_each = _GB_OF_PROCESS + (_GB_OF_RESIDUAL if is_residual else _GB_PER_IMAGE) / mm3
    return count_processes(resources, n_images, gb_each=gb_each)


def _make_by(model: Path, maker: ImageMaker, new: Path, job: ImageJob) -> ImageAnswer:
    return _make(replace(maker, harmonizer=_loaded(model)), new, job)


@lru_cache(maxsize=1)
def _loaded(model: Path) -> Harmonizer:
    """In a worker, whose pool knows one model."""
    return load_harmonizer(model)


def _make(maker: ImageMaker, new: Path, job: ImageJob) -> ImageAnswer:
    """One image and its sidecar, or a crash file."""
    scan = job.scan
    image = waiting_image(maker, scan, new)
    try:
        made = make_image(scan, maker.harmonizer)
        write_image(image, made.volume, made.affine)
    except ScanError as error:
        crash = group_crash_file(maker.output_dir, scan, str(maker.run_id))
        write_text(crash, traceback.format_exc())
        return ImageAnswer({}, str(error))
    sidecar = make_sidecar(maker, scan, sha256=job.sha256, distance=made.distance)
    write_json(sidecar_path(image), sidecar)
    forget_crashes(maker.output_dir, scan)
    return ImageAnswer(sidecar)


def waiting_image(maker: ImageMaker, scan: DerivedScan, new: Path) -> Path:
    """Where an image lies until all are done."""
    return new / maker.image(scan).relative_to(maker.output_dir)


def make_image(scan: DerivedScan, harmonizer: Harmonizer) -> MadeImage:
    """The harmonized image of a preprocessed scan, as it goes to disk.

    Raises
    ------
    ScanError
        If a file cannot be read, or the image has no intensities in its mask.
    """
    volume, affine = read_image(scan.t1w)
    head_mask, _ = read_mask(scan.head_mask)
    brain_mask = head_mask if scan.brain_mask is None else read_mask(scan.brain_mask)[0]
    harmonized = harmonize_image(
        harmonizer, volume, site=scan.site, head_mask=head_mask, brain_mask=brain_mask
    )
    distance = image_distance(harmonizer, volume, head_mask=head_mask, brain_mask=brain_mask)
    return MadeImage(harmonized, affine, distance)


def forget_crashes(output_dir: Path, scan: DerivedScan) -> None:
    """Remove the crash files of earlier runs: those that stay are those to look at."""
    pattern = group_crash_file(output_dir, scan, "*")
    for path in pattern.parent.parent.glob(f"*/{pattern.name}"):
        path.unlink(missing_ok=True)
