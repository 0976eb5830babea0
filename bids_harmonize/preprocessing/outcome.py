"""What became of a scan, and how a worker tells it.

Choice: a worker that fails leaves a small JSON file with the error's kind and words, then lets
nipype know. Reason: nipype's plugins hand over nothing but the text of a traceback, and a worker
that the system kills hands over nothing at all: that no file is there *is* the sign of it.
Rejected: reading nipype's crash files. Revisit if nipype is replaced.
"""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bids_harmonize.bids.files import STORAGE_ERRORS, write_bytes, write_json, writing_fault
from bids_harmonize.bids.index import Scan
from bids_harmonize.errors import HarmonizeError, OutputError, StorageError

KILLED = (
    "its worker process ended without a word, as a process that the system kills does: out of"
    " memory? Give the run more memory, or fewer processes with --nprocs"
)


RESERVE_BYTES = 1 << 15
"""Room for a failure and its traceback, and for what a file system adds."""

Status = Literal["done", "reused", "failed", "busy"]


@dataclass(frozen=True)
class ScanOutcome:
    """What became of one scan.

    Parameters
    ----------
    scan
        The scan.
    status
        ``done`` now, ``reused`` from an earlier run, ``failed``, or ``busy``: left to another run
        that has claimed it.
    message
        Why it is not done, else ``None``.
    flags
        What looks odd about the scan, in words; empty where all is well.
    seconds
        Wall-clock time, s; 0 for reused scans.
    doubtful
        Masks that should not be trusted: ``head``, ``brain``.
    busy_table
        Name of the ``scans.tsv`` that lacks this scan's row, or has an old one, as another run
        held the table all the time; the next run writes it. ``None`` where the row is written.
    """

    scan: Scan
    status: Status
    message: str | None
    flags: tuple[str, ...]
    seconds: float
    doubtful: tuple[str, ...] = ()
    busy_table: str | None = None


@dataclass(frozen=True)
class Failure:
    """Why a scan failed, as its worker wrote it down.

    Parameters
    ----------
    kind
        Name of the exception.
    message
        Its words.
    trace
        The traceback, for the crash file.
    """

    kind: str
    message: str
    trace: str


@contextmanager
def recording_failure(path: Path) -> Iterator[None]:
    """Write a :class:`Failure` to ``path`` when the block raises, and let the error go on.

    A disk that is full is the end of the run, not of the scan: its error becomes one of our tree.
    """
    try:
        yield
    except Exception as error:
        known = error
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            known = writing_fault(error, error.filename or path.parent.parent)
        failure = Failure(type(known).__name__, _words(known), traceback.format_exc())
        drop_reserve(path)
        with suppress(StorageError):
            write_json(path, asdict(failure))
        raise


def keep_reserve(path: Path) -> None:
    """Keep some room on the disk, so that a worker that fills it can still say so in ``path``."""
    write_bytes(_reserve(path), bytes(RESERVE_BYTES))


def drop_reserve(path: Path) -> None:
    """Give the room that :func:`keep_reserve` kept for ``path`` back."""
    _reserve(path).unlink(missing_ok=True)


def read_failure(path: Path) -> Failure | None:
    """The failure that a worker wrote to ``path``; ``None`` if it wrote nothing."""
    if not path.is_file():
        return None
    return Failure(**json.loads(path.read_text()))


def raise_if_output_failed(failure: Failure) -> None:
    """Stop the whole run where no scan can be written any more.

    Parameters
    ----------
    failure
        What a worker wrote down.

    Raises
    ------
    OutputError, StorageError
        If that is what the worker met.
    """
    for error in (OutputError, StorageError):
        if failure.kind == error.__name__:
            raise error(failure.message)


def _reserve(path: Path) -> Path:
    return path.with_suffix(".reserve")


def _words(error: Exception) -> str:
    if isinstance(error, HarmonizeError):
        return str(error)
    if isinstance(error, MemoryError) or "allocate memory" in str(error):  # ITK's own words
        return "out of memory; give the run more memory, or fewer processes with --nprocs"
    return f"unexpected {type(error).__name__}: {error}; please report it with the crash file"
