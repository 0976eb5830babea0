"""What is written beside a phantom dataset: the answers."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize._version import __version__
from bids_harmonize.bids.files import write_json, write_text
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.tables import write_table
from bids_harmonize.phantom import metadata
from bids_harmonize.phantom.acquisition import truth_at_rest
from bids_harmonize.phantom.design import PlannedPerson
from bids_harmonize.phantom.disorder import ATROPHY_PATTERNS
from bids_harmonize.phantom.person import Person
from bids_harmonize.phantom.scanner import Scanner
from bids_harmonize.phantom.tissues import TISSUES

_README = """# Truth of a phantom study

Made by {generator} {version}. Not part of the BIDS dataset beside it: no pipeline may read this.

* `study.json`: the design, the tissue labels, the planted atrophy patterns and their regions
  (MNI mm; right half, mirrored).
* `scanners.json`: every parameter of every scanner; `cue` where a site alone shows a bright patch.
* `participants.tsv`: age, sex, size, ventricles, grey matter, skull, scalp, true subtype.
* `scans.json`: head position, gain, coil and noise seed of every acquisition, and
  `scan_to_truth_world`: 4x4, from the scan's world (mm) to that of `heads/`; `cue_mm` where the
  scan shows its site's bright patch: the patch's centre in the scan's world (mm, RAS+).
* `heads/`: tissue labels, head mask and brain mask of everybody at rest, all on one grid.
* `noisefree/` (if asked for): every scan without its noise, on the scan's own grid.
"""


def truth_folder(bids_dir: Path) -> Path:
    """Where the truth of a dataset lies: beside it, never inside.

    Parameters
    ----------
    bids_dir
        Root of the raw dataset.

    Returns
    -------
    Path
        ``<bids_dir>-truth``, absolute.
    """
    resolved = bids_dir.resolve()
    return resolved.with_name(f"{resolved.name}-truth")


def write_head(truth_dir: Path, participant_id: str, person: Person) -> None:
    """Write labels, head mask and brain mask of a head at rest.

    Parameters
    ----------
    truth_dir
        Root of the truth.
    participant_id
        ``sub-A001``.
    person
        The head.
    """
    masks = truth_at_rest(person)
    for name, volume in (("labels", masks.labels), ("head", masks.head), ("brain", masks.brain)):
        path = truth_dir / "heads" / f"{participant_id}_{name}.nii.gz"
        write_image(path, volume, person.affine, dtype=np.uint8)


def write_noise_free(truth_dir: Path, stem: str, volume: np.ndarray, affine: np.ndarray) -> None:
    """Write the noise-free image of one scan.

    Parameters
    ----------
    truth_dir
        Root of the truth.
    stem
        The scan's name without ``_T1w.nii.gz``.
    volume, affine
        On the scan's own grid.
    """
    write_image(truth_dir / "noisefree" / f"{stem}_T1w.nii.gz", volume, affine)


def write_tables(
    truth_dir: Path,
    design: Mapping[str, Any],
    people: tuple[PlannedPerson, ...],
    scanners: tuple[Scanner, ...],
    scans: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write everything but the images.

    Parameters
    ----------
    truth_dir
        Root of the truth.
    design
        Fields of the study's design.
    people
        Everybody.
    scanners
        One a site.
    scans
        Stem to what was done.
    """
    generator = {"Name": metadata.GENERATOR, "Version": __version__}
    write_text(
        truth_dir / "README.md",
        _README.format(generator=metadata.GENERATOR, version=__version__),
    )
    study = {
        "GeneratedBy": [generator],
        "design": dict(design),
        "labels": {tissue.name: tissue.label for tissue in TISSUES},
        "patterns": [asdict(pattern) for pattern in ATROPHY_PATTERNS],
    }
    write_json(truth_dir / "study.json", study)
    names = [tissue.name for tissue in TISSUES]
    described = {}
    for scanner in scanners:
        record = asdict(scanner)
        if scanner.cue is None:
            del record["cue"]
        record["intensities"] = dict(zip(names, scanner.intensities, strict=True))
        described[scanner.name] = record
    write_json(truth_dir / "scanners.json", described)
    rows = [
        {"participant_id": p.participant_id, "site": p.site, "group": p.group, **asdict(p.traits)}
        for p in people
    ]
    write_table(truth_dir / "participants.tsv", pd.DataFrame(rows), metadata.TRUTH_COLUMNS)
    write_json(truth_dir / "scans.json", scans)
