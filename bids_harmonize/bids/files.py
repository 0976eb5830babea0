"""Files written under a temporary name and renamed, so that a kill never leaves half a file."""

import errno
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bids_harmonize.errors import HarmonizeError, OutputError, StorageError

TEMPORARY = ".tmp-"
"""How names begin that only a file being written has; a kill can leave such a file behind."""

_N_DIGITS = 12

STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


def writing_fault(error: OSError, path: Path | str) -> HarmonizeError:
    """The error of our tree that says why ``path`` could not be written.

    Parameters
    ----------
    error
        What the system said.
    path
        The file or folder.

    Returns
    -------
    HarmonizeError
        StorageError for a full or broken disk, else OutputError.
    """
    reason = error.strerror or str(error)
    if error.errno in STORAGE_ERRORS:
        return StorageError(f"{path}: writing failed: {reason}; free some space and run again")
    return OutputError(f"{path}: cannot be written: {reason}; check the folder's permissions")


def temporary_name(path: Path) -> Path:
    """A name beside ``path`` that nobody else has; a dot first, the extension last."""
    return path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:_N_DIGITS]}-{path.name}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Parameters
    ----------
    path
        The final name; its folder is made.

    Yields
    ------
    Path
        Where to write; it keeps the final name's extension and starts with a dot.

    Raises
    ------
    OutputError
        If it cannot be written.
    StorageError
        If the disk is full or fails.
    """
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - the name of the promise we make
    except OSError as error:
        raise writing_fault(error, path) from error
    finally:
        _remove(temporary)


def remove_leftovers(
    folder: Path, *, of: str = "", below: bool = False, older_than_s: float = 0.0
) -> int:
    """Remove what killed runs left half-written; never call it where a live run may write.

    Parameters
    ----------
    folder
        It need not exist.
    of
        Start of the final names; empty means all.
    below
        Whether folders below count too.
    older_than_s
        Files that changed since are left: where others may write, a live one must not go.

    Returns
    -------
    int
        How many files were removed.
    """
    pattern = f"{TEMPORARY}{'?' * _N_DIGITS}-{of}*"
    found = list(folder.rglob(pattern) if below else folder.glob(pattern))
    if older_than_s > 0:
        found = [path for path in found if _age_s(path) > older_than_s]
    for path in found:
        _remove(path)
    return len(found)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` in one go; a file that already holds it is left alone."""
    if _holds(path, content):
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8 in one go; a file that already holds it is left alone."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object in one go, keys in the given order."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return
