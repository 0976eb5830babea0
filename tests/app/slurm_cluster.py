"""A SLURM cluster for the tests: the one that is here, or one that a script brings up."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

UP, DOWN = "BIDS_HARMONIZE_SLURM_UP", "BIDS_HARMONIZE_SLURM_DOWN"
"""Scripts that are sourced with a folder: the first exports SLURM_CONF, the second ends it."""

HPC = Path(__file__).parents[2] / "docs" / "hpc"
SMALL = ("--mem=1500M", "--cpus-per-task=1")


def ask(*words: object) -> str:
    """What a command says; it must succeed."""
    command = [str(word) for word in words]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def answers() -> bool:
    """Whether a cluster is there."""
    if shutil.which("sbatch") is None or shutil.which("sinfo") is None:
        return False
    try:
        return subprocess.run(["sinfo"], capture_output=True, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def cluster() -> Iterator[None]:
    """Have a cluster until the end; skips the test where there is none."""
    if answers():
        yield
        return
    script = os.environ.get(UP)
    if script is None or shutil.which("sbatch") is None:
        pytest.skip(f"no SLURM cluster answers here, and {UP} names no script that starts one")
    # nproc would count the threads that the tests are held to.
    sourced = 'unset OMP_NUM_THREADS; . "$0" "$1" >&2 && echo "$SLURM_CONF"'
    # Not in pytest's own folder: munge refuses a socket in a place that others cannot enter.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        Path(folder).chmod(0o755)
        os.environ["SLURM_CONF"] = ask("bash", "-c", sourced, script, folder).splitlines()[-1]
        try:
            yield
        finally:
            if DOWN in os.environ:
                ask("bash", os.environ[DOWN], folder)
            del os.environ["SLURM_CONF"]


def job_field(job: str, name: str) -> str:
    """One field of ``scontrol show job``."""
    found = re.search(rf"\b{name}=(\S*)", ask("scontrol", "show", "job", job))
    assert found is not None
    return found[1]


def wait_until(is_so, *, what: str, limit_s: float = 1500) -> None:
    """Ask again and again."""
    end = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end, f"not within {limit_s:.0f} s: {what}"
        time.sleep(0.1)
