"""Run the participant level: skip what is done, do the rest, tell what became of each scan.

A failed scan never stops the others. *Any* error of a scan becomes a row and a crash file, not
only ``ScanError``: nipype hands over no exceptions, and a user with a thousand scans wants the
other 999. Errors that no scan can escape (disk full, output not writable) do stop the run.

Tables are written here, in the main process, once: workers never share a file. Other runs may
share the output directory: a scan is claimed before anything of it is written, and what another
run has claimed is left to that run.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.files import remove_leftovers
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scans_table
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.config import Settings
from bids_harmonize.errors import BusyError
from bids_harmonize.preprocessing.execution import Execution
from bids_harmonize.preprocessing.outcome import (
    KILLED,
    ScanOutcome,
    Status,
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
from bids_harmonize.preprocessing.plugin import choose_plugin
from bids_harmonize.preprocessing.progress import Progress
from bids_harmonize.preprocessing.reuse import (
    doubtful_masks,
    finished_sidecar,
    measure_columns,
    outdated_images,
    table_row,
)

LOGGER = logging.getLogger(__name__)

NOT_RUN = "not run: an earlier scan failed and --stop-on-first-crash is set"


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
        run.warn_of_outdated(todo)
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
        self.busy_tables: dict[str, str] = {}
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
                plan = forget(plan)
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
        execution = Execution(
            self.settings, plugin=plugin, progress=self.progress, run_id=self.run_id
        )
        try:
            for batch in execution.batches(todo):
                good = [plan for plan in batch if can_start(plan)]
                for plan in batch:
                    if failure := read_failure(plan.failure_file):
                        LOGGER.error("%s: failed: %s", plan.stem, failure.message)
                if self.stopping and len(good) < len(batch):
                    return
                if good:
                    execution.run(good)
                if not self.stopping:
                    execution.find_lost(good)
                elif not all(plan.is_done() for plan in batch):
                    return
        finally:
            execution.close()

    def finish(self, plans: Sequence[Plan]) -> None:
        """Write tables and logs of scans that are done or failed."""
        for plan in plans:
            if plan.stem not in self.reused:
                write_logs(plan, self.settings, stopping=self.stopping)
                sidecar = plan.sidecar()
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

    def warn_of_outdated(self, plans: Sequence[Plan]) -> None:
        """Say that harmonized images do not show what was made anew."""
        done = [plan for plan in plans if plan.stem in self.sidecars]
        outdated = [path.name for plan in done for path in outdated_images(plan.job)]
        if outdated:
            LOGGER.warning(
                "%d harmonized images were made from earlier preprocessed images; run the group "
                "level again: %s",
                len(outdated),
                ", ".join(outdated[:5]) + (", ..." if len(outdated) > 5 else ""),
            )

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
            busy_table = self.busy_tables.get(stem)
            return ScanOutcome(plan.scan, status, None, flags, seconds, doubtful, busy_table)
        message = self.failures.get(stem, NOT_RUN if self.stopping else KILLED)
        return ScanOutcome(plan.scan, "failed", message, (), seconds)

    def _write_tables(self, plans: Iterable[Plan]) -> None:
        rows: dict[Path, dict[str, dict[str, Any]]] = {}
        for plan in plans:
            table = scans_table(Path(plan.job.output_dir), plan.stem)
            row = table_row(plan.scan, self.sidecars[plan.stem])
            rows.setdefault(table, {})[plan.stem] = row
            output_dir = Path(plan.job.output_dir)
        for table, content in rows.items():
            try:
                with self.claims.holding(table.name):
                    remove_leftovers(table.parent, of=table.stem)
                    write_scan_rows(output_dir, content, measures=measure_columns())
            except BusyError as error:  # the images are done; the next run writes the rows
                LOGGER.warning("%s was not written: %s", table.name, error)
                self.busy_tables |= dict.fromkeys(content, table.name)
