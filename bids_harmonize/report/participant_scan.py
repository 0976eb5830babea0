"""What a participant's page says of one scan."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.bids.names import figures_folder, scan_output, scans_table
from bids_harmonize.bids.scans import scan_row
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.report.figures import (
    BRAIN_COLOUR,
    HEAD_COLOUR,
    data_uri,
    draw_histogram,
)
from bids_harmonize.report.mosaic import Outline, draw_mosaic

DOUBTFUL = (
    "The brain mask looks wrong. The scan is harmonized, but neither trained on nor scored:"
    " compare the cyan outline with the brain."
)


def raw_figure(output_dir: Path, stem: str) -> Path:
    """Where the picture of a raw image lies."""
    return figures_folder(output_dir, stem) / f"{stem}_desc-raw_mosaic.png"


def describe_scan(output_dir: Path, stem: str) -> dict[str, Any]:
    """All that the template shows of a scan.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    stem
        Name of the scan.

    Returns
    -------
    dict
        Texts, tables and pictures (as ``data:`` texts).
    """
    image = scan_output(output_dir, stem, "preproc")
    sidecar = read_json(image.with_name(image.name.replace(".nii.gz", ".json")))
    row = scan_row(output_dir, stem)
    cells: Mapping[str, str | None] = row.cells if row else {}
    measures = sidecar["QualityMeasures"]
    volume, affine = read_image(image)
    head_mask, _ = read_mask(scan_output(output_dir, stem, "head_mask"))
    brain_file = scan_output(output_dir, stem, "brain_mask")
    brain_mask = read_mask(brain_file)[0] if brain_file.is_file() else None
    sizes = (affine[:3, :3] ** 2).sum(axis=0) ** 0.5
    raw = raw_figure(output_dir, stem)
    return {
        "stem": stem,
        "settings": sidecar["Settings"],
        "site": cells.get("site"),
        "flags": plain_flags(sidecar),
        "facts": scan_facts(sidecar, cells, shape=volume.shape, sizes_mm=sizes),
        "quality": quality_rows(measures),
        "mosaic": data_uri(_mosaic(volume, head_mask, brain_mask, sizes)),
        "has_brain": brain_mask is not None,
        "raw": data_uri(raw.read_bytes()) if raw.is_file() else None,
        "histogram": data_uri(_histogram(volume, head_mask, brain_mask)),
        "provenance": [
            *provenance_rows(output_dir, stem, sidecar),
            ("Site read from", cells.get("site_source") or "n/a"),
        ],
    }


def plain_flags(sidecar: Mapping[str, Any]) -> list[str]:
    """What looks odd about a scan, as sentences, the gravest first."""
    flags = [f"{str(flag)[:1].upper()}{str(flag)[1:]}." for flag in sidecar["Flags"]]
    return [DOUBTFUL, *flags] if sidecar["BrainMaskDoubtful"] else flags


def scan_facts(
    sidecar: Mapping[str, Any],
    cells: Mapping[str, str | None],
    *,
    shape: tuple[int, ...],
    sizes_mm: np.ndarray,
) -> list[tuple[str, str]]:
    """Name and value of what one wants to know first.

    Parameters
    ----------
    sidecar
        Of the preprocessed image.
    cells
        The scan's row of ``scans.tsv``.
    shape, sizes_mm
        The study grid: voxels, and voxel sizes in mm.

    Returns
    -------
    list of tuple
        In the order of the page.
    """
    native = sidecar["NativeGrid"]
    facts = [
        ("Site", cells.get("site") or "not known"),
        ("Scanner", _scanner(sidecar)),
        ("Raw image", f"{_by(native['shape'])} voxels, {native['orientation']}"),
        ("Raw voxel size", f"{_by(native['voxel_size_mm'])} mm"),
        ("Study grid", f"{_by(shape)} voxels"),
        ("Study voxel size", f"{_by(sizes_mm)} mm"),
    ]
    return [(name, value) for name, value in facts if value]


def quality_rows(measures: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Quality measures with what one needs to read them."""
    return [
        {
            "name": name,
            "value": measures[name],
            "unit": row.unit,
            "direction": row.direction,
            "description": row.description,
            "citation": row.citation,
        }
        for name, row in QUALITY_MEASURES.items()
        if name in measures
    ]


def provenance_rows(
    output_dir: Path, stem: str, sidecar: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Where the scan comes from and where its outputs lie."""
    folder = scan_output(output_dir, stem, "preproc").parent
    return [
        ("Source", ", ".join(sidecar["Sources"])),
        ("SHA-256 of the source", sidecar["InputSha256"]),
        ("Software", f"bids-harmonize {sidecar['SoftwareVersion']}"),
        ("Hash of the settings", sidecar["SettingsHash"]),
        ("Outputs", f"{folder.relative_to(output_dir).as_posix()}/{stem}_*"),
        ("Table", scans_table(output_dir, stem).relative_to(output_dir).as_posix()),
    ]


def _mosaic(
    volume: np.ndarray, head: np.ndarray, brain: np.ndarray | None, sizes: np.ndarray
) -> bytes:
    outlines = [Outline(head, HEAD_COLOUR)]
    if brain is not None:
        outlines.append(Outline(brain, BRAIN_COLOUR))
    focus = head if brain is None or not brain.any() else brain
    return draw_mosaic(volume, voxel_sizes_mm=sizes.tolist(), outlines=outlines, focus=focus)


def _histogram(volume: np.ndarray, head: np.ndarray, brain: np.ndarray | None) -> bytes:
    values = {"head": volume[head]}
    if brain is not None and brain.any():
        values["brain"] = volume[brain]
    return draw_histogram(values, label="intensity (native units)")


def _scanner(sidecar: Mapping[str, Any]) -> str:
    keys = ("Manufacturer", "ManufacturersModelName", "MagneticFieldStrength")
    found = [str(sidecar[key]) for key in keys if sidecar.get(key)]
    if sidecar.get("MagneticFieldStrength"):
        found[-1] += " T"
    return " ".join(found)


def _by(numbers: Any) -> str:
    return " x ".join(f"{float(number):.4g}" for number in numbers)
