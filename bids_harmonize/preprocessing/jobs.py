"""From a scan and the settings to the job that a worker takes."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from bids_harmonize._version import __version__
from bids_harmonize.bids.index import Scan
from bids_harmonize.config import Settings, settings_hash
from bids_harmonize.preprocessing.derivatives import ScanJob


def make_job(scan: Scan, output_dir: Path, settings: Settings, *, run_id: str) -> ScanJob:
    """What a worker must know of a scan.

    Parameters
    ----------
    scan
        With the brain mask that a derivative dataset has for it.
    output_dir
        Root of the derivative.
    settings
        All settings; those of ``preprocessing`` shape the images.
    run_id
        Of this run.

    Returns
    -------
    ScanJob
        Plain values.
    """
    source = scan.path.absolute()
    return ScanJob(
        stem=scan.stem,
        source=str(source),
        dataset=str(source.parents[2 if scan.session_id is None else 3]),
        output_dir=str(output_dir),
        settings=asdict(settings.preprocessing),
        settings_hash=output_hash(settings),
        run_id=run_id,
        given_mask=_given_mask(scan),
        looked_in=sorted(settings.selection.derivatives),
        dataset_name=scan.dataset,
    )


def output_hash(settings: Settings) -> str:
    """Hash of the settings that shape the output.

    Without any brain mask, tissue is no question; the content of a derivative dataset's mask is
    compared scan by scan.
    """
    wanted = asdict(settings.preprocessing)
    if wanted["brain_mask"] == "none" and not settings.selection.derivatives:
        wanted["tissue"] = False
    return settings_hash(wanted, __version__)


def _given_mask(scan: Scan) -> dict[str, Any] | None:
    given = scan.given_mask
    if given is None:
        return None
    return {
        "path": str(given.path),
        "name": given.name,
        "root": str(given.root),
        "lacks": [f"{key}-{scan.entities[key]}" for key in given.lacks],
    }
