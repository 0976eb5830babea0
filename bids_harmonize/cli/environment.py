"""What the process finds around it: the only reader of environment variables."""

import getpass
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bids_harmonize.bids.lock import BatchJob
from bids_harmonize.cli.request import Request

_ENGINES = ("podman", "docker", "oci")
_MARKS = (".dockerenv", "run/.containerenv")  # none of them in podman's with a read-only root
THREAD_VARIABLES = ("OMP_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


def prepare_environment(request: Request) -> None:
    """Set what libraries read: threads, a name for nipype, and a place for matplotlib.

    Parameters
    ----------
    request
        Its ``omp_nthreads`` holds in this process and in its workers.
    """
    for name in THREAD_VARIABLES:
        os.environ[name] = str(request.settings.resources.omp_nthreads)
    # Threads that wait must sleep: two trainings on two cores took three times as long spinning.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # nipype's SLURM plugin names its jobs by it, and fails where a daemon or container has none.
    os.environ.setdefault("LOGNAME", _login_name())
    if "MPLCONFIGDIR" not in os.environ and not _home_is_writable():
        os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="bids-harmonize-matplotlib-")


def find_container(environment: Mapping[str, str], *, root: Path = Path("/")) -> dict[str, str]:
    """The container that this process runs in, as ``GeneratedBy`` wants it.

    Parameters
    ----------
    environment
        Environment variables.
    root
        Root of the file system.

    Returns
    -------
    dict
        ``Type``, and ``Tag`` where the image says it; empty outside containers.
    """
    if environment.get("APPTAINER_CONTAINER") or environment.get("SINGULARITY_CONTAINER"):
        kind = "singularity"
    elif environment.get("container") in _ENGINES or _is_marked(root):
        kind = "docker"
    else:
        return {}
    tag = environment.get("BIDS_HARMONIZE_TAG")
    return {"Type": kind, "Tag": tag} if tag else {"Type": kind}


def _is_marked(root: Path) -> bool:
    return any((root / name).exists() for name in _MARKS)


def find_job(environment: Mapping[str, str]) -> BatchJob | None:
    """The SLURM job that this process belongs to; no other scheduler counts the starts of a job.

    Parameters
    ----------
    environment
        Environment variables.

    Returns
    -------
    BatchJob or None
        Cluster and number of the job, and how often it was queued again.
    """
    number = environment.get("SLURM_JOB_ID", "")
    restarts = environment.get("SLURM_RESTART_COUNT", "0")
    if not (number.isdecimal() and restarts.isdecimal()):
        return None
    return BatchJob(f"{environment.get('SLURM_CLUSTER_NAME', 'SLURM')} {number}", int(restarts))


def _login_name() -> str:
    try:
        return getpass.getuser()
    except KeyError:  # a user id without an entry
        return str(os.getuid())


def _home_is_writable() -> bool:
    try:
        return os.access(Path.home(), os.W_OK)
    except RuntimeError:  # no HOME, and a user id without an entry
        return False
