"""What this process may use of the machine, and workers that end with the process they serve.

nipype takes nine tenths of the machine's memory for its own. In a container or a cluster's job
that is far more than the job may use, and the system then kills workers: so the limits of the
control groups count as well.
"""

import os
import signal
import threading
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

SHARE = 0.9
"""Part of the memory that nodes may take; the main process needs some."""

WORKER_OOM_SCORE = "500"
"""From -1000 to 1000, thousandths of the memory there is: as if a worker took half of it more."""

_GB = 1e9


def count_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def usable_memory_gb(*, root: Path = Path("/")) -> float:
    """Memory that the nodes of a run may take together, GB.

    Parameters
    ----------
    root
        Root of the file system.

    Returns
    -------
    float
        Nine tenths of what the machine has, or of what its control groups allow if that is less.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return SHARE * min([machine, *_group_limits(root)]) / _GB


def follow_parent() -> None:
    """End this worker when the process that started it is gone.

    A pool's worker waits for work for ever: after a ``kill -9`` of its main process it would sit
    there with all its memory. And where memory runs out, the worker is the one to be killed: the
    process that it serves can tell of it.
    """
    parent = parent_process()
    if parent is None:
        return
    with suppress(OSError):  # no Linux, or a closed /proc: the system chooses
        Path("/proc/self/oom_score_adj").write_text(WORKER_OOM_SCORE)

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _group_limits(root: Path) -> list[int]:
    """Memory limits of this process's control group and those above, bytes."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    limits: list[int] = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers == "":
            base, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        inside = Path(place.lstrip("/"))
        limits += [
            int(text)
            for folder in (inside, *inside.parents)
            if (text := _read(base / folder / name)).isdigit()
        ]
    return limits


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
