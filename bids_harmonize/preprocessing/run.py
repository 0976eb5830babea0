"""Run the participant level: skip what is done, do the rest, tell what became of each scan.

A failed scan never stops the others. *Any* error of a scan becomes a row and a crash file, not
only ``ScanError``: nipype hands over no exceptions, and a user with a thousand scans wants the
other 999. Errors that no scan can escape (disk full, output not writable) do stop the run.

Tables are written here, in the main process, once: workers never share a file.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nipype.pipeline.plugins.linear import LinearPlugin

from bids_harmonize._version import __version__
from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import crash_file
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.config import Settings, dump_toml
from bids_harmonize.preprocessing.derivatives import ScanJob, sidecar_path
from bids_harmonize.preprocessing.jobs import make_job, output_hash
from bids_harmonize.preprocessing.outcome import (
    KILLED,
    Failure,
    ScanOutcome,
    Status,
    raise_if_output_failed,
    read_failure,
)
from bids_harmonize.preprocessing.plugin import SurvivingMultiProcPlugin, choose_plugin, multiproc
from bids_harmonize.preprocessing.progress import Progress
from bids_harmonize.preprocessing.reuse import (
    complete_sidecar,
    doubtful_masks,
    finished_sidecar,
    measure_columns,
    table_row,
)
from bids_harmonize.preprocessing.workflow import init_participants_wf, scan_workflow_name

LOGGER = logging.getLogger(__name__)

NOT_RUN = "not run: an earlier scan failed and --stop-on-first-crash is set"


@dataclass(frozen=True)
class _Plan:
    """A scan, its job, and where a worker says why it failed."""

    scan: Scan
    job: ScanJob
    failure_file: Path


def run_participants(
    scans: Sequence[Scan], *, output_dir: Path, work_dir: Path, settings: Settings, run_id: str
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
    folder = work_dir.resolve() / "participant" / output_hash(settings)
    plans = [_plan(scan, output_dir.resolve(), folder, settings, run_id) for scan in scans]
    if not settings.run.resume:
        _forget([plan.job for plan in plans], folder)
    sidecars = {plan.job.stem: finished_sidecar(plan.job) for plan in plans}
    reused = {stem for stem, sidecar in sidecars.items() if sidecar is not None}
    todo = [plan for plan in plans if plan.job.stem not in reused]
    LOGGER.info("%d scans to process, %d are done already", len(todo), len(reused))
    progress = Progress({plan.job.stem: plan.failure_file for plan in todo})
    if todo:
        _process(todo, folder=folder, settings=settings, progress=progress)
    sidecars |= {plan.job.stem: complete_sidecar(plan.job) for plan in todo}
    _write_tables([(plan.scan, sidecars[plan.job.stem]) for plan in plans], output_dir.resolve())
    _write_logs(todo, output_dir.resolve(), settings, run_id)
    return tuple(
        _outcome(
            plan,
            sidecars[plan.job.stem],
            reused=plan.job.stem in reused,
            seconds=progress.seconds(plan.job.stem),
            stopping=settings.run.stop_on_first_crash,
        )
        for plan in plans
    )


def _process(
    plans: Sequence[_Plan], *, folder: Path, settings: Settings, progress: Progress
) -> None:
    for plan in plans:
        plan.failure_file.unlink(missing_ok=True)
    plugin = choose_plugin(settings.resources, n_scans=len(plans), status_callback=progress)
    linear = isinstance(plugin, LinearPlugin)
    batches = _by_participant(plans) if linear else [list(plans)]
    for batch in batches:
        _execute(batch, plugin, folder=folder, settings=settings)
        if settings.run.stop_on_first_crash and any(not _is_done(plan) for plan in batch):
            return
    for plan in plans:
        if not _is_done(plan) and read_failure(plan.failure_file) is None:
            if not linear and not settings.run.stop_on_first_crash:
                _try_alone(plan, folder=folder, settings=settings, progress=progress)
            if not _is_done(plan):
                LOGGER.error("%s: failed: %s", plan.job.stem, KILLED)


def _try_alone(plan: _Plan, *, folder: Path, settings: Settings, progress: Progress) -> None:
    """Once more, with all the memory: a scan may be lost because of its neighbour."""
    LOGGER.warning("%s: tried again, alone", plan.job.stem)
    progress.forget(plan.job.stem)
    alone = multiproc(1, mem_gb=settings.resources.mem_gb, status_callback=progress)
    _execute([plan], alone, folder=folder, settings=settings)


def _execute(plans: Sequence[_Plan], plugin: Any, *, folder: Path, settings: Settings) -> None:
    workflow = init_participants_wf(
        [plan.job for plan in plans],
        work_dir=folder,
        failure_files=[plan.failure_file for plan in plans],
    )
    workflow.config["execution"] = {
        "crashdump_dir": str(folder / "crash"),
        "crashfile_format": "txt",
        "create_report": "false",
        "poll_sleep_duration": "0.1",
        "stop_on_first_crash": str(settings.run.stop_on_first_crash).lower(),
    }
    try:
        workflow.run(plugin=plugin)
    except RuntimeError as error:  # nipype raises this after all it could run has run
        LOGGER.debug("nipype: %s", error)
    finally:
        if isinstance(plugin, SurvivingMultiProcPlugin):
            plugin.close()
    for plan in plans:
        if failure := read_failure(plan.failure_file):
            raise_if_output_failed(failure)
        if _is_done(plan):
            name = scan_workflow_name(plan.job.stem)
            shutil.rmtree(folder / "participants" / name, ignore_errors=True)


def _plan(scan: Scan, output_dir: Path, folder: Path, settings: Settings, run_id: str) -> _Plan:
    job = make_job(scan, output_dir, settings, run_id=run_id)
    return _Plan(scan, job, folder / "failures" / f"{scan.stem}.json")


def _is_done(plan: _Plan) -> bool:
    return read_failure(plan.failure_file) is None and complete_sidecar(plan.job) is not None


def _forget(jobs: Sequence[ScanJob], folder: Path) -> None:
    for job in jobs:
        sidecar_path(job.output("preproc")).unlink(missing_ok=True)
        shutil.rmtree(folder / "participants" / scan_workflow_name(job.stem), ignore_errors=True)


def _by_participant(plans: Sequence[_Plan]) -> list[list[_Plan]]:
    groups: dict[str, list[_Plan]] = {}
    for plan in plans:
        groups.setdefault(plan.scan.participant_id, []).append(plan)
    return list(groups.values())


def _write_tables(
    finished: Sequence[tuple[Scan, dict[str, Any] | None]], output_dir: Path
) -> None:
    rows = {scan.stem: table_row(scan, sidecar) for scan, sidecar in finished if sidecar}
    write_scan_rows(output_dir, rows, measures=measure_columns())


def _write_logs(plans: Sequence[_Plan], output_dir: Path, settings: Settings, run_id: str) -> None:
    for plan in plans:
        crash = crash_file(output_dir, plan.job.stem, run_id)
        write_text(crash.with_name("config.toml"), dump_toml(settings))
        failure = read_failure(plan.failure_file)
        if failure is None and not _is_done(plan) and not settings.run.stop_on_first_crash:
            failure = Failure("Killed", KILLED, "The worker left no traceback.")
        if failure is not None:
            write_text(crash, _crash_text(plan, failure))


def _crash_text(plan: _Plan, failure: Failure) -> str:
    return (
        f"{plan.job.stem}: {failure.message}\n\n"
        f"image: {plan.job.source}\n"
        f"bids-harmonize {__version__}, run {plan.job.run_id}\n"
        f"settings: {plan.job.settings}\n\n"
        f"{failure.kind}\n{failure.trace}\n"
    )


def _outcome(
    plan: _Plan, sidecar: dict[str, Any] | None, *, reused: bool, seconds: float, stopping: bool
) -> ScanOutcome:
    failure = read_failure(plan.failure_file) if not reused else None
    if sidecar is not None and failure is None:
        status: Status = "reused" if reused else "done"
        doubtful = doubtful_masks(sidecar)
        return ScanOutcome(plan.scan, status, None, tuple(sidecar["Flags"]), seconds, doubtful)
    unheard = NOT_RUN if stopping else KILLED
    message = unheard if failure is None else failure.message
    return ScanOutcome(plan.scan, "failed", message, (), seconds)
