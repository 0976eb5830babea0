"""The page of one participant: what came in, what was made of it, and whether to trust it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bids_harmonize.bids.files import replacing
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import OUTPUTS, crash_file, participant_page
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.orientation import to_ras
from bids_harmonize.report.mosaic import draw_mosaic
from bids_harmonize.report.page import render_page, write_page
from bids_harmonize.report.participant_methods import REFERENCES, methods_paragraphs
from bids_harmonize.report.participant_scan import describe_scan, raw_figure

N_RAW_SLICES = 3


def write_participant_page(output_dir: Path, participant_id: str) -> Path:
    """The path of the participant's page, made from files of the derivative alone.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    participant_id
        With ``sub-``.

    Returns
    -------
    Path
        ``<output_dir>/<participant_id>.html``; it needs no other file and no network.

    Raises
    ------
    OutputError, StorageError
        If it cannot be written.
    """
    scans = [describe_scan(output_dir, stem) for stem in find_stems(output_dir, participant_id)]
    settings = scans[0]["settings"] if scans else {}
    html = render_page(
        "participant.html.j2",
        {
            "participant_id": participant_id,
            "scans": scans,
            "failures": find_failures(output_dir, participant_id),
            "flagged": [scan for scan in scans if scan["flags"]],
            "methods": methods_paragraphs(settings) if settings else [],
            "references": REFERENCES,
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
        One a scan that can be read; a picture that is newer than its image is left alone.

    Raises
    ------
    OutputError, StorageError
        If a picture cannot be written.
    """
    return tuple(path for scan in scans if (path := _draw_raw_figure(scan, output_dir)))


def find_stems(output_dir: Path, participant_id: str) -> tuple[str, ...]:
    """Stems of a participant's preprocessed scans, sorted."""
    ending = OUTPUTS["preproc"].pattern
    found = (output_dir / participant_id).glob(f"**/anat/{participant_id}*{ending}")
    return tuple(sorted(path.name.removesuffix(ending) for path in found))


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
    try:
        if path.is_file() and path.stat().st_mtime >= scan.path.stat().st_mtime:
            return path
        volume, affine = to_ras(*read_image(scan.path))
    except (ScanError, OSError):
        return None
    sizes = (affine[:3, :3] ** 2).sum(axis=0) ** 0.5
    picture = draw_mosaic(volume, voxel_sizes_mm=sizes.tolist(), n_slices=N_RAW_SLICES)
    with replacing(path) as temporary:
        temporary.write_bytes(picture)
    return path
