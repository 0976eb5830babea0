"""A whole phantom study on disk: the raw BIDS dataset, and its truth beside it."""

import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize._version import __version__
from bids_harmonize.bids.files import write_json, write_text
from bids_harmonize.bids.tables import write_table
from bids_harmonize.errors import UsageError
from bids_harmonize.phantom import metadata
from bids_harmonize.phantom.acquisition import simulate
from bids_harmonize.phantom.design import PlannedPerson, StudyDesign, plan_people
from bids_harmonize.phantom.images import write_raw_image
from bids_harmonize.phantom.person import make_person
from bids_harmonize.phantom.presets import PRESETS
from bids_harmonize.phantom.scanner import Scanner, make_scanners
from bids_harmonize.phantom.seeds import named_generator
from bids_harmonize.phantom.session import Session, draw_session
from bids_harmonize.phantom.truth import truth_folder, write_head, write_noise_free, write_tables

_LOG = logging.getLogger(__name__)
N_RUNS = 2  # of a travelling subject at every site: the second gives the scan-rescan ceiling
_SUFFIX = "_T1w.nii.gz"


@dataclass(frozen=True)
class ScanTruth:
    """What was done to make one scan.

    Attributes
    ----------
    stem
        ``sub-A001`` or ``sub-trav001_ses-SiteA_run-1``.
    path
        The T1w file.
    participant_id, site
        Who and where.
    session
        Position, gain, coil and noise of this acquisition.
    to_person
        4x4, from the scan's world to the world of the truth's heads, mm.
    cue_mm
        Centre of the site's bright patch in the scan's world, mm; ``None`` without one.
    """

    stem: str
    path: Path
    participant_id: str
    site: str
    session: Session
    to_person: np.ndarray
    cue_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class StudyTruth:
    """Everything that is known about a study that was written.

    Attributes
    ----------
    bids_dir, truth_dir
        The dataset, and the folder beside it.
    design
        What was asked for.
    people
        Everybody with traits, in the order of participants.tsv.
    scanners
        One a site.
    scans
        One a T1w file.
    """

    bids_dir: Path
    truth_dir: Path
    design: StudyDesign
    people: tuple[PlannedPerson, ...]
    scanners: tuple[Scanner, ...]
    scans: tuple[ScanTruth, ...]


def write_study(bids_dir: Path, **design: Any) -> StudyTruth:
    """Write a phantom study and its truth (``<bids_dir>-truth``).

    Parameters
    ----------
    bids_dir
        Root of the raw dataset to come; absent, empty, or an earlier phantom (replaced).
    **design
        Fields of :class:`~bids_harmonize.phantom.design.StudyDesign`: ``preset``, ``n_sites``,
        ``n_per_site``, ``n_travelling``, ``resolution_mm``, ``seed``, ``n_cases``, ...

    Returns
    -------
    StudyTruth
        What was written; about 2 s a participant and .2 s a scan at 4 mm.

    Raises
    ------
    UsageError
        For a design that cannot be made, or a folder that holds something else.
    OutputError
        If it cannot be written.
    """
    chosen = StudyDesign(**design)
    bids_dir = Path(bids_dir)
    truth_dir = truth_folder(bids_dir)
    _make_room(bids_dir, marker="dataset_description.json")
    _make_room(truth_dir, marker="study.json")
    people = plan_people(chosen)
    scanners = make_scanners(
        PRESETS[chosen.preset],
        n_sites=chosen.n_sites,
        resolution_mm=chosen.resolution_mm,
        seed=chosen.seed,
    )
    _write_root(bids_dir, truth_dir, chosen, people)
    scans: list[ScanTruth] = []
    for count, planned in enumerate(people, start=1):
        scans += _write_person(bids_dir, truth_dir, chosen, planned, scanners)
        _LOG.info("%s (%d of %d)", planned.participant_id, count, len(people))
    truth = StudyTruth(bids_dir, truth_dir, chosen, people, scanners, tuple(scans))
    write_tables(truth_dir, asdict(chosen), people, scanners, {s.stem: _record(s) for s in scans})
    return truth


def _record(scan: ScanTruth) -> dict[str, Any]:
    record = {
        "site": scan.site,
        **asdict(scan.session),
        "scan_to_truth_world": scan.to_person.round(6).tolist(),
    }
    if scan.cue_mm is not None:
        record["cue_mm"] = [round(value, 3) for value in scan.cue_mm]
    return record


def _make_room(folder: Path, *, marker: str) -> None:
    """Take away an earlier phantom's files; refuse anything else."""
    if folder.is_file():
        message = f"{folder} is a file; expected a folder to write the phantom study to"
        raise UsageError(message)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        maker = json.loads((folder / marker).read_text())["GeneratedBy"][0]["Name"]
    except (OSError, ValueError, LookupError, TypeError):
        maker = None
    if maker != metadata.GENERATOR:
        message = f"{folder} is not empty and no phantom study; give another folder"
        raise UsageError(message)
    for old in (*folder.glob("sub-*"), folder / "heads", folder / "noisefree"):
        if old.is_dir():
            shutil.rmtree(old)


def _write_root(
    bids_dir: Path, truth_dir: Path, design: StudyDesign, people: tuple[PlannedPerson, ...]
) -> None:
    name = f"Phantom study, preset {design.preset}"
    write_json(bids_dir / "dataset_description.json", metadata.dataset_description(name))
    readme = metadata.README.format(
        generator=metadata.GENERATOR,
        version=__version__,
        description=PRESETS[design.preset].description,
        truth=truth_dir.name,
        **asdict(design),
    )
    write_text(bids_dir / "README.md", readme)
    columns = dict(metadata.PARTICIPANT_COLUMNS)
    if design.n_cases:
        columns["group"] = metadata.GROUP_COLUMN
    rows = [
        {
            "participant_id": person.participant_id,
            "site": person.site,
            "age": person.traits.age,
            "sex": person.traits.sex,
            "group": person.group,
        }
        for person in people
    ]
    write_table(bids_dir / "participants.tsv", pd.DataFrame(rows)[list(columns)], columns)


def _write_person(
    bids_dir: Path,
    truth_dir: Path,
    design: StudyDesign,
    planned: PlannedPerson,
    scanners: tuple[Scanner, ...],
) -> list[ScanTruth]:
    """All scans of one participant, and the truth of the head."""
    person = make_person(design.seed, planned.label, traits=planned.traits, base_mm=design.base_mm)
    write_head(truth_dir, planned.participant_id, person)
    travels = planned.site is None
    scans = []
    for index, scanner in enumerate(scanners):
        if not travels and planned.site != scanner.name:
            continue
        kind = 0 if PRESETS[design.preset].one_scanner else index
        described = metadata.sidecar(scanner, index=kind, seed=design.seed)
        for run in range(1, N_RUNS + 1) if travels else (1,):
            rng = named_generator(design.seed, "session", planned.label, scanner.name, run)
            session = draw_session(rng)
            scan = simulate(person, scanner, session)
            path = bids_dir / _scan_path(planned, scanner.name, run)
            stem = path.name.removesuffix(_SUFFIX)
            write_raw_image(path, scan.volume, scan.affine, datatype=scanner.datatype)
            write_json(path.with_name(f"{stem}_T1w.json"), described)
            if design.noise_free:
                write_noise_free(truth_dir, stem, scan.noise_free, scan.affine)
            scans.append(
                ScanTruth(
                    stem,
                    path,
                    planned.participant_id,
                    scanner.name,
                    session,
                    scan.to_person,
                    scan.cue_mm,
                )
            )
    if travels:
        _write_sessions(bids_dir / planned.participant_id, [scanner.name for scanner in scanners])
    return scans


def _scan_path(planned: PlannedPerson, site: str, run: int) -> Path:
    """Where a scan lies in the dataset; only travelling subjects have sessions and runs."""
    name = planned.participant_id
    if planned.site is not None:
        return Path(name) / "anat" / f"{name}{_SUFFIX}"
    return Path(name) / f"ses-{site}" / "anat" / f"{name}_ses-{site}_run-{run}{_SUFFIX}"


def _write_sessions(folder: Path, sites: list[str]) -> None:
    """The table that gives each session of a travelling subject its site."""
    table = pd.DataFrame({"session_id": [f"ses-{site}" for site in sites], "site": sites})
    write_table(folder / f"{folder.name}_sessions.tsv", table, metadata.SESSION_COLUMNS)
