"""Only one group run at a time works on an output directory.

The lock is a file with the holder's host and process id, and its job where a scheduler started it.
A lock whose process on this host is gone is taken over; one of another host is respected, since
nobody here can know. But a scheduler starts a job again only when its former start has ended, so
the lock of an earlier start of the same job is taken over, wherever that ran and whatever process
has its number now.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bids_harmonize.bids.files import writing_fault
from bids_harmonize.errors import BusyError

LOCK_NAME = ".group.lock"


@dataclass(frozen=True)
class BatchJob:
    """The job of a scheduler that this process belongs to.

    Attributes
    ----------
    job
        Its name, never given twice.
    start
        How often it was started again: 0 the first time.
    """

    job: str
    start: int


@contextmanager
def group_lock(output_dir: Path, job: BatchJob | None = None) -> Iterator[None]:
    """Hold the lock of this output directory while the block runs.

    Parameters
    ----------
    output_dir
        Root of the derivative; it exists.
    job
        The job that this process belongs to; ``None`` outside a scheduler.

    Raises
    ------
    BusyError
        If another run holds it.
    OutputError
        If it cannot be written.
    """
    path = output_dir / LOCK_NAME
    if not _take(path, job):
        if not _is_earlier_start(path, job) and _is_alive(path):
            raise BusyError(_busy(path))
        path.unlink(missing_ok=True)
        if not _take(path, job):
            raise BusyError(_busy(path))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _take(path: Path, job: BatchJob | None) -> bool:
    """Write the lock whole or not at all: a link is made only if the name is free."""
    own = path.with_name(f"{LOCK_NAME}-{socket.gethostname()}-{os.getpid()}")
    holder = {"host": socket.gethostname(), "pid": os.getpid()} | (asdict(job) if job else {})
    try:
        own.write_text(json.dumps(holder), encoding="utf-8")
        try:
            path.hardlink_to(own)
        finally:
            own.unlink(missing_ok=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise writing_fault(error, path) from error
    return True


def _read(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_earlier_start(path: Path, job: BatchJob | None) -> bool:
    holder = _read(path)
    start = holder.get("start")
    if job is None or not isinstance(start, int):
        return False
    return holder.get("job") == job.job and start < job.start


def _is_alive(path: Path) -> bool:
    holder = _read(path)
    pid = holder.get("pid")
    if not isinstance(pid, int) or holder.get("host") != socket.gethostname():
        return bool(holder)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _busy(path: Path) -> str:
    holder = _read(path)
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    return (
        f"{path}: another group run holds this output directory ({who}); run again when it is "
        "done, or delete the file if that run is gone"
    )
