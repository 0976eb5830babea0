"""Whether an earlier run already did a scan, and the row that every finished scan has."""

from pathlib import Path
from typing import Any

from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.preprocessing.derivatives import (
    BRAIN_KEYS,
    OUTPUT_KEYS,
    ScanJob,
    sidecar_path,
)


def finished_sidecar(job: ScanJob) -> dict[str, Any] | None:
    """The sidecar of a scan that an earlier run finished from the same input, else ``None``.

    Parameters
    ----------
    job
        What is to be done.

    Returns
    -------
    dict or None
        ``None`` unless all outputs stand, made with the same settings from the same input.
    """
    sidecar = complete_sidecar(job)
    if sidecar is None:
        return None
    try:
        unchanged = sidecar.get("InputSha256") == file_sha256(Path(job.source))
    except ScanError:
        return None
    return sidecar if unchanged else None


def complete_sidecar(job: ScanJob) -> dict[str, Any] | None:
    """The sidecar of a scan all of whose outputs stand, made with the same settings."""
    keys = OUTPUT_KEYS if job.settings["brain_mask"] == "none" else (*OUTPUT_KEYS, *BRAIN_KEYS)
    paths = [path for key in keys for path in (job.output(key), sidecar_path(job.output(key)))]
    if not all(path.is_file() for path in paths):
        return None
    try:
        sidecar = read_json(sidecar_path(job.output("preproc")))
    except ScanError:
        return None
    return sidecar if sidecar.get("SettingsHash") == job.settings_hash else None


def table_row(scan: Scan, sidecar: dict[str, Any]) -> dict[str, Any]:
    """The scan's cells of ``scans.tsv``.

    Parameters
    ----------
    scan
        With its site as it is known now.
    sidecar
        Of the preprocessed image.

    Returns
    -------
    dict
        Column to value.
    """
    native = sidecar["NativeGrid"]
    return {
        "site": scan.site,
        "site_source": scan.site_source,
        "brain_mask_doubtful": sidecar["BrainMaskDoubtful"],
        "flags": ", ".join(sidecar["Flags"]) or None,
        "native_shape": "x".join(str(length) for length in native["shape"]),
        "native_orientation": native["orientation"],
        "native_datatype": native.get("datatype"),
        **sidecar["QualityMeasures"],
        "settings_hash": sidecar["SettingsHash"],
        "input_sha256": sidecar["InputSha256"],
    }


def measure_columns() -> dict[str, dict[str, str]]:
    """Name of every quality measure to what its column of ``scans.tsv`` says."""
    return {
        name: {"Description": row.description, "Units": row.unit, "Direction": row.direction}
        for name, row in QUALITY_MEASURES.items()
    }
