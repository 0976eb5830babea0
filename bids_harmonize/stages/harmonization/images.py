"""The harmonized images: every scan of a trained site, through the one apply path."""

import logging
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json, write_text
from bids_harmonize.bids.harmonized import harmonized_sidecars
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import group_crash_file
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.sidecars import image_path, read_json, sidecar_path
from bids_harmonize.errors import ScanError, UsageError
from bids_harmonize.harmonizers.apply import harmonize_image, image_distance
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.imaging.types import Affine, Volume
from bids_harmonize.stages.harmonization.image_sidecars import (
    ImageMaker,
    is_current,
    make_sidecar,
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


@dataclass(frozen=True, eq=False)
class MadeImage:
    """A harmonized image: volume, affine, and the scan's distance from the training sites.

    ``distance`` is ``None`` for a harmonizer that does not know it.
    """

    volume: Volume
    affine: Affine
    distance: float | None


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
    maker: ImageMaker, scans: Sequence[DerivedScan], *, new: Path, resume: bool
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

    Returns
    -------
    Written
        A scan that fails leaves a crash file, which goes once it is harmonized; the others go on.
    """
    output_dir = maker.output_dir
    waiting: list[Path] = []
    kept: list[Path] = []
    failures: list[str] = []
    distances: dict[str, float] = {}
    for number, scan in enumerate(scans, start=1):
        final = maker.image(scan)
        source_sha256 = file_sha256(scan.t1w)
        if resume and is_current(maker, scan, sha256=source_sha256):
            kept += [final, sidecar_path(final)]
            distances |= unseen_distance(scan, read_json(sidecar_path(final)))
            forget_crashes(output_dir, scan)
            continue
        image = new / final.relative_to(output_dir)
        try:
            made = make_image(scan, maker.harmonizer)
            write_image(image, made.volume, made.affine)
        except ScanError as error:
            failures.append(f"{scan.stem}: not harmonized: {error}")
            crash = group_crash_file(output_dir, scan, str(maker.run_id))
            write_text(crash, traceback.format_exc())
            continue
        sidecar = make_sidecar(maker, scan, sha256=source_sha256, distance=made.distance)
        distances |= unseen_distance(scan, sidecar)
        write_json(sidecar_path(image), sidecar)
        forget_crashes(output_dir, scan)
        waiting += [image, sidecar_path(image)]
        LOGGER.info("harmonized %d of %d: %s", number, len(scans), scan.stem)
    return Written(tuple(waiting), tuple(kept), tuple(failures), distances)


def forget_crashes(output_dir: Path, scan: DerivedScan) -> None:
    """Remove the crash files of earlier runs: those that stay are those to look at."""
    pattern = group_crash_file(output_dir, scan, "*")
    for path in pattern.parent.parent.glob(f"*/{pattern.name}"):
        path.unlink(missing_ok=True)


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


def _made_by(sidecar: Path) -> tuple[Any, Any]:
    found = read_json(sidecar)
    return found.get("Harmonizer"), found.get("HarmonizationReference")
