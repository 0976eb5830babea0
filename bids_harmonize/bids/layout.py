"""The T1w images that pybids sees: read from the folders, or from an index on disk.

Choice: without an index pybids reads only the folders of the selected participants. An index on
disk (``--bids-database-dir``) is made once, in a folder of its own, for the whole dataset, put
into place by renaming, and never written again. It holds the time of every ``anat`` folder; where
these times differ from what stands there now, the folders are read and the index is not believed.
Reason: several jobs that create one pybids database at once corrupt it, and an index that is
older than the dataset would lose new scans without a word. Rejected: pybids' own handling of
``database_path`` (both faults). Revisit when pybids can index by file name.
"""

import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_harmonize.bids.files import temporary_name, write_json, writing_fault
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.errors import (
    HarmonizeError,
    InvalidDatasetError,
    OutputError,
    ScanError,
    UsageError,
)

LOGGER = logging.getLogger(__name__)

SUFFIX = "T1w"
EXTENSIONS = (".nii", ".nii.gz")

INDEX_FILE = "layout_index.sqlite"
"""How pybids calls its database."""

STATE_FILE = "indexed.json"
"""Beside the database: the dataset's root and the times of its ``anat`` folders."""


@dataclass(frozen=True)
class IndexFolder:
    """Where the index of one dataset lies, and whether it may be made.

    Parameters
    ----------
    path
        Folder of this dataset's index alone.
    may_write
        Whether an index that is missing is made; not in a dry run.
    """

    path: Path
    may_write: bool = True


class T1wLayout:
    """T1w images of the selected participants, as pybids sees them.

    Parameters
    ----------
    bids_dir
        Root of a raw dataset, resolved.
    participants
        Labels without ``sub-``, sorted.
    filtered
        Whether :meth:`images` will be asked with filters.
    index
        Where an index on disk lies; ``None`` reads the folders.

    Raises
    ------
    UsageError
        If the index is that of another dataset.
    InvalidDatasetError
        If a link cannot be looked at.
    OutputError, StorageError
        If an index is to be made and cannot be written.
    """

    def __init__(
        self,
        bids_dir: Path,
        participants: Sequence[str],
        *,
        filtered: bool = False,
        index: IndexFolder | None = None,
    ) -> None:
        self._participants = {f"sub-{label}" for label in participants}
        self._root = bids_dir
        self._unseen: list[Path] = []
        self._layout = None if index is None else _from_index(bids_dir, participants, index)
        if self._layout is None and participants:
            self._layout, self._unseen = _read_folders(bids_dir, participants, filtered=filtered)

    def images(self, filters: Mapping[str, Any]) -> list[Path]:
        """Paths of the T1w images that pybids finds with these filters.

        Raises
        ------
        UsageError
            If pybids does not know a filter.
        """
        if self._layout is None:
            return []
        wanted = {"suffix": SUFFIX, "datatype": "anat", "extension": list(EXTENSIONS), **filters}
        try:
            found = [Path(name) for name in self._layout.get(return_type="filename", **wanted)]
        except ValueError as error:
            message = f"bids filter: {error}"
            raise UsageError(message) from None
        own = [p for p in found if p.relative_to(self._root).parts[0] in self._participants]
        return own + self._unseen


def remove_index(folder: Path) -> None:
    """Take an index away; a job that reads it goes on with the folders.

    Parameters
    ----------
    folder
        Of one dataset's index; it need not exist.

    Raises
    ------
    UsageError
        If the folder was not made by this app.
    OutputError, StorageError
        If it cannot be removed.
    """
    if not folder.exists():
        return
    if not (folder / STATE_FILE).is_file():
        message = (
            f"--bids-database-wipe: {folder} was not made by bids-harmonize (no {STATE_FILE} in "
            "it), so nothing was deleted; give another --bids-database-dir"
        )
        raise UsageError(message)
    aside = temporary_name(folder)
    try:
        folder.rename(aside)
    except FileNotFoundError:  # another job was faster
        return
    except OSError as error:
        raise writing_fault(error, folder) from error
    shutil.rmtree(aside, ignore_errors=True)


def _from_index(bids_dir: Path, participants: Sequence[str], index: IndexFolder) -> Any:
    """The layout that an index on disk holds, or ``None`` where the folders must be read."""
    if not index.path.exists():
        return _make_index(bids_dir, index.path) if index.may_write else None
    try:
        state = read_json(index.path / STATE_FILE)
    except ScanError as error:
        if not index.path.exists():  # another job wiped it
            return None
        message = (
            f"--bids-database-dir: {index.path} holds no index of bids-harmonize ({error}); give "
            "another folder"
        )
        raise UsageError(message) from None
    if state.get("Root") != str(bids_dir):
        message = (
            f"--bids-database-dir: {index.path} is the index of {state.get('Root')}, not of "
            f"{bids_dir}; give another folder, or make it anew with --bids-database-wipe"
        )
        raise UsageError(message)
    recorded = state.get("Folders")
    known = recorded if isinstance(recorded, Mapping) else {}
    people = {f"sub-{label}" for label in participants}
    expected = {name: time for name, time in known.items() if Path(name).parts[0] in people}
    if expected != _folder_times(bids_dir, participants):
        LOGGER.warning(
            "%s is older than the dataset, so the folders themselves are read; "
            "--bids-database-wipe makes it anew",
            index.path,
        )
        return None
    from bids.layout import BIDSLayout

    try:
        layout = BIDSLayout(bids_dir, validate=False, database_path=index.path)
        layout.get_entities()  # pybids opens the file when it is first asked
    except Exception as error:  # noqa: BLE001 - whatever a damaged database makes of pybids
        LOGGER.warning(
            "%s cannot be read (%s), so the folders themselves are read; --bids-database-wipe "
            "makes it anew",
            index.path,
            error,
        )
        return None
    return layout


def _make_index(bids_dir: Path, folder: Path) -> Any:
    """Make the index of a whole dataset and put it into place; the layout that was made."""
    everybody = sorted(path.name[4:] for path in bids_dir.glob("sub-*") if path.is_dir())
    times = _folder_times(bids_dir, everybody)  # first: what changes meanwhile makes it old
    LOGGER.info("%s: the index of %s is made", folder, bids_dir)
    layout, closed = _read_folders(bids_dir, everybody, filtered=False)
    if closed:
        LOGGER.warning("%s was not made: a link in %s cannot be looked at", folder, bids_dir)
        return None
    private = temporary_name(folder)
    try:
        private.mkdir(parents=True)
        database = layout.connection_manager.save_database(private, replace_connection=False)
        del database
        write_json(private / STATE_FILE, {"Root": str(bids_dir), "Folders": times})
        private.rename(folder)
    except OSError as error:
        if not (folder / STATE_FILE).is_file():  # else another job was faster: its index stands
            raise writing_fault(error, folder) from error
    except HarmonizeError:
        raise
    except Exception as error:  # sqlite says in its own way that a disk is full
        message = f"{folder}: the index cannot be written: {error}"
        raise OutputError(message) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return layout


def _folder_times(bids_dir: Path, participants: Sequence[str]) -> dict[str, int]:
    """Every ``anat`` folder of these participants to when an entry of it last came or went, ns."""
    folders = (
        folder
        for label in participants
        for pattern in ("anat", "ses-*/anat")
        for folder in (bids_dir / f"sub-{label}").glob(pattern)
    )
    return {path.relative_to(bids_dir).as_posix(): path.stat().st_mtime_ns for path in folders}


def _read_folders(
    bids_dir: Path, participants: Sequence[str], *, filtered: bool
) -> tuple[Any, list[Path]]:
    """The layout of the participants' folders, and images in folders that pybids cannot read."""
    from bids.layout import BIDSLayout, BIDSLayoutIndexer

    labels = "|".join(re.escape(label) for label in participants)
    ignore = [
        re.compile(rf"^/(?!sub-({labels})(/|$))"),
        re.compile(r"^/sub-[^/]+/(ses-[^/]+/)?(?!ses-|anat(/|$))[^/]+(/|$)"),
        re.compile(rf"^/.*/anat/.*(?<!_{SUFFIX}\.nii)(?<!_{SUFFIX}\.nii\.gz)$"),
        re.compile(r"/\."),
    ]
    closed: list[Path] = []
    while True:
        indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=ignore)
        try:
            layout = BIDSLayout(bids_dir, validate=False, derivatives=False, indexer=indexer)
        except OSError as error:
            closed.append(_closed_folder(error, bids_dir, known=closed, filtered=filtered))
            there = re.escape(closed[-1].relative_to(bids_dir).as_posix())
            ignore.append(re.compile(rf"^/{there}(/|$)"))
        else:
            break
    unseen = [path for folder in closed for path in sorted(folder.glob(f"*_{SUFFIX}.nii*"))]
    return layout, [path for path in unseen if path.name.endswith(EXTENSIONS)]


def _closed_folder(
    error: OSError, bids_dir: Path, *, known: Sequence[Path], filtered: bool
) -> Path:
    """The ``anat`` folder with a link that pybids stumbled over; its scans fail by themselves."""
    link = Path(error.filename or bids_dir)
    usual = link.parent.name == "anat" and bids_dir in link.parents and link.parent not in known
    if filtered or not usual:
        message = f"{link}: cannot be looked at: {error.strerror}; mend it or its permissions"
        raise InvalidDatasetError(message) from None
    return link.parent
