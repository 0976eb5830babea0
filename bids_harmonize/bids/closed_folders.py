"""Folders of selected participants that may not be looked into.

Choice: the few folders that can hold a T1w image are opened once, beside pybids. Reason: pybids
passes over a folder that it may not read without a word, and a scan that nobody misses is lost
for good. Rejected: to watch for what pybids meets (it tells nobody). Revisit when pybids does.
"""

import os
from collections.abc import Collection
from pathlib import Path

from bids_harmonize.bids.index import select_participants


def closed_folders(
    bids_dir: Path, *, participants: Collection[str] = (), sessions: Collection[str] = ()
) -> tuple[str, ...]:
    """What may not be looked into, and why, in words; empty where all is open.

    Parameters
    ----------
    bids_dir
        Root of a raw BIDS dataset.
    participants, sessions
        Labels of those that are selected, without ``sub-`` and ``ses-``; empty means all.

    Returns
    -------
    tuple of str
        One for each folder of a participant or session, or ``anat`` folder, that cannot be
        listed, sorted: all T1w images that it may hold are left out.

    Raises
    ------
    SelectionError
        If a participant has no folder.
    """
    people = select_participants(bids_dir, sorted(participants))
    faults = (
        fault
        for label in people
        for fault in _faults(bids_dir / f"sub-{label}", {f"ses-{name}" for name in sessions})
    )
    return tuple(
        f"{fault.filename}: cannot be looked into: {fault.strerror}; mend its permissions, or "
        "leave it out with --participant-label or --session-label"
        for fault in faults
    )


def _faults(person: Path, sessions: Collection[str]) -> list[OSError]:
    """What is met on the way through one participant's ``ses-*`` and ``anat`` folders."""
    faults: list[OSError] = []
    for folder, names, _ in os.walk(person, onerror=faults.append, followlinks=True):
        place = Path(folder).name
        if place == "anat":
            names.clear()
        elif place.startswith("ses-"):
            names[:] = [name for name in names if name == "anat"]
        elif sessions:
            names[:] = sorted(name for name in names if name in sessions)
        else:
            names[:] = sorted(n for n in names if n == "anat" or n.startswith("ses-"))
    return [fault for fault in faults if not isinstance(fault, FileNotFoundError)]
