"""The page of one participant: what came in, what was made of it, and whether to trust it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bids_harmonize.bids.files import replacing
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import OUTPUTS, crash_file, participant_page
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.bids.study_measures import StudyMeasures, read_study_measures
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.orientation import to_ras
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.report.page import render_page, write_page
from bids_harmonize.report.participant_figures import draw_raw, raw_figure
from bids_harmonize.report.participant_methods import write_methods
from bids_harmonize.report.participant_scan import describe_scan
from bids_harmonize.report.scan_images import ScanImages


def write_participant_page(
    output_dir: Path, participant_id: str, *, study: StudyMeasures | None = None
) -> Path:
    """The path of the participant's page, made from files of the derivative alone.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    participant_id
        With ``sub-``.
    study
        Quality measures of all scans that are there so far; read from ``output_dir`` by default,
        which who writes many pages does once.

    Returns
    -------
    Path
        ``<output_dir>/<participant_id>.html``; it needs no other file and no network.

    Raises
    ------
    OutputError, StorageError
        If it cannot be written.
    """
    if study is None:
        study = read_study_measures(output_dir, tuple(QUALITY_MEASURES))
    stems = find_stems(output_dir, participant_id)
    scans = [describe_scan(output_dir, stem, study) for stem in stems]
    settings = scans[0]["settings"] if scans else {}
    sources = [scan["mask_source"] for scan in scans if scan["mask_source"]]
    methods, references = write_methods(settings, mask_sources=sources) if settings else ([], [])
    html = render_page(
        "participant.html.j2",
        {
            "participant_id": participant_id,
            "scans": scans,
            "failures": find_failures(output_dir, participant_id),
            "flagged": [scan for scan in scans if scan["flags"] or scan["apart"]],
            "methods": methods,
            "references": references,
            "n_study_scans": len(study.stems),
            "settings": settings,
        },
    )
    return write_page(participant_page(output_dir, participant_id), html)


def draw_raw_figures(scans: Iterable[Scan], output_dir: Path) -> tuple[Path, ...]:
    """Pictures of the raw images, drawn while these are at hand.

    Parameters
    ----------
    scans
        Of any participants.
    output_dir
        Root of the derivative; the pictures go to each session's ``figures``.

    Returns
    -------
    tuple of Path
        One a scan that can be read; a picture that is newer than its raw and its preprocessed
        image is left alone.

    Raises
    ------
    OutputError, StorageError
        If a picture cannot be written.
    """
    return tuple(path for scan in scans if (path := _draw_raw_figure(scan, output_dir)))


def find_stems(output_dir: Path, participant_id: str) -> tuple[str, ...]:
    """Stems of a participant's preprocessed scans, sorted.

    An image without its sidecar is unfinished: a run is at it, or was killed.
    """
    ending = OUTPUTS["preproc"].pattern
    found = (output_dir / participant_id).glob(f"**/anat/{participant_id}*{ending}")
    return tuple(
        sorted(path.name.removesuffix(ending) for path in found if sidecar_path(path).is_file())
    )


def find_failures(output_dir: Path, participant_id: str) -> list[dict[str, str]]:
    """Scans that failed; once a later run has done a scan, its crash files are gone.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    participant_id
        With ``sub-``.

    Returns
    -------
    list of dict
        ``stem``, ``message`` and ``file`` of the newest crash file of each scan.
    """
    newest: dict[str, Path] = {}
    folder = crash_file(output_dir, participant_id, "*").parent.parent
    for path in sorted(folder.glob("*/crash-*.txt")):
        newest[path.stem.removeprefix("crash-")] = path
    failures: list[dict[str, Any]] = []
    for stem, path in sorted(newest.items()):
        message = path.read_text(encoding="utf-8").partition("\n")[0]
        file = path.relative_to(output_dir).as_posix()
        failures.append({"stem": stem, "message": message.removeprefix(f"{stem}: "), "file": file})
    return failures


def _draw_raw_figure(scan: Scan, output_dir: Path) -> Path | None:
    path = raw_figure(output_dir, scan.stem)
    images = ScanImages(output_dir, scan.stem)
    try:
        shown = [file for file in (scan.path, images.file("preproc")) if file is not None]
        if path.is_file() and path.stat().st_mtime >= max(file.stat().st_mtime for file in shown):
            return path
        picture = draw_raw(images, *to_ras(*read_image(scan.path)))
    except (ScanError, OSError):
        return None
    with replacing(path) as temporary:
        temporary.write_bytes(picture)
    return path
