"""One nipype workflow at a time: run it, and learn why a scan that has no result has none.

Choice: nipype's own crash files are read for the scans whose workers left no word. Reason: what
goes wrong around a node (its folder, its pickles, a cluster's job) never reaches the node's own
code. A scan whose process was killed is tried again alone, since it may have died with its
neighbour; on a cluster it is not: the machine that submits jobs is none to compute on. Rejected:
to take every silence for a lack of memory. Revisit if nipype is replaced.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nipype.pipeline.plugins.linear import LinearPlugin

from bids_harmonize.bids.files import write_json, writing_fault
from bids_harmonize.config import Settings
from bids_harmonize.errors import HarmonizeError
from bids_harmonize.preprocessing.outcome import (
    KILLED,
    Failure,
    raise_if_output_failed,
    read_failure,
)
from bids_harmonize.preprocessing.plans import Plan
from bids_harmonize.preprocessing.plugin import SurvivingMultiProcPlugin, multiproc
from bids_harmonize.preprocessing.progress import Progress
from bids_harmonize.preprocessing.workflow import (
    WORKFLOW_NAME,
    init_participants_wf,
    scan_workflow_name,
)

LOGGER = logging.getLogger(__name__)

BATCH = 64
"""Scans that one nipype workflow has: its main process takes half a second a node for 2,000."""

_KILLED_SIGN = "BrokenProcessPool"
_NO_RESULT_SIGN = "results file does not exist"
_AFTERTHOUGHTS = ("When creating this crashfile", "During the creation of this crashfile")


class Execution:
    """Runs batches of scans with one plugin.

    Parameters
    ----------
    settings
        All settings.
    plugin
        From ``choose_plugin``.
    progress
        What the plugin tells.
    run_id
        Of this run.
    """

    def __init__(
        self, settings: Settings, *, plugin: Any, progress: Progress, run_id: str
    ) -> None:
        self._settings = settings
        self._plugin = plugin
        self._progress = progress
        self._run_id = run_id
        self._stopping = settings.run.stop_on_first_crash
        self._is_local = isinstance(plugin, LinearPlugin | SurvivingMultiProcPlugin)

    def batches(self, plans: Sequence[Plan]) -> Iterator[Sequence[Plan]]:
        """Scans that one workflow takes: a participant's, many, or all."""
        if isinstance(self._plugin, LinearPlugin):
            groups: dict[str, list[Plan]] = {}
            for plan in plans:
                groups.setdefault(plan.scan.participant_id, []).append(plan)
            yield from groups.values()
            return
        size = max(BATCH, 8 * self._plugin.processors) if self._is_local else len(plans)
        for start in range(0, len(plans), size):
            yield plans[start : start + size]

    def run(self, plans: Sequence[Plan]) -> None:
        """Process scans; each leaves its outputs, a word on why it has none, or nothing.

        Raises
        ------
        OutputError, StorageError
            If nothing can be written any more.
        """
        self._run(plans, self._plugin)

    def find_lost(self, plans: Sequence[Plan]) -> None:
        """Try scans again whose workers were killed, alone; tell of those that stay lost."""
        for plan in plans:
            if plan.is_done() or read_failure(plan.failure_file) is not None:
                continue
            if isinstance(self._plugin, SurvivingMultiProcPlugin):
                LOGGER.warning("%s: tried again, alone", plan.stem)
                self._progress.forget(plan.stem)
                memory = self._settings.resources.mem_gb
                alone = multiproc(1, mem_gb=memory, status_callback=self._progress)
                try:
                    self._run([plan], alone)
                finally:
                    alone.close()
            if not plan.is_done() and read_failure(plan.failure_file) is None:
                LOGGER.error("%s: failed: %s", plan.stem, KILLED)

    def close(self) -> None:
        """Let the workers go."""
        if isinstance(self._plugin, SurvivingMultiProcPlugin):
            self._plugin.close()

    def _run(self, plans: Sequence[Plan], plugin: Any) -> None:
        workflow = init_participants_wf(
            [plan.job for plan in plans],
            work_dir=plans[0].folder,
            failure_files=[plan.failure_file for plan in plans],
        )
        with _crash_folder(plans[0].folder / f"crash-{self._run_id}") as crashes:
            workflow.config["execution"] = {
                "crashdump_dir": str(crashes),
                "crashfile_format": "txt",
                "create_report": "false",
                "poll_sleep_duration": "0.1",
                "stop_on_first_crash": str(self._stopping).lower(),
            }
            words = ""
            try:
                workflow.run(plugin=plugin)
            except HarmonizeError:
                raise
            except Exception as error:  # of a node, after the others have run; or nipype's own
                if isinstance(error, OSError) and self._is_local:
                    raise writing_fault(error, plans[0].folder) from error
                LOGGER.debug("nipype:", exc_info=error)
                words = f"{type(error).__name__}: {error}"
            if words or not self._is_local:
                self._explain(plans, crashes, words)

    def _explain(self, plans: Sequence[Plan], crashes: Path, words: str) -> None:
        """Write down what nipype knows of scans whose workers left no word."""
        silent, is_any_known = [], False
        for plan in plans:
            failure = read_failure(plan.failure_file)
            if failure is not None:
                raise_if_output_failed(failure)
            elif not plan.is_done():
                failure = self._reported(plan, crashes)
                if failure is None:
                    silent.append(plan)
                else:
                    _write_down(plan, failure)
            is_any_known |= failure is not None
        if not silent or (self._stopping and is_any_known):
            return
        if self._is_local:
            LOGGER.warning("%d scans have no result: %s", len(silent), _last_line(words))
            return
        for plan in silent:
            reason = f" ({_last_line(words)})" if words else ""
            told = f"its job on the cluster was not run to its end{reason}; submit a script of"
            told = f"{told} {_batch_folder(plan)} by hand to see what the cluster says"
            _write_down(plan, Failure("Cluster", told, words))

    def _reported(self, plan: Plan, crashes: Path) -> Failure | None:
        text = _crash_text(plan, crashes)
        if text is None:
            return None
        if _KILLED_SIGN in text:
            return Failure("Killed", KILLED, text) if self._stopping else None
        if _NO_RESULT_SIGN in text:
            told = "its job on the cluster left no result: time or memory limit? see"
            return Failure("Cluster", f"{told} {_batch_folder(plan)}", text)
        told = f"nipype could not run it: {_last_line(text)}; please report it with the crash file"
        return Failure("Nipype", told, text)


def _write_down(plan: Plan, failure: Failure) -> None:
    LOGGER.error("%s: failed: %s", plan.stem, failure.message)
    write_json(plan.failure_file, asdict(failure))


def _batch_folder(plan: Plan) -> Path:
    """Where nipype keeps the scripts that it submits, and what they say."""
    return plan.folder / WORKFLOW_NAME / "batch"


def _crash_text(plan: Plan, crashes: Path) -> str | None:
    mark = f".{scan_workflow_name(plan.stem)}."
    for path in sorted(crashes.glob("crash-*")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if mark in text.partition("\n")[0]:
            return text
    return None


def _last_line(text: str) -> str:
    for start in _AFTERTHOUGHTS:
        text = text.partition(start)[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no words"


@contextmanager
def _crash_folder(path: Path) -> Iterator[Path]:
    """Where nipype writes what it knows of a crash; it is read, and goes."""
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
