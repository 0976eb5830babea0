"""Find the T1w images of a raw dataset.

Choice: pybids reads only the folders of the selected participants, and of these only T1w files.
Reason: a whole index of 1,000 participants takes up to a minute, one participant 0.3 s, and
nothing else in the dataset can then break the run. Revisit when pybids can index by file name.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_harmonize.bids.layout import IndexFolder, T1wLayout
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.config import SelectionSettings
from bids_harmonize.errors import (
    InvalidDatasetError,
    MissingInputError,
    ScanError,
    SelectionError,
    UnusableDataError,
    UsageError,
)

LOGGER = logging.getLogger(__name__)

RAW = "raw"
"""What ``bids_dir`` is called beside further datasets, and in ``DatasetLinks``."""


@dataclass(frozen=True)
class GivenMask:
    """A brain mask that a derivative dataset has for a scan.

    ``name`` and ``root`` are the dataset's; ``lacks`` are the entities of the scan that the
    mask's name lacks, as where a program averaged several runs.
    """

    path: Path
    name: str
    root: Path
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """One T1w file of the raw dataset.

    ``entities`` are everything but suffix and extension, in the order of the file name, without
    prefixes in the values: ``{"sub": "01", "ses": "A", "run": "1"}``. ``site_source`` says where
    ``site`` was read, ``given_mask`` is the brain mask of ``--derivatives``, ``dataset`` is the
    name of the dataset that holds the file.
    """

    path: Path
    participant_id: str
    session_id: str | None
    entities: Mapping[str, str]
    site: str | None = None
    site_source: str | None = None
    given_mask: GivenMask | None = None
    dataset: str = RAW

    @property
    def source_stem(self) -> str:
        """As :attr:`stem`, in the words of its dataset: without ``--label-prefix``."""
        return self.path.name.partition(".")[0].rpartition("_")[0]

    @property
    def stem(self) -> str:
        """Name without suffix and extension, for instance ``sub-01_ses-A_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())


def index_scans(
    bids_dir: Path, *, selection: SelectionSettings, index: IndexFolder | None = None
) -> tuple[Scan, ...]:
    """The T1w images that the selection names, sorted by name.

    Parameters
    ----------
    bids_dir
        Root of a raw BIDS dataset.
    selection
        Participants, sessions and a pybids filter; empty means all.
    index
        Where an index of the dataset lies or is made; ``None`` reads the folders.

    Returns
    -------
    tuple of Scan
        Sites are not resolved yet.

    Raises
    ------
    InvalidDatasetError
        If the folder is no raw BIDS dataset.
    SelectionError
        If a label is unknown, or the filters leave nothing.
    MissingInputError
        If the dataset has no T1w image.
    UnusableDataError
        If one scan is there twice, as .nii and as .nii.gz.
    """
    bids_dir = bids_dir.resolve()
    read_description(bids_dir)
    participants = select_participants(bids_dir, selection.participant_label)
    filters = _pybids_filters(selection.bids_filter)
    layout = T1wLayout(bids_dir, participants, filtered=bool(filters), index=index)
    scans = _magnitudes([_scan(path) for path in layout.images({})])
    if not scans:
        whose = f"participants {', '.join(participants)}" if participants else "it"
        message = f"{bids_dir}: no T1w image (sub-*/[ses-*/]anat/*_T1w.nii[.gz]) of {whose}"
        raise MissingInputError(message)
    if filters:
        kept = set(layout.images(filters))
        scans = [scan for scan in scans if scan.path in kept]
    scans = of_sessions(scans, selection.session_label)
    if not scans:
        message = f"{bids_dir}: the filters leave no T1w image: {_describe(selection)}"
        raise SelectionError(message)
    _refuse_twins(scans)
    return tuple(sorted(scans, key=lambda scan: scan.stem))


def read_description(bids_dir: Path) -> dict[str, Any]:
    """Content of ``dataset_description.json`` of a raw dataset.

    Parameters
    ----------
    bids_dir
        Root of the dataset.

    Returns
    -------
    dict
        At least ``Name`` and ``BIDSVersion``.

    Raises
    ------
    InvalidDatasetError
        If the folder or the file is absent, a required key is missing, or it is a derivative.
    """
    path = bids_dir / "dataset_description.json"
    if not bids_dir.is_dir():
        message = f"{bids_dir}: no such folder; bids_dir must be a BIDS dataset"
        raise InvalidDatasetError(message)
    if not path.is_file():
        message = f"{bids_dir}: no dataset_description.json, so it is no BIDS dataset"
        raise InvalidDatasetError(message)
    try:
        description = read_json(path)
    except ScanError as error:
        raise InvalidDatasetError(str(error)) from None
    missing = [key for key in ("Name", "BIDSVersion") if not description.get(key)]
    if missing:
        message = f"{path}: {' and '.join(missing)} missing; BIDS requires it"
        raise InvalidDatasetError(message)
    kind = description.get("DatasetType", "raw")
    if kind != "raw":
        message = f"{path}: DatasetType is {kind!r}, expected 'raw'"
        raise InvalidDatasetError(message)
    return description


def select_participants(bids_dir: Path, labels: Sequence[str]) -> tuple[str, ...]:
    """Labels of the selected participants that have a folder, sorted.

    Parameters
    ----------
    bids_dir
        Root of a dataset, raw or derivative.
    labels
        Without ``sub-``; empty means all.

    Returns
    -------
    tuple of str
        Without ``sub-``.

    Raises
    ------
    SelectionError
        If a label has no folder.
    """
    present = sorted(path.name[4:] for path in bids_dir.glob("sub-*") if path.is_dir())
    if not labels:
        return tuple(present)
    unknown = sorted(set(labels) - set(present))
    if unknown:
        some = ", ".join(present[:10]) + (", ..." if len(present) > 10 else "")
        message = (
            f"{bids_dir}: no participant {', '.join(unknown)}; "
            f"the {len(present)} there are: {some or 'none'}"
        )
        raise SelectionError(message)
    return tuple(sorted(set(labels)))


def _scan(path: Path) -> Scan:
    pairs = [part.partition("-") for part in path.name.split(".")[0].split("_")[:-1]]
    entities = {key: value for key, _, value in pairs}
    session = entities.get("ses")
    return Scan(
        path=path,
        participant_id=f"sub-{entities['sub']}",
        session_id=None if session is None else f"ses-{session}",
        entities=entities,
    )


def _magnitudes(scans: list[Scan]) -> list[Scan]:
    """The scans without phase, real and imaginary parts, which show no head; these are told."""
    kept = [scan for scan in scans if scan.entities.get("part", "mag") == "mag"]
    parts = [scan.stem for scan in scans if scan not in kept]
    if parts:
        some = ", ".join(parts[:5]) + (", ..." if len(parts) > 5 else "")
        LOGGER.warning("%d images left out, as only part-mag shows a head: %s", len(parts), some)
    return kept


def of_sessions(scans: Sequence[Scan], labels: Sequence[str]) -> list[Scan]:
    """Those scans that are of these sessions, labels without ``ses-``; all where none is named.

    Raises
    ------
    SelectionError
        If a session has no scan.
    """
    if not labels:
        return list(scans)
    present = {scan.entities.get("ses", "") for scan in scans}
    unknown = sorted(set(labels) - present)
    if unknown:
        some = ", ".join(sorted(present - {""})[:10]) or "none"
        message = f"no session {', '.join(unknown)} with a T1w image; those there are: {some}"
        raise SelectionError(message)
    return [scan for scan in scans if scan.entities.get("ses") in labels]


def _pybids_filters(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a filter file says about T1w images, in the words of pybids."""
    from bids.layout import Query

    filters = content.get("t1w", {})
    if not isinstance(filters, Mapping):
        message = f"bids filter: t1w is {filters!r}, expected an object of entity and value"
        raise UsageError(message)
    names: dict[str | None, Any] = {f"Query.{query.name}": query for query in Query}
    names |= {None: Query.NONE, "*": Query.ANY}
    return {
        key: names.get(value, value) if value is None or isinstance(value, str) else value
        for key, value in filters.items()
    }


def _refuse_twins(scans: Sequence[Scan]) -> None:
    stems = [scan.stem for scan in scans]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        message = f"these scans are there twice (.nii and .nii.gz); keep one: {', '.join(twice)}"
        raise UnusableDataError(message)


def _describe(selection: SelectionSettings) -> str:
    parts = {
        "--participant-label": " ".join(selection.participant_label),
        "--session-label": " ".join(selection.session_label),
        "--bids-filter-file": str(selection.bids_filter or ""),
    }
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value)
