"""How many processes may work at a time, for stages and pages that spread their work."""

from typing import Final

from bids_harmonize.config import ResourceSettings
from bids_harmonize.machine import count_cpus, usable_memory_gb

KILLED: Final = "its process was killed: out of memory? Give --mem, or fewer --nprocs"


def count_processes(resources: ResourceSettings, n_jobs: int, *, gb_each: float) -> int:
    """How many processes work at a time.

    Parameters
    ----------
    resources
        ``nprocs`` and ``mem_gb``; what the machine has where they are ``None``. One process
        with ``low_mem``.
    n_jobs
        More processes than jobs are of no use.
    gb_each
        Memory that a process takes, GB.

    Returns
    -------
    int
        At least 1.
    """
    if resources.low_mem:
        return 1
    memory_gb = usable_memory_gb() if resources.mem_gb is None else resources.mem_gb
    wanted = min(resources.nprocs or count_cpus(), int(memory_gb / gb_each), n_jobs)
    return max(1, wanted)
