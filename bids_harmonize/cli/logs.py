"""The log: on the terminal from the start, in the output directory once that can be written."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler
from pathlib import Path

from bids_harmonize.bids.files import writing_fault

PACKAGE = "bids_harmonize"

_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
_TIME = "%Y-%m-%d %H:%M:%S"
_CAPACITY = 100_000


class RunLog:
    """Where this run's messages go; use :func:`run_log`."""

    def __init__(self, memory: MemoryHandler) -> None:
        self._memory = memory
        self.path: Path | None = None

    def open_file(self, path: Path) -> None:
        """From now on write to ``path`` too, what was said so far included.

        Raises
        ------
        OutputError, StorageError
            If it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handler = logging.FileHandler(path, encoding="utf-8")
        except OSError as error:
            raise writing_fault(error, path) from error
        handler.setFormatter(logging.Formatter(_FORMAT, _TIME))
        self._memory.setTarget(handler)
        self._memory.flush()
        self._memory.capacity = 1  # from now on every message goes through at once
        self.path = path


@contextmanager
def run_log(*, verbose: int) -> Iterator[RunLog]:
    """Log this run while the block runs.

    Parameters
    ----------
    verbose
        0: messages of this app; 1: its details too; 2: those of all libraries.

    Yields
    ------
    RunLog
        To open the file when there is a place for it.
    """
    root, package = logging.getLogger(), logging.getLogger(PACKAGE)
    before = root.level, package.level
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(logging.Formatter(_FORMAT, _TIME))
    memory = MemoryHandler(_CAPACITY, flushLevel=logging.CRITICAL + 1)
    root.setLevel(logging.DEBUG if verbose > 1 else logging.WARNING)
    package.setLevel(logging.DEBUG if verbose else logging.INFO)
    root.addHandler(terminal)
    root.addHandler(memory)
    logging.captureWarnings(True)
    try:
        yield RunLog(memory)
    finally:
        logging.captureWarnings(False)
        target = memory.target
        memory.close()
        if target is not None:
            target.close()
        root.removeHandler(terminal)
        root.removeHandler(memory)
        root.setLevel(before[0])
        package.setLevel(before[1])
