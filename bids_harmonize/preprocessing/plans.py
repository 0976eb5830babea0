"""One scan's plan: what is to be done with it, and where its traces lie while that is done.

In the work directory a scan has one folder for every output directory and set of settings; so runs
into different outputs can share a work directory, and a scan that is done takes all its folders
with it, those of earlier settings too.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bids_harmonize._version import __version__
from bids_harmonize.bids.claims import scan_claim
from bids_harmonize.bids.files import remove_leftovers, write_text
from bids_harmonize.bids.images import read_grid
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import crash_file
from bids_harmonize.bids.sidecars import read_sidecar, sidecar_path
from bids_harmonize.config import Settings, dump_toml, settings_hash
from bids_harmonize.errors import OutputError, StorageError
from bids_harmonize.preprocessing.derivatives import ALL_KEYS, ScanJob
from bids_harmonize.preprocessing.jobs import make_job, output_hash
from bids_harmonize.preprocessing.outcome import (
    KILLED,
    Failure,
    drop_reserve,
    keep_reserve,
    read_failure,
    recording_failure,
)
from bids_harmonize.preprocessing.reuse import current_sidecar
from bids_harmonize.preprocessing.workflow import WORKFLOW_NAME, scan_workflow_name


@dataclass(frozen=True)
class Plan:
    """A scan, its job, and its place in the work directory.

    Parameters
    ----------
    scan
        The scan.
    job
        What a worker must know of it.
    folder
        Where nipype keeps what lies between the nodes, of all scans with these settings.
    outdated
        Mark of the outputs that do not count, see :func:`forget`; ``None`` if all count.
    """

    scan: Scan
    job: ScanJob
    folder: Path
    outdated: tuple[int, int] | None = None

    @property
    def stem(self) -> str:
        """Name of the scan."""
        return self.job.stem

    @property
    def claim(self) -> str:
        """What a run claims before it writes anything of the scan."""
        return scan_claim(self.stem)

    @property
    def failure_file(self) -> Path:
        """Where a worker says why the scan failed."""
        return self.folder / "failures" / f"{self.stem}.json"

    def sidecar(self) -> dict[str, Any] | None:
        """The sidecar of the outputs, if all stand, show the raw image as it is now, and count."""
        if self.outdated is not None and self.outdated == _saving(self.job):
            return None
        return current_sidecar(self.job)

    def is_done(self) -> bool:
        """Whether all outputs stand and count, and no worker failed."""
        return read_failure(self.failure_file) is None and self.sidecar() is not None


def make_plans(
    scans: Sequence[Scan], *, output_dir: Path, work_dir: Path, settings: Settings, run_id: str
) -> list[Plan]:
    """The plan of every scan, in order; nothing is touched.

    Parameters
    ----------
    scans, output_dir, work_dir, settings, run_id
        As in ``run_participants``.

    Returns
    -------
    list of Plan
        One a scan.
    """
    output_dir = output_dir.resolve()
    folder = work_dir.resolve() / "participant" / settings_hash(str(output_dir))
    folder /= output_hash(settings)
    plans = []
    for scan in scans:
        job = make_job(scan, output_dir, settings, run_id=run_id)
        plans.append(Plan(scan, job, folder))
    return plans


def forget(plan: Plan) -> Plan:
    """The plan of a scan that is to be done anew, with no step of it done.

    Outputs that stand stay until there are new ones, but do not count: a run that is stopped
    halfway must not cost what it never got to.
    """
    clear_work(plan)
    return replace(plan, outdated=_saving(plan.job))


def _saving(job: ScanJob) -> tuple[int, int] | None:
    """What tells one saving of a scan's outputs from the next; ``None`` if none stand."""
    try:
        status = sidecar_path(job.output("preproc")).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def clear_work(plan: Plan) -> None:
    """Remove what lies in the work directory of a scan, whatever the settings."""
    name = scan_workflow_name(plan.stem)
    for folder in plan.folder.parent.glob("*"):
        shutil.rmtree(folder / WORKFLOW_NAME / name, ignore_errors=True)
        failure_file = folder / "failures" / plan.failure_file.name
        failure_file.unlink(missing_ok=True)
        drop_reserve(failure_file)


def tidy(plan: Plan) -> None:
    """Remove the half-written files that a killed run left of a scan; it must be claimed.

    By whole names: those of ``sub-01_acq-x`` begin as those of ``sub-01`` do, and may be alive.
    """
    for key in ALL_KEYS:
        image = plan.job.output(key)
        for path in (image, sidecar_path(image)):
            remove_leftovers(path.parent, of=path.name)


def can_start(plan: Plan) -> bool:
    """Whether the raw image can be opened and its metadata read; if not, why is written down."""
    plan.failure_file.unlink(missing_ok=True)
    try:
        with recording_failure(plan.failure_file):
            read_grid(Path(plan.job.source))
            read_sidecar(Path(plan.job.source), root=Path(plan.job.dataset))
    except (OutputError, StorageError):
        raise
    except Exception:  # noqa: BLE001 - it is written down, and the others go on
        return False
    keep_reserve(plan.failure_file)
    return True


def forget_crashes(plan: Plan) -> None:
    """Remove the crash files of a scan that is done: those that stay are those to look at."""
    output_dir = Path(plan.job.output_dir)
    name = crash_file(output_dir, plan.stem, "*").name
    folder = crash_file(output_dir, plan.stem, "*").parent.parent
    for path in folder.glob(f"*/{name}"):
        path.unlink(missing_ok=True)


def write_logs(plan: Plan, settings: Settings, *, stopping: bool) -> None:
    """Write the settings of the run to the participant's log folder, and why a scan failed."""
    drop_reserve(plan.failure_file)
    crash = crash_file(Path(plan.job.output_dir), plan.stem, plan.job.run_id)
    write_text(crash.with_name("config.toml"), dump_toml(settings))
    failure = read_failure(plan.failure_file)
    if failure is None and not plan.is_done() and not stopping:
        failure = Failure("Killed", KILLED, "The worker left no traceback.")
    if failure is not None:
        write_text(crash, _crash_text(plan, failure))


def _crash_text(plan: Plan, failure: Failure) -> str:
    return (
        f"{plan.stem}: {failure.message}\n\n"
        f"image: {plan.job.source}\n"
        f"bids-harmonize {__version__}, run {plan.job.run_id}\n"
        f"settings: {plan.job.settings}\n\n"
        f"{failure.kind}\n{failure.trace}\n"
    )
