"""What a participant's page says of one scan."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_harmonize.bids.images import read_grid
from bids_harmonize.bids.names import scan_output, scans_table
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.scans import scan_row
from bids_harmonize.bids.sidecars import read_json, sidecar_path
from bids_harmonize.bids.study_measures import StudyMeasures
from bids_harmonize.imaging.geometry import voxel_size_mm
from bids_harmonize.report.figures import data_uri
from bids_harmonize.report.participant_figures import PICTURES, relative_widths, scan_pictures
from bids_harmonize.report.participant_quality import apart_words, measure_rows
from bids_harmonize.report.scan_images import ScanImages

DOUBTFUL = {
    "HeadMaskDoubtful": (
        "The head mask looks wrong. The scan is harmonized, but neither trained on nor scored:"
        " compare the orange outline with the skin."
    ),
    "BrainMaskDoubtful": (
        "The brain mask looks wrong. The scan is harmonized, but neither trained on nor scored:"
        " compare the cyan outline with the brain."
    ),
    "TissueDoubtful": "The tissue maps look wrong: compare their edges with the cortex.",
}
"""Key of the sidecar to the sentence that stands at the top where it is true."""


def describe_scan(output_dir: Path, stem: str, study: StudyMeasures) -> dict[str, Any]:
    """All that the template shows of a scan.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    stem
        Name of the scan.
    study
        Quality measures of all scans that are there so far.

    Returns
    -------
    dict
        Texts, tables and pictures (as ``data:`` texts).
    """
    image = scan_output(output_dir, stem, "preproc")
    sidecar = read_json(sidecar_path(image))
    row = scan_row(output_dir, stem)
    cells: Mapping[str, str | None] = row.cells if row else {}
    shape, affine = read_grid(image)
    quality = measure_rows(sidecar["QualityMeasures"], stem, study)
    pictures = scan_pictures(output_dir, stem, sidecar)
    return {
        "stem": stem,
        "settings": sidecar["Settings"],
        "mask_source": sidecar.get("BrainMaskSource"),
        "site": cells.get("site"),
        "flags": plain_flags(sidecar),
        "apart": apart_words(quality),
        "facts": scan_facts(sidecar, cells, shape=shape, sizes_mm=voxel_size_mm(affine)),
        "quality": quality,
        "has_brain": scan_output(output_dir, stem, "brain_mask").is_file(),
        "pictures": {
            name: data_uri(pictures[name]) if name in pictures else None for name in PICTURES
        },
        "widths": relative_widths(pictures, ("raw", "conformed")),
        "harmonized": harmonized_words(ScanImages(output_dir, stem)),
        "bias_range": sidecar.get("BiasFieldRange"),
        "provenance": [
            *provenance_rows(output_dir, stem, sidecar),
            ("Site read from", cells.get("site_source") or "n/a"),
        ],
    }


def harmonized_words(images: ScanImages) -> dict[str, Any] | None:
    """What is said of a scan's harmonized image; ``None`` where there is none.

    Parameters
    ----------
    images
        Of the scan.

    Returns
    -------
    dict or None
        ``reference``, ``site``, ``method``, ``model``, ``sha256``, ``cautions`` (sentences).
    """
    if images.harmonized is None:
        return None
    _, made = images.harmonized
    cautions = []
    shown = scan_output(images.output_dir, images.stem, "preproc")
    if made.get("InputSha256") != file_sha256(shown):
        cautions.append(
            "It was made from an earlier preprocessed image: run the step that made it again."
        )
    if made.get("HarmonizationUnseenSite"):
        cautions.append(
            f"The model was trained on no scan of {made.get('Site')}: for such a site nothing was "
            "measured."
        )
    return {
        "reference": made.get("HarmonizationReference"),
        "site": made.get("Site"),
        "method": made.get("HarmonizationMethod"),
        "model": made.get("HarmonizationModel") or made.get("Harmonizer"),
        "sha256": made.get("HarmonizationModelSha256"),
        "cautions": cautions,
    }


def plain_flags(sidecar: Mapping[str, Any]) -> list[str]:
    """What looks odd about a scan, as sentences, the gravest first."""
    flags = [f"{str(flag)[:1].upper()}{str(flag)[1:]}." for flag in sidecar["Flags"]]
    grave = [words for key, words in DOUBTFUL.items() if sidecar.get(key)]
    return [*grave, *flags]


def scan_facts(
    sidecar: Mapping[str, Any],
    cells: Mapping[str, str | None],
    *,
    shape: tuple[int, ...],
    sizes_mm: Sequence[float],
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
        ("Head mask confidence", _confidence(sidecar, "HeadMask")),
        ("Brain mask confidence", _confidence(sidecar, "BrainMask")),
        ("Grey, white, fluid", _tissue_volumes(sidecar)),
    ]
    return [(name, value) for name, value in facts if value]


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


def _scanner(sidecar: Mapping[str, Any]) -> str:
    keys = ("Manufacturer", "ManufacturersModelName", "MagneticFieldStrength")
    found = [str(sidecar[key]) for key in keys if sidecar.get(key)]
    if sidecar.get("MagneticFieldStrength"):
        found[-1] += " T"
    return " ".join(found)


def _confidence(sidecar: Mapping[str, Any], mask: str) -> str:
    value = sidecar.get(f"{mask}Confidence")
    if value is None:
        return ""
    source = sidecar.get(f"{mask}Source")
    return f"{float(value):.2f}" + (f" ({source})" if source else "")


def _tissue_volumes(sidecar: Mapping[str, Any]) -> str:
    volumes = sidecar.get("TissueVolumesMl") or {}
    parts = [f"{float(volumes[key]):.0f}" for key in ("gm", "wm", "csf") if key in volumes]
    return f"{', '.join(parts)} mL" if parts else ""


def _by(numbers: Any) -> str:
    return " x ".join(f"{float(number):.4g}" for number in numbers)
