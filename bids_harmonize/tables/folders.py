"""What the readers of other tools' folders share: files that are read once, and their rows.

Choice: a folder with one faulty subject is refused, and all faulty ones are named at once. Reason:
who is left out silently is seldom left out at random; the failures of one scanner would go
unnoticed. Rejected: leaving them out with a warning. Cost: the user must take them out by hand.
Revisit when a selection of people works with tables.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pandas as pd

from bids_harmonize.errors import ScanError, UnusableDataError

T = TypeVar("T")

_NAME = re.compile(
    r"(?:m?r?sub-)?(?P<label>.+?)(?:_ses-(?P<session>[^_.]+))?"
    r"(?:_(?:acq|ce|desc|dir|echo|inv|mod|part|rec|res|run|space)-[^_]+)*(?:_T1w)?(?:\.long\..+)?"
)
"""SPM and CAT12 put ``m`` and ``r`` before the name of an image that they realigned."""
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class FolderRows:
    """The features in a folder.

    Attributes
    ----------
    kind
        Whose results they are, for instance ``FreeSurfer results``.
    rows
        ``participant_id``, ``session_id`` and the features, as of ``read_feature_rows``.
    sha256
        Over the sorted relative names and the contents of the files that were read.
    notes
        One sentence for each thing that was left out.
    """

    kind: str
    rows: pd.DataFrame
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass
class FolderFiles:
    """The files of a folder as they are read, and what is wrong with them."""

    root: Path
    digests: dict[str, str] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def parse(self, path: Path, reader: Callable[[bytes], T]) -> T:
        """What a reader finds in the content of a file, whose digest is kept.

        Raises
        ------
        ScanError
            If it is missing, cannot be read, or the reader refuses it; the file is named.
        """
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            how = "is a link to nothing; fetch it" if path.is_symlink() else "is missing"
            message = f"{path.name} {how}"
            raise ScanError(message) from None
        except OSError as error:
            message = f"{path.name} cannot be read: {error.strerror or error}"
            raise ScanError(message) from None
        name = Path(os.path.relpath(path, self.root)).as_posix()
        self.digests[name] = hashlib.sha256(content).hexdigest()
        try:
            return reader(content)
        except ScanError as error:
            message = f"{path.name} {error}"
            raise ScanError(message) from None

    def fault(self, who: str, words: str) -> None:
        """Keep what is wrong about one subject, to be told with all the others."""
        self.faults.setdefault(who, []).append(words)

    @property
    def sha256(self) -> str:
        """SHA-256 in hexadecimal digits; the order of reading does not matter."""
        lines = "".join(f"{name}\0{digest}\n" for name, digest in sorted(self.digests.items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def participant_and_session(name: str) -> tuple[str, str | None]:
    """Participant and session that a folder or file of another tool is named after.

    Parameters
    ----------
    name
        ``sub-01_ses-A``, with other entities and ``_T1w`` or not; whatever is not named as BIDS
        asks is the label of a participant.

    Returns
    -------
    tuple
        For instance ``sub-01`` and ``ses-A``; ``None`` without a session.

    Examples
    --------
    >>> participant_and_session("sub-01_ses-A_run-2_T1w")
    ('sub-01', 'ses-A')
    >>> participant_and_session("OAS1_0001_MR1")
    ('sub-OAS1_0001_MR1', None)
    """
    match = _NAME.fullmatch(name)
    label, session = (match["label"], match["session"]) if match else (name, None)
    return f"sub-{label}", None if session is None else f"ses-{session}"


def make_folder_rows(
    found: Mapping[str, Mapping[str, str]], files: FolderFiles, *, kind: str
) -> FolderRows:
    """One row a subject, once all have the same features.

    Parameters
    ----------
    found
        Name of a subject (``sub-01_ses-A``) to its features, as text.
    files
        What was read, and the faults met so far.
    kind
        Whose results they are.

    Returns
    -------
    FolderRows
        Columns in the order of the first subject; what is 0 or NaN in every row is left out.

    Raises
    ------
    UnusableDataError
        If a subject is faulty, lacks what the others have, or stands there twice; all are named.
    """
    usable = {who: cells for who, cells in found.items() if who not in files.faults}
    common = _most_common(usable)
    for who, cells in usable.items():
        if set(cells) != common:
            files.fault(who, _difference(set(cells), common))
    keys = {who: participant_and_session(who) for who in found}
    times = Counter(keys.values())
    for who, key in keys.items():
        if times[key] > 1:
            others = ", ".join(other for other in keys if keys[other] == key and other != who)
            files.fault(who, f"is the same participant and session as {others}; keep one")
    if files.faults:
        lines = [f"  {who}: {'; '.join(words)}" for who, words in sorted(files.faults.items())]
        message = (
            f"{files.root}: {len(lines)} of {len({*found, *files.faults})} subjects in the "
            f"{kind} cannot be used; mend them, or take them out of the folder:"
        )
        raise UnusableDataError("\n".join([message, *lines]))
    frame = pd.DataFrame(list(usable.values()), dtype=object)
    is_empty = frame.apply(pd.to_numeric, errors="coerce").fillna(0).eq(0).all()
    empty = [str(name) for name in frame.columns[is_empty]]
    names = [keys[who] for who in usable]
    rows = frame.drop(columns=empty)
    rows.insert(0, "participant_id", [participant for participant, _ in names])
    rows.insert(1, "session_id", [session or pd.NA for _, session in names])
    rows = rows.astype({"session_id": object})
    note = f"left out, for 0 or without a number in everybody: {', '.join(empty)}"
    return FolderRows(kind, rows, files.sha256, (note,) if empty else ())


def _most_common(found: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    sets = Counter(frozenset(cells) for cells in found.values())
    return sets.most_common(1)[0][0] if sets else frozenset()


def _difference(own: set[str], common: frozenset[str]) -> str:
    lacking, beyond = sorted(common - own), sorted(own - common)
    words = [
        *([f"lacks {_some(lacking)}"] if lacking else []),
        *([f"has {_some(beyond)} beyond what most have"] if beyond else []),
    ]
    return "; ".join(words)


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
