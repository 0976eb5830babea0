"""Run the participant level: skip what is done, do the rest, tell what became of each scan.

A failed scan never stops the others. *Any* error of a scan becomes a row and a crash file, not
only ``ScanError``: nipype hands over no exceptions, and a user with a thousand scans wants the
other 999. Errors that no scan can escape (disk full, output not writable) do stop the run.

Tables are written here, in the main process, once: workers never share a file. Other runs may
share the output directory: a scan is claimed before anything of it is written, and what another
run has claimed is left to that run.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nipype.pipeline.plugins.linear import LinearPlugin

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.files import remove_leftovers, writing_fault
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scans_table
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.config import Settings
from bids_harmonize.preprocessing.outcome import (
    KILLED,
    ScanOutcome,
    Status,
    raise_if_output_failed,
    read_failure,
)
from bids_harmonize.preprocessing.plans import (
    Plan,
    can_start,
    clear_work,
    forget,
    forget_crashes,
    make_plans,
    tidy,
    write_logs,
)
from bids_harmonize.preprocessing.plugin import SurvivingMultiProcPlugin, choose_plugin, multiproc
from bids_harmonize.preprocessing.progress import Progress
from bids_harmonize.preprocessing.reuse import (
    current_sidecar,
    doubtful_masks,
    finished_sidecar,
    measure_columns,
    table_row,
)
from bids_harmonize.preprocessing.workflow import init_participants_wf

LOGGER = logging.getLogger(__name__)

NOT_RUN = "not run: an earlier scan failed and --stop-on-first-crash is set"

BATCH = 64
"""Scans that one nipype workflow has: its main process takes half a second a node for 2,000."""


def run_participants(
    scans: Sequence[Scan],
    *,
    output_dir: Path,
    work_dir: Path,
    settings: Settings,
    run_id: str,
    claims: Claims | None = None,
) -> tuple[ScanOutcome, ...]:
    """What became of every scan.

    Parameters
    ----------
    scans
        With their sites, as far as these are known.
    output_dir
        Root of the derivative; ``dataset_description.json`` is somebody else's business.
    work_dir
        For what lies between the steps; a finished scan leaves nothing there.
    settings
        All settings; those of ``preprocessing`` shape the images.
    run_id
        Names the folder of the crash files.
    claims
        Of this process on ``output_dir``; made here where ``None``.

    Returns
    -------
    tuple of ScanOutcome
        In the order of ``scans``.

    Raises
    ------
    OutputError, StorageError
        If nothing can be written any more.
    UsageError
        If the file of ``--use-plugin`` cannot be used.
    """
    if claims is None:
        with Claims(output_dir) as own:
            return run_participants(
                scans,
                output_dir=output_dir,
                work_dir=work_dir,
                settings=settings,
                run_id=run_id,
                claims=own,
            )
    plans = make_plans(
        scans, output_dir=output_dir, work_dir=work_dir, settings=settings, run_id=run_id
    )
    run = _Run(settings, claims, run_id)
    todo = run.sort(plans)
    try:
        if todo:
            run.process(todo)
        run.finish(todo)
    finally:
        for plan in todo:
            claims.drop(plan.claim)
    return tuple(run.outcome(plan) for plan in plans)


class _Run:
    """What is known of the scans while they are processed."""

    def __init__(self, settings: Settings, claims: Claims, run_id: str) -> None:
        self.settings = settings
        self.claims = claims
        self.run_id = run_id
        self.stopping = settings.run.stop_on_first_crash
        self.busy: dict[str, int | None] = {}
        self.reused: set[str] = set()
        self.sidecars: dict[str, dict[str, Any]] = {}
        self.failures: dict[str, str] = {}
        self.progress = Progress({}, when_done=lambda stem: None)

    def sort(self, plans: Sequence[Plan]) -> list[Plan]:
        """Plans of the scans to process, which are claimed; the others are noted."""
        todo, done = [], []
        for plan in plans:
            if not self.claims.take(plan.claim):
                self.busy[plan.stem] = self.claims.holder(plan.claim)
                continue
            tidy(plan)
            sidecar = None
            if self.settings.run.resume:
                sidecar = finished_sidecar(plan.job)
            else:
                forget(plan)
            if sidecar is None:
                todo.append(plan)
            else:
                self.sidecars[plan.stem] = sidecar
                done.append(plan)
        self.reused = {plan.stem for plan in done}
        LOGGER.info("%d scans to process, %d are done already", len(todo), len(done))
        for stem, process in self.busy.items():
            LOGGER.warning("%s: left to another run (process %s)", stem, process or "unknown")
        self.finish(done)
        for plan in done:
            self.claims.drop(plan.claim)
        return todo

    def process(self, todo: Sequence[Plan]) -> None:
        """Process scans; each leaves its outputs or a word on why it has none."""
        by_stem = {plan.stem: plan for plan in todo}
        self.progress = Progress(
            {plan.stem: plan.failure_file for plan in todo},
            when_done=lambda stem: clear_work(by_stem[stem]),
        )
        plugin = choose_plugin(
            self.settings.resources, n_scans=len(todo), status_callback=self.progress
        )
        try:
            for batch in _batches(todo, plugin):
                good = [plan for plan in batch if can_start(plan)]
                for plan in batch:
                    if failure := read_failure(plan.failure_file):
                        LOGGER.error("%s: failed: %s", plan.stem, failure.message)
                if good:
                    self._execute(good, plugin)
                if not self.stopping:
                    self._find_lost(good, plugin)
                elif not all(plan.is_done() for plan in batch):
                    return
        finally:
            if isinstance(plugin, SurvivingMultiProcPlugin):
                plugin.close()

    def finish(self, plans: Sequence[Plan]) -> None:
        """Write tables and logs of scans that are done or failed."""
        for plan in plans:
            if plan.stem not in self.reused:
                write_logs(plan, self.settings, stopping=self.stopping)
                sidecar = current_sidecar(plan.job)
                if failure := read_failure(plan.failure_file):
                    self.failures[plan.stem] = failure.message
                elif sidecar is not None:
                    self.sidecars[plan.stem] = sidecar
            if plan.stem in self.sidecars:
                forget_crashes(plan)
                clear_work(plan)
            elif plan.job.output("preproc").exists():
                LOGGER.warning("%s: the outputs of an earlier run still stand", plan.stem)
        self._write_tables(plan for plan in plans if plan.stem in self.sidecars)

    def outcome(self, plan: Plan) -> ScanOutcome:
        """What became of a scan."""
        stem, seconds = plan.stem, self.progress.seconds(plan.stem)
        if stem in self.busy:
            message = f"another run is working on it (process {self.busy[stem] or 'unknown'})"
            return ScanOutcome(plan.scan, "busy", message, (), seconds)
        if stem in self.sidecars:
            sidecar = self.sidecars[stem]
            flags, doubtful = tuple(sidecar["Flags"]), doubtful_masks(sidecar)
            status: Status = "reused" if stem in self.reused else "done"
            return ScanOutcome(plan.scan, status, None, flags, seconds, doubtful)
        message = self.failures.get(stem, NOT_RUN if self.stopping else KILLED)
        return ScanOutcome(plan.scan, "failed", message, (), seconds)

    def _execute(self, plans: Sequence[Plan], plugin: Any) -> None:
        workflow = init_participants_wf(
            [plan.job for plan in plans],
            work_dir=plans[0].folder,
            failure_files=[plan.failure_file for plan in plans],
        )
        with _crash_folder(plans[0].folder / f"crash-{self.run_id}") as crashes:
            workflow.config["execution"] = {
                "crashdump_dir": str(crashes),
                "crashfile_format": "txt",
                "create_report": "false",
                "poll_sleep_duration": "0.1",
                "stop_on_first_crash": str(self.stopping).lower(),
            }
            try:
                workflow.run(plugin=plugin)
            except RuntimeError as error:  # nipype raises it after all it could run has run
                LOGGER.debug("nipype: %s", error)
            except OSError as error:  # it cannot write into the work directory any more
                raise writing_fault(error, plans[0].folder) from error
        for plan in plans:
            if failure := read_failure(plan.failure_file):
                raise_if_output_failed(failure)

    def _find_lost(self, plans: Sequence[Plan], plugin: Any) -> None:
        """Try scans again whose workers died, alone: a scan may be lost with its neighbour."""
        for plan in plans:
            if plan.is_done() or read_failure(plan.failure_file) is not None:
                continue
            if not isinstance(plugin, LinearPlugin):
                LOGGER.warning("%s: tried again, alone", plan.stem)
                self.progress.forget(plan.stem)
                memory = self.settings.resources.mem_gb
                alone = multiproc(1, mem_gb=memory, status_callback=self.progress)
                try:
                    self._execute([plan], alone)
                finally:
                    alone.close()
            if not plan.is_done() and read_failure(plan.failure_file) is None:
                LOGGER.error("%s: failed: %s", plan.stem, KILLED)

    def _write_tables(self, plans: Iterable[Plan]) -> None:
        rows: dict[Path, dict[str, dict[str, Any]]] = {}
        for plan in plans:
            table = scans_table(Path(plan.job.output_dir), plan.stem)
            row = table_row(plan.scan, self.sidecars[plan.stem])
            rows.setdefault(table, {})[plan.stem] = row
            output_dir = Path(plan.job.output_dir)
        for table, content in rows.items():
            with self.claims.holding(table.name):
                remove_leftovers(table.parent, of=table.stem)
                write_scan_rows(output_dir, content, measures=measure_columns())


def _batches(plans: Sequence[Plan], plugin: Any) -> Iterator[Sequence[Plan]]:
    """Scans that one workflow takes: a participant's, many, or all."""
    if isinstance(plugin, LinearPlugin):
        groups: dict[str, list[Plan]] = {}
        for plan in plans:
            groups.setdefault(plan.scan.participant_id, []).append(plan)
        yield from groups.values()
        return
    local = isinstance(plugin, SurvivingMultiProcPlugin)
    size = max(BATCH, 8 * plugin.processors) if local else len(plans)
    for start in range(0, len(plans), size):
        yield plans[start : start + size]


@contextmanager
def _crash_folder(path: Path) -> Iterator[Path]:
    """Where nipype writes what it knows of a crash; our own crash file says more."""
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
