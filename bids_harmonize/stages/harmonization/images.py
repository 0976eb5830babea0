"""The harmonized images: every scan of a trained site, through the one apply path."""

import logging
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_harmonize._version import __version__
from bids_harmonize.bids.files import write_json, write_text
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import group_crash_file, scan_output
from bids_harmonize.bids.provenance import bids_uri, file_sha256
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.study import DerivedScan
from bids_harmonize.errors import ScanError, UsageError
from bids_harmonize.harmonizers.apply import harmonize_image
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.card_localhistogram import CARDS
from bids_harmonize.stages import StageContext

LOGGER = logging.getLogger(__name__)
# Facts of the preprocessing of an image that do not hold for the harmonized one.
_NOT_CARRIED = (
    "Description", "Sources", "QualityMeasures", "NativeGrid", "Settings", "SettingsHash",
    "InputSha256", "SoftwareVersion", "RunId", "Flags",
)  # fmt: skip


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
    """

    waiting: tuple[Path, ...]
    kept: tuple[Path, ...]
    failures: tuple[str, ...]


def check_present_images(context: StageContext) -> None:
    """Refuse to mix images of two harmonizers or two references.

    Parameters
    ----------
    context
        The study and its settings.

    Raises
    ------
    UsageError
        If others are there and ``--overwrite-harmonized`` was not given.
    """
    settings, study = context.settings.group, context.study
    others = sorted(
        {
            f"{name} to {reference}"
            for name, reference in map(_made_by, harmonized_sidecars(study.output_dir))
            if (name, reference) != (settings.harmonizer, study.reference_site)
        }
    )
    if others and not settings.overwrite_harmonized:
        message = (
            f"{study.output_dir} holds images harmonized by {', '.join(others)}; asked for are "
            f"{settings.harmonizer} to {study.reference_site}. Give --overwrite-harmonized to "
            "replace them, or another output directory"
        )
        raise UsageError(message)


def harmonized_sidecars(output_dir: Path) -> Iterator[Path]:
    """Sidecars of all harmonized images in a derivative, sorted."""
    for pattern in ("sub-*/anat", "sub-*/ses-*/anat"):
        yield from sorted(output_dir.glob(f"{pattern}/*_desc-harmonized*_T1w.json"))


def write_images(
    context: StageContext, harmonizer: Harmonizer, *, model: Mapping[str, Any], new: Path
) -> Written:
    """Harmonize all scans of trained sites, those of travelling and doubtful ones too.

    Parameters
    ----------
    context
        The study and its settings.
    harmonizer
        The chosen one, fitted.
    model
        Its ``model.json``.
    new
        Folder in which new images wait, with the layout of the output directory.

    Returns
    -------
    Written
        A scan that fails leaves a crash file, which goes once it is harmonized; the others go on.
    """
    study = context.study
    waiting: list[Path] = []
    kept: list[Path] = []
    failures: list[str] = []
    for number, scan in enumerate(study.harmonized_scans, start=1):
        final = scan_output(study.output_dir, scan, "harmonized", reference=study.reference_site)
        source_sha256 = file_sha256(scan.t1w)
        if context.settings.run.resume and _is_current(final, model, source_sha256):
            kept += [final, sidecar_path(final)]
            _forget_crashes(study.output_dir, scan)
            continue
        image = new / final.relative_to(study.output_dir)
        try:
            _harmonize_scan(scan, harmonizer, image)
        except ScanError as error:
            failures.append(f"{scan.stem}: not harmonized: {error}")
            crash = group_crash_file(study.output_dir, scan, context.run_id)
            write_text(crash, traceback.format_exc())
            continue
        sidecar = make_sidecar(context, scan, harmonizer, model=model, sha256=source_sha256)
        write_json(sidecar_path(image), sidecar)
        _forget_crashes(study.output_dir, scan)
        waiting += [image, sidecar_path(image)]
        LOGGER.info("harmonized %d of %d: %s", number, len(study.harmonized_scans), scan.stem)
    return Written(tuple(waiting), tuple(kept), tuple(failures))


def _forget_crashes(output_dir: Path, scan: DerivedScan) -> None:
    """Remove the crash files of earlier runs: those that stay are those to look at."""
    pattern = group_crash_file(output_dir, scan, "*")
    for path in pattern.parent.parent.glob(f"*/{pattern.name}"):
        path.unlink(missing_ok=True)


def make_sidecar(
    context: StageContext,
    scan: DerivedScan,
    harmonizer: Harmonizer,
    *,
    model: Mapping[str, Any],
    sha256: str,
) -> dict[str, Any]:
    """Metadata of a harmonized image; the acquisition's are carried over.

    Parameters
    ----------
    context
        The study and its settings.
    scan
        The preprocessed scan.
    harmonizer
        What made the image.
    model
        Its ``model.json``.
    sha256
        Of the preprocessed image.

    Returns
    -------
    dict
        Whole: nothing is left to inheritance.
    """
    study = context.study
    own = sidecar_path(scan.t1w)
    source = read_json(own) if own.is_file() else {}
    carried = {key: value for key, value in source.items() if key not in _NOT_CARRIED}
    is_reference = scan.site == study.reference_site
    masks = [mask for mask in (scan.head_mask, scan.brain_mask) if mask is not None]
    method = "scaling" if is_reference else harmonizer.method(scan.site)
    return {
        "SkullStripped": False,
        **carried,
        "Description": (
            f"Preprocessed image as if it came from {study.reference_site}, in its intensity "
            "scale; outside the head equal to the preprocessed image."
        ),
        "Sources": [bids_uri(path, study.output_dir) for path in (scan.t1w, *masks)],
        "Site": scan.site,
        "HarmonizationReference": study.reference_site,
        "Harmonizer": harmonizer.name,
        "HarmonizationMethod": method,
        "HarmonizationModelSha256": model["sha256"],
        "HarmonizationFingerprint": model["fingerprint"],
        "SettingsHash": model["settings_hash"],
        "RandomSeed": context.settings.run.random_seed,
        **_card_facts(model),
        "MaskDoubtful": not scan.usable,
        "InputSha256": sha256,
        "SoftwareVersion": __version__,
        "RunId": context.run_id,
    }


def _card_facts(model: Mapping[str, Any]) -> dict[str, Any]:
    """Which cards stood in for the reference's images, where there were any."""
    cards = model["learnt"].get(CARDS)
    if not cards:
        return {}
    return {
        "ReferenceCards": [
            {"Site": card["site"], "Sha256": card["sha256"], "Participants": card["n_people"]}
            for card in cards
        ]
    }


def sidecar_path(image: Path) -> Path:
    """The JSON file of an image."""
    return image.with_name(image.name.removesuffix(".nii.gz") + ".json")


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
        image = sidecar.with_name(sidecar.name.removesuffix(".json") + ".nii.gz")
        if image not in wanted:
            image.unlink(missing_ok=True)
            sidecar.unlink()


def _harmonize_scan(scan: DerivedScan, harmonizer: Harmonizer, image: Path) -> None:
    volume, affine = read_image(scan.t1w)
    head_mask, _ = read_mask(scan.head_mask)
    brain_mask = head_mask if scan.brain_mask is None else read_mask(scan.brain_mask)[0]
    harmonized = harmonize_image(
        harmonizer, volume, site=scan.site, head_mask=head_mask, brain_mask=brain_mask
    )
    write_image(image, harmonized, affine)


def _is_current(image: Path, model: Mapping[str, Any], source_sha256: str) -> bool:
    sidecar = sidecar_path(image)
    if not (image.is_file() and sidecar.is_file()):
        return False
    found = read_json(sidecar)
    return (
        found.get("HarmonizationModelSha256") == model["sha256"]
        and found.get("HarmonizationFingerprint") == model["fingerprint"]
        and found.get("InputSha256") == source_sha256
    )


def _made_by(sidecar: Path) -> tuple[str, str]:
    found = read_json(sidecar)
    return str(found.get("Harmonizer")), str(found.get("HarmonizationReference"))
