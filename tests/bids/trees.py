"""Tiny BIDS trees: raw datasets and derivatives of 8 x 8 x 8 voxels."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import scan_output, stem_folder
from bids_harmonize.bids.scans import write_scan_rows

MEASURES = {"snr": {"Description": "Signal to noise.", "Units": "1"}}


def write_volume(path: Path, *, shape=(8, 8, 8), size_mm=2.0, dtype=np.float32) -> Path:
    """An image of random voxels, the same each time."""
    volume = np.random.default_rng(0).integers(1, 100, shape)
    write_image(path, volume, np.diag([size_mm, size_mm, size_mm, 1.0]), dtype=dtype)
    return path


def write_raw(bids_dir: Path, stems: Iterable[str], *, participants: str | None = None) -> Path:
    """A raw dataset with one T1w image a stem."""
    bids_dir.mkdir(parents=True, exist_ok=True)
    description = {"Name": "Tiny", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (bids_dir / "dataset_description.json").write_text(json.dumps(description))
    if participants is not None:
        (bids_dir / "participants.tsv").write_text(participants)
    for stem in stems:
        write_volume(bids_dir / stem_folder(stem) / "anat" / f"{stem}_T1w.nii.gz")
    return bids_dir


def write_derivative(
    output_dir: Path,
    sites: Mapping[str, str | None],
    *,
    doubtful: Iterable[str] = (),
    brain_mask: bool = True,
    site_source: str = "participants.tsv:site",
) -> Path:
    """What the participant level leaves behind, for stem -> site."""
    kinds = ["preproc", "head_mask", *(["brain_mask"] if brain_mask else [])]
    rows = {}
    for stem, site in sites.items():
        for kind in kinds:
            write_volume(scan_output(output_dir, stem, kind))
        rows[stem] = {
            "site": site,
            "site_source": site_source if site else None,
            "brain_mask_doubtful": stem in doubtful,
            "snr": 12.5,
        }
    write_scan_rows(output_dir, rows, measures=MEASURES)
    return output_dir


def two_sites(n_per_site: int = 5) -> dict[str, str]:
    """Stem -> site: people a1.. at site A and b1.. at site B."""
    return {
        f"sub-{site.lower()}{number}": site for site in "AB" for number in range(1, n_per_site + 1)
    }
