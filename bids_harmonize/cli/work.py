"""The work directory: made, marked as ours, and emptied only of what is ours.

Every run shares a lock on the mark while it lasts, so that ``--clean-workdir`` cannot take the
steps of another run away.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bids_harmonize.bids.files import writing_fault
from bids_harmonize.cli.request import Request
from bids_harmonize.errors import BusyError, UsageError

LOGGER = logging.getLogger(__name__)

MARKER = ".bids-harmonize-work"

OUR_FOLDERS = ("participant", "classify", "harmonize", "features", "evaluate", "volumes-*")
"""What runs make in a work directory."""

_TAKEN = (BlockingIOError, PermissionError)


@contextmanager
def work_dir_in_use(request: Request) -> Iterator[Path]:
    """Make the work directory, or empty it if that was asked for, and hold it for the block.

    Parameters
    ----------
    request
        Names the folder.

    Yields
    ------
    Path
        It exists.

    Raises
    ------
    UsageError
        If it holds the input or the output, or is to be emptied but was not made by this app or
        lies on a file system without locks.
    BusyError
        If it is to be emptied while another run uses it.
    OutputError, StorageError
        If it cannot be written.
    """
    work_dir = request.work_dir.resolve()
    held = [("bids_dir", request.bids_dir), ("output_dir", request.output_dir)]
    held += [(f"--dataset {dataset.name}", dataset.root) for dataset in request.datasets[1:]]
    for name, folder in held:
        if work_dir == folder.resolve() or work_dir in folder.resolve().parents:
            message = f"--work-dir {work_dir} holds {name} {folder}; give another folder"
            raise UsageError(message)
    mark = None
    try:
        mark = _prepare(work_dir, clean=request.clean_workdir)
        yield work_dir
    finally:
        if mark is not None:
            os.close(mark)


def _prepare(work_dir: Path, *, clean: bool) -> int | None:
    """The open mark, locked together with other runs; ``None`` if the folder is not ours."""
    try:
        ours = not work_dir.exists() or not any(work_dir.iterdir())
        ours = ours or (work_dir / MARKER).is_file()
        if clean and not ours:
            message = (
                f"--clean-workdir: {work_dir} was not made by bids-harmonize (no {MARKER} in it), "
                "so nothing was deleted; empty it yourself, or give another --work-dir"
            )
            raise UsageError(message)
        work_dir.mkdir(parents=True, exist_ok=True)
        if not ours:
            return None
        mark = os.open(work_dir / MARKER, os.O_RDWR | os.O_CREAT, 0o666)
        if clean:
            _empty(work_dir, mark)
        _share(mark)
    except OSError as error:
        raise writing_fault(error, work_dir) from error
    return mark


def _empty(work_dir: Path, mark: int) -> None:
    try:
        fcntl.lockf(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except _TAKEN:
        message = f"--clean-workdir: another run uses {work_dir}, so nothing was deleted"
        raise BusyError(message) from None
    except OSError as error:
        message = (
            f"--clean-workdir: {work_dir} lies on a file system without locks ({error.strerror}), "
            "so nobody can tell whether another run uses it; nothing was deleted, do it yourself"
        )
        raise UsageError(message) from None
    for pattern in OUR_FOLDERS:
        for folder in work_dir.glob(pattern):
            shutil.rmtree(folder)


def _share(mark: int) -> None:
    """Lock the mark together with others; waits for a run that is emptying the folder."""
    try:
        fcntl.lockf(mark, fcntl.LOCK_SH)
    except OSError as error:  # without locks nobody can empty the folder either
        LOGGER.debug("the work directory is not locked: %s", error)
