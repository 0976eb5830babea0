"""What a process may use, and workers that follow their parent."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from bids_harmonize.machine import SHARE, WORKER_OOM_SCORE, follow_parent, usable_memory_gb
from tests.app.processes import is_running

MACHINE_GB = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("place", "files", "limit_gb"),
    [
        ("0::/job/step", {"job/memory.max": "300000000", "job/step/memory.max": "max"}, 0.3),
        ("0::/job/step", {"job/memory.max": "max", "job/step/memory.max": "200000000"}, 0.2),
        ("5:cpu,memory:/job", {"memory/job/memory.limit_in_bytes": "100000000"}, 0.1),
        ("0::/", {}, MACHINE_GB),
    ],
)
def test_the_memory_of_a_job_is_its_control_groups(
    tmp_path: Path, place: str, files: dict[str, str], limit_gb: float
) -> None:
    _write(tmp_path, "proc/self/cgroup", f"{place}\n1:name=systemd:/x\n")
    for name, text in files.items():
        _write(tmp_path, f"sys/fs/cgroup/{name}", f"{text}\n")
    assert usable_memory_gb(root=tmp_path) == pytest.approx(SHARE * limit_gb)


def test_without_control_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert usable_memory_gb(root=tmp_path) == pytest.approx(SHARE * MACHINE_GB)


PARENT = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from os import getpid
from bids_harmonize.machine import follow_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), follow_parent)
    print(pool.submit(getpid).result(), flush=True)
    time.sleep(60)
"""


def test_a_worker_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_running(worker)
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 30
    while is_running(worker):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_worker_offers_itself_where_memory_runs_out():
    with ProcessPoolExecutor(1, get_context("spawn"), follow_parent) as pool:
        worker = pool.submit(Path("/proc/self/oom_score_adj").read_text).result()
    assert worker.strip() == WORKER_OOM_SCORE
    assert int(Path("/proc/self/oom_score_adj").read_text()) < int(WORKER_OOM_SCORE)
