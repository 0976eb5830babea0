"""Whether an earlier run already did a scan, and the row that every finished scan has."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import OUTPUTS
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.sidecars import own_part, read_json, read_sidecar, sidecar_path, with_own
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.preprocessing.derivatives import ScanJob
from bids_harmonize.preprocessing.integrity import are_unchanged

LOGGER = logging.getLogger(__name__)


def finished_sidecar(job: ScanJob) -> dict[str, Any] | None:
    """The sidecar of a scan that an earlier run finished from the same input, else ``None``.

    Voxels decide whether the scan is done again; where only the metadata of the raw image changed,
    the sidecar is written anew.

    Parameters
    ----------
    job
        What is to be done.

    Returns
    -------
    dict or None
        ``None`` unless all outputs stand, made with the same settings from the same input.
    """
    sidecar = current_sidecar(job)
    if sidecar is None:
        return None
    try:
        metadata = read_sidecar(Path(job.source), root=Path(job.dataset))
    except ScanError:
        return None
    fresh = with_own(metadata, own_part(sidecar))
    if fresh != sidecar:
        LOGGER.info("%s: metadata of the raw image changed; sidecar written again", job.stem)
        write_json(sidecar_path(job.output("preproc")), fresh)
    return fresh


def current_sidecar(job: ScanJob) -> dict[str, Any] | None:
    """As :func:`complete_sidecar`, but only if it was made from what the inputs hold now.

    The inputs are the raw image and, where there is one, the brain mask of a derivative dataset.
    """
    sidecar = complete_sidecar(job)
    if sidecar is None:
        return None
    try:
        given = None if job.given_mask is None else file_sha256(Path(job.given_mask["path"]))
        unchanged = sidecar.get("InputSha256") == file_sha256(Path(job.source))
        unchanged = unchanged and sidecar.get("BrainMaskSha256") == given
        unchanged = unchanged and sidecar.get("Sources") == [job.source_uri]
    except ScanError:
        return None
    return sidecar if unchanged else None


def complete_sidecar(job: ScanJob) -> dict[str, Any] | None:
    """The sidecar of a scan all of whose outputs stand unchanged, made with the same settings."""
    paths = [job.output(key) for key in job.output_keys()]
    paths += [sidecar_path(path) for path in paths]
    if not all(path.is_file() for path in paths):
        return None
    try:
        sidecar = read_json(sidecar_path(job.output("preproc")))
    except ScanError:
        return None
    if sidecar.get("SettingsHash") != job.settings_hash:
        return None
    return sidecar if are_unchanged(sidecar, job.output("preproc").parent) else None


def outdated_images(job: ScanJob) -> tuple[Path, ...]:
    """Harmonized images of a scan that were made from another image than the one that stands."""
    image = job.output("preproc")
    pattern = OUTPUTS["harmonized"].pattern.format(reference="*")
    found = sorted(image.parent.glob(f"{job.stem}{pattern}"))
    if not found:
        return ()
    try:
        now = file_sha256(image)
    except ScanError:
        return ()
    return tuple(path for path in found if _made_from(path) != now)


def _made_from(harmonized: Path) -> str | None:
    try:
        return read_json(sidecar_path(harmonized)).get("InputSha256")
    except ScanError:
        return None


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
    volumes = sidecar["TissueVolumesMl"] or {}
    native = sidecar["NativeGrid"]
    return {
        "site": scan.site,
        "site_source": scan.site_source,
        "head_mask_confidence": sidecar["HeadMaskConfidence"],
        "head_mask_doubtful": sidecar["HeadMaskDoubtful"],
        "brain_mask_source": sidecar["BrainMaskSource"],
        "brain_mask_confidence": sidecar["BrainMaskConfidence"],
        "brain_mask_doubtful": sidecar["BrainMaskDoubtful"],
        "tissue_doubtful": sidecar["TissueDoubtful"] if volumes else None,
        **{f"{name}_volume_ml": volumes.get(name) for name in ("gm", "wm", "csf")},
        "flags": "; ".join(flag.replace("; ", ", ") for flag in sidecar["Flags"]) or None,
        "native_shape": "x".join(str(length) for length in native["shape"]),
        "native_orientation": native["orientation"],
        "native_datatype": native.get("datatype"),
        **sidecar["QualityMeasures"],
        "settings_hash": sidecar["SettingsHash"],
        "input_sha256": sidecar["InputSha256"],
    }


def doubtful_masks(sidecar: Mapping[str, Any]) -> tuple[str, ...]:
    """Which masks of a finished scan should not be trusted: ``head``, ``brain``."""
    return tuple(name.lower() for name in ("Head", "Brain") if sidecar[f"{name}MaskDoubtful"])


def measure_columns() -> dict[str, dict[str, str]]:
    """Name of every quality measure to what its column of ``scans.tsv`` says."""
    return {
        name: {"Description": row.description, "Units": row.unit, "Direction": row.direction}
        for name, row in QUALITY_MEASURES.items()
    }
