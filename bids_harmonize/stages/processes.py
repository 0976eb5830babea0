"""Work spread over processes: how many work at a time, and jobs that survive a killed one.

Workers are spawned, not forked: a fork copies locks that PyTorch's and ITK's threads may hold.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final, TypeVar

from bids_harmonize.config import ResourceSettings
from bids_harmonize.machine import count_cpus, follow_parent, usable_memory_gb

KILLED: Final = "its process was killed: out of memory? Give --mem, or fewer --nprocs"

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class Lost:
    """The answer of a job whose process died while it worked on nothing else."""


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


def work_through(
    do: Callable[[Job], Answer], jobs: Sequence[Job], *, n_procs: int
) -> Iterator[tuple[Job, Answer | Lost]]:
    """Do all jobs; one whose process dies is lost, the others go on.

    Parameters
    ----------
    do
        Does a job; can be pickled where there are several processes, like jobs and answers.
    jobs
        What is to be done.
    n_procs
        1 works in this process.

    Yields
    ------
    tuple
        Job and answer, in the order in which they end.

    Raises
    ------
    Exception
        What ``do`` raises.
    """
    if n_procs == 1:
        for job in jobs:
            yield job, do(job)
        return
    again: list[Job] = []
    for job, answer in _pooled(do, jobs, n_procs):
        if isinstance(answer, Lost):
            again.append(job)
        else:
            yield job, answer
    while again:  # a process took all with it; alone, the first that is lost is the one
        answers = {id(job): answer for job, answer in _pooled(do, again, 1)}
        lost = [job for job in again if isinstance(answers[id(job)], Lost)]
        waiting = {id(job) for job in lost[1:]}
        yield from ((job, answers[id(job)]) for job in again if id(job) not in waiting)
        again = lost[1:]


def _pooled(
    do: Callable[[Job], Answer], jobs: Sequence[Job], n_procs: int
) -> Iterator[tuple[Job, Answer | Lost]]:
    pool = ProcessPoolExecutor(n_procs, get_context("spawn"), follow_parent)
    try:
        jobs_of = {}
        for job in jobs:
            try:
                jobs_of[pool.submit(do, job)] = job
            except BrokenProcessPool:  # one died while jobs are still handed out
                yield job, Lost()
        for future in as_completed(jobs_of):
            try:
                yield jobs_of[future], future.result()
            except BrokenProcessPool:
                yield jobs_of[future], Lost()
    finally:
        pool.shutdown(cancel_futures=True)
