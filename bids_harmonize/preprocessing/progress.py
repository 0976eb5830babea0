"""Follows the nodes of a run from the main process: plain lines in the log, and times."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bids_harmonize.preemption import raise_if_stopped
from bids_harmonize.preprocessing.outcome import read_failure
from bids_harmonize.preprocessing.workflow import LAST_NODE, scan_workflow_name

LOGGER = logging.getLogger(__name__)


class Progress:
    """What has started and ended so far.

    Parameters
    ----------
    failure_files
        Stem of every scan to be processed to the file in which a worker says why it failed.
    when_done
        Called with the stem of every scan that is done, at once: a long run must not keep the
        steps of all its scans on the disk.
    """

    def __init__(
        self, failure_files: Mapping[str, Path], *, when_done: Callable[[str], None]
    ) -> None:
        self._stems = {scan_workflow_name(stem): stem for stem in failure_files}
        self._failure_files = dict(failure_files)
        self._when_done = when_done
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def __call__(self, node: Any, status: str) -> None:
        """Take note of a node's ``start``, ``end`` or ``exception``, as nipype calls it.

        Raises
        ------
        PreemptedError
            If the run was asked to stop inside a node, where nipype takes it for a failure.
        """
        raise_if_stopped()
        stem = self._stems[node.fullname.split(".")[1]]
        now = time.monotonic()
        if status == "start":
            self._started.setdefault(stem, now)
            return
        failure = read_failure(self._failure_files[stem])
        if status == "exception":
            self._ended[stem] = now
            if failure is None:
                LOGGER.warning("%s: ended without a word", stem)
            else:
                LOGGER.error("%s: failed: %s (%s)", stem, failure.message, self._count())
        elif node.name == LAST_NODE and failure is None and stem not in self._ended:
            self._ended[stem] = now
            LOGGER.info("%s: done in %.0f s (%s)", stem, self.seconds(stem), self._count())
            self._when_done(stem)

    def forget(self, stem: str) -> None:
        """Let a scan start anew."""
        self._started.pop(stem, None)
        self._ended.pop(stem, None)

    def seconds(self, stem: str) -> float:
        """Wall-clock time from the scan's first start to its end, s; 0 if it never ended."""
        if stem not in self._ended:
            return 0.0
        return self._ended[stem] - self._started.get(stem, self._ended[stem])

    def _count(self) -> str:
        return f"{len(self._ended)} of {len(self._stems)}"
