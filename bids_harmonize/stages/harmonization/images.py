"""The harmonized images: every scan of a trained site, through the one apply path."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.harmonized import harmonized_sidecars
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.sidecars import image_path, read_json, sidecar_path
from bids_harmonize.errors import UsageError
from bids_harmonize.stages.harmonization.image_jobs import (
    ImageJob,
    Stored,
    forget_crashes,
    make_images,
    waiting_image,
)
from bids_harmonize.stages.harmonization.image_sidecars import (
    ImageMaker,
    is_current,
)
from bids_harmonize.stages.harmonization.unseen import unseen_distance

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """What came of the images.

    Attributes
    ----------
    waiting
        Images and sidecars that were made and wait to take their place.
    kept
        Images of an earlier run that are still right.
    failures
        One sentence for every scan that could not be harmonized.
    distances
        Stem of each scan of an unseen site to its distance from the training sites.
    """

    waiting: tuple[Path, ...]
    kept: tuple[Path, ...]
    failures: tuple[str, ...]
    distances: Mapping[str, float] = field(default_factory=dict)


def check_present_images(
    output_dir: Path, sidecars: Iterable[Path], *, wanted: tuple[str, str], overwrite: bool
) -> None:
    """Refuse to mix images of two harmonizers or two references.

    Parameters
    ----------
    output_dir
        Root of the derivative, for the message.
    sidecars
        Of the harmonized images that are there.
    wanted
        Name of the harmonizer and its reference site.
    overwrite
        Whether ``--overwrite-harmonized`` was given.

    Raises
    ------
    UsageError
        If others are there and may not be replaced.
    """
    found = {(str(name), str(site)) for name, site in map(_made_by, sidecars)}
    others = sorted(f"{name} to {site}" for name, site in found - {wanted})
    if others and not overwrite:
        message = (
            f"{output_dir} holds images harmonized by {', '.join(others)}; asked for are "
            f"{wanted[0]} to {wanted[1]}. Give --overwrite-harmonized to replace them, or another "
            "output directory"
        )
        raise UsageError(message)


def write_images(
    maker: ImageMaker,
    scans: Sequence[DerivedScan],
    *,
    new: Path,
    resume: bool,
    stored: Stored | None = None,
) -> Written:
    """Harmonize scans, those of travelling subjects and doubtful ones too.

    Parameters
    ----------
    maker
        The chosen harmonizer, fitted.
    scans
        Of sites that it serves.
    new
        Folder in which new images wait, with the layout of the output directory.
    resume
        Whether images that are still right are kept.
    stored
        Lets several processes make the images, where that saves time; the bytes are the same.

    Returns
    -------
    Written
        A scan that fails leaves a crash file, which goes once it is harmonized; the others go on.
    """
    output_dir = maker.output_dir
    jobs: list[ImageJob] = []
    kept: list[Path] = []
    distances: dict[str, float] = {}
    for scan in scans:
        job = ImageJob(scan, file_sha256(scan.t1w))
        if not (resume and is_current(maker, scan, sha256=job.sha256)):
            jobs.append(job)
            continue
        final = maker.image(scan)
        kept += [final, sidecar_path(final)]
        distances |= unseen_distance(scan, read_json(sidecar_path(final)))
        forget_crashes(output_dir, scan)
    waiting: list[Path] = []
    failures: list[str] = []
    for number, (job, answer) in enumerate(make_images(maker, jobs, new, stored), start=1):
        if answer.failure:
            failures.append(f"{job.scan.stem}: not harmonized: {answer.failure}")
            continue
        distances |= unseen_distance(job.scan, answer.sidecar)
        image = waiting_image(maker, job.scan, new)
        waiting += [image, sidecar_path(image)]
        LOGGER.info("harmonized %d of %d: %s", number, len(jobs), job.scan.stem)
    return Written(tuple(waiting), tuple(kept), tuple(sorted(failures)), distances)


def place_images(written: Written, *, new: Path, output_dir: Path) -> list[Path]:
    """Move waiting images into their places, then take away those that no longer belong.

    Parameters
    ----------
    written
        What :func:`write_images` returned.
    new
        Where they wait.
    output_dir
        Root of the derivative.

    Returns
    -------
    list of Path
        All harmonized images and sidecars of the study.
    """
    placed = []
    for path in written.waiting:
        final = output_dir / path.relative_to(new)
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)
        placed.append(final)
    files = sorted({*placed, *written.kept})
    _remove_others(output_dir, keep=files)
    return files


def _remove_others(output_dir: Path, *, keep: Sequence[Path]) -> None:
    wanted = set(keep)
    for sidecar in list(harmonized_sidecars(output_dir)):
        image = image_path(sidecar)
        if image not in wanted:
            image.unlink(missing_ok=True)
            sidecar.unlink()


def _made_by(sidecar: Path) -> tuple[Any, Any]:
    found = read_json(sidecar)
    return found.get("Harmonizer"), found.get("HarmonizationReference")
