"""What stands beside harmonized images: rows of ``scans.tsv``, and who made them.

Everything is read from the images' own sidecars, so a run that was killed is made good by the
next one, and both levels and both ways (fitted here, or ``--model-dir``) leave the same words.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bids_harmonize.bids.claims import TABLES, Claims
from bids_harmonize.bids.dataset import write_descriptions
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.names import OUTPUTS, scan_output, scans_table, site_label
from bids_harmonize.bids.provenance import keep_models
from bids_harmonize.bids.scan_columns import HARMONIZED_COLUMNS
from bids_harmonize.bids.scans import fill_scan_rows
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.errors import ScanError

_PATTERN = OUTPUTS["harmonized"].pattern.format(reference="*").replace(".nii.gz", ".json")


def harmonized_sidecars(output_dir: Path, people: Iterable[str] = ("sub-*",)) -> Iterator[Path]:
    """Sidecars of harmonized images, sorted within each folder.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    people
        With ``sub-``; all by default.

    Yields
    ------
    Path
        Of every session.
    """
    for person in people:
        for folder in (f"{person}/anat", f"{person}/ses-*/anat"):
            yield from sorted(output_dir.glob(f"{folder}/*{_PATTERN}"))


def sidecars_of(output_dir: Path, stem: str) -> list[Path]:
    """Sidecars of the harmonized images of one scan; more than one while they are replaced."""
    folder = scan_output(output_dir, stem, "preproc").parent
    return sorted(folder.glob(f"{stem}{_PATTERN}"))


def record_harmonized(output_dir: Path, stems: Iterable[str], claims: Claims) -> None:
    """Bring the tables and descriptions of the dataset up to date with harmonized images.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    stems
        Scans that were looked at: those without a harmonized image lose what was said of one.
    claims
        Of this process; other jobs may write the same tables.

    Raises
    ------
    BusyError
        If another run holds a table all the time.
    OutputError, StorageError
        If a file cannot be written.
    """
    by_table: dict[Path, dict[str, dict[str, Any]]] = {}
    made: dict[str, dict[str, Any]] = {}
    for stem in stems:
        cells: dict[str, Any] = dict.fromkeys(HARMONIZED_COLUMNS)
        for sidecar in sidecars_of(output_dir, stem):
            try:
                found = read_json(sidecar)
            except ScanError:
                continue
            cells = _cells(found)
            made[str(found.get("HarmonizationReference"))] = found
        by_table.setdefault(scans_table(output_dir, stem), {})[stem] = cells
    for table, rows in by_table.items():
        if table.is_file():
            with claims.holding(table.name):
                fill_scan_rows(table, rows)
    if made:
        with claims.holding(TABLES):
            _describe(output_dir, made)


def _cells(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    keys = {
        "harmonized_to": "HarmonizationReference",
        "harmonization_method": "HarmonizationMethod",
        "harmonization_model_sha256": "HarmonizationModelSha256",
        "unseen_site": "HarmonizationUnseenSite",
        "harmonization_distance": "HarmonizationDistance",
    }
    return {column: sidecar.get(key) for column, key in keys.items()}


def _describe(output_dir: Path, made: Mapping[str, Mapping[str, Any]]) -> None:
    """Name the models in ``dataset_description.json`` and the labels in ``descriptions.tsv``."""
    path = output_dir / "dataset_description.json"
    description = read_json(path) if path.is_file() else {}
    if description:
        models = [_generated_by(site, sidecar) for site, sidecar in sorted(made.items())]
        description["GeneratedBy"] = keep_models(description.get("GeneratedBy"), models)
        write_json(path, description)
    write_descriptions(output_dir, harmonized_to=[site_label(site) for site in made])


def _generated_by(site: str, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    label = site_label(site)
    return {
        "Name": str(
            sidecar.get("HarmonizationModel") or f"{sidecar.get('Harmonizer')}_to-{label}"
        ),
        "Description": (
            f"Harmonizer that made the desc-harmonized{label} images: {sidecar.get('Harmonizer')} "
            f"to {site}; SHA-256 of its weights: {sidecar.get('HarmonizationModelSha256')}."
        ),
    }
