"""Claims by which many participant jobs share one output directory without harm.

Choice: POSIX record locks on one file, one byte range a name. Reason: the system frees them the
moment their holder dies, however it dies and on whatever host of a network file system; so no
claim can be stale, and a thousand claims need one open file. Rejected: a file a claim with host
and process id (stale for ever after a kill on another host, and containers count their processes
from 1); ``flock`` (one open file a claim). Revisit if a file system without locks matters: there
nothing is claimed, which a warning says.

A process that closes the file loses all its claims; so one run opens it once.
"""

import errno
import fcntl
import hashlib
import logging
import os
import random
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from bids_harmonize.bids.files import writing_fault
from bids_harmonize.errors import BusyError

LOGGER = logging.getLogger(__name__)

CLAIMS_FILE = Path("logs") / ".claims"
RUN = "run"
"""Shared by all runs that write into the output directory; who has it alone may tidy up."""

TABLES = "tables"
"""Held while the files at the root of the dataset are written."""

WAIT_S = 900.0
"""Longest wait for a claim that is held for moments only, but by up to 1,000 jobs in turn."""

_TEXT = (
    b"Running jobs of bids-harmonize lock parts of this file. It can be deleted when none runs.\n"
)
_PAUSES_S = (0.02, 2.0)  # first and longest mean; chance keeps many jobs out of step
_TAKEN = frozenset({errno.EACCES, errno.EAGAIN})
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_FLOCK = "hhqqi"


class Claims:
    """What this process has claimed in an output directory.

    Parameters
    ----------
    output_dir
        Root of the derivative; the file is made in its ``logs``.

    Raises
    ------
    OutputError, StorageError
        If the file cannot be made.
    """

    def __init__(self, output_dir: Path) -> None:
        path = output_dir / CLAIMS_FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if os.fstat(self._file).st_size == 0:
                os.pwrite(self._file, _TEXT, 0)
        except OSError as error:
            raise writing_fault(error, path) from error
        self._path = path
        self._works = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    @property
    def works(self) -> bool:
        """Whether the file system has locks, as far as was seen; without, nothing is claimed."""
        return self._works

    def take(self, name: str) -> bool:
        """Claim ``name`` for this process alone; ``False`` if another one has it."""
        return self._lock(name, fcntl.LOCK_EX)

    def share(self, name: str) -> bool:
        """Claim ``name`` together with others; ``False`` if one has it alone."""
        return self._lock(name, fcntl.LOCK_SH)

    def drop(self, name: str) -> None:
        """Give ``name`` back."""
        self._lock(name, fcntl.LOCK_UN)

    def holder(self, name: str) -> int | None:
        """Process that keeps this one from taking ``name``; ``None`` if there is none."""
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _offset(name), 1, 0)
        try:
            told = struct.unpack(_FLOCK, fcntl.fcntl(self._file, fcntl.F_GETLK, asked))
        except OSError:
            return None
        return None if told[0] == fcntl.F_UNLCK else int(told[4])

    @contextmanager
    def holding(self, name: str, *, shared: bool = False) -> Iterator[None]:
        """Hold ``name`` while the block runs; others hold it for moments, so this waits.

        Raises
        ------
        BusyError
            If it does not come free in :data:`WAIT_S` seconds.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        end, (pause_s, longest_s) = time.monotonic() + WAIT_S, _PAUSES_S
        while not self._lock(name, kind):
            if time.monotonic() > end:
                message = (
                    f"{self._path.parent.parent}: {name} is held by process {self.holder(name)} "
                    f"for more than {WAIT_S:.0f} s; run again when that run is done"
                )
                raise BusyError(message)
            time.sleep(random.uniform(0.5, 1.5) * pause_s)
            pause_s = min(1.5 * pause_s, longest_s)
        try:
            yield
        finally:
            self.drop(name)

    def _lock(self, name: str, kind: int) -> bool:
        if not self._works:
            return True
        wait = 0 if kind == fcntl.LOCK_UN else fcntl.LOCK_NB
        try:
            fcntl.lockf(self._file, kind | wait, 1, _offset(name), os.SEEK_SET)
        except OSError as error:
            if error.errno in _TAKEN:
                return False
            if error.errno not in _UNSUPPORTED:
                raise writing_fault(error, self._path) from error
            self._works = False
            LOGGER.warning(
                "%s: this file system has no locks (%s): see to it that no two runs work on one "
                "participant at the same time",
                self._path,
                error.strerror,
            )
        return True


def scan_claim(stem: str) -> str:
    """What a run claims before it writes anything of a scan."""
    return f"scan {stem}"


def _offset(name: str) -> int:
    """Where the range of ``name`` begins: 55 bits, far behind the text of the file."""
    return (1 << 55) + (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 9)
