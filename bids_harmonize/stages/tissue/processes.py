"""Scans spread over processes: each job writes its own numbers, so a run that ends loses none.

Workers are spawned, not forked: a fork copies locks that PyTorch's and ITK's threads may hold.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final

from bids_harmonize.machine import follow_parent
from bids_harmonize.stages.processes import KILLED
from bids_harmonize.stages.tissue.scan import Fault, TissueJob, do_job

SCAN_MEMORY_GB: Final = 2.0
"""What a worker is given, GB. Measured on a grid of 4 mm: 0.75. On one of 1 mm the search for the
template and the segmentation take 1.2 and 0.8 without PyTorch (see the participant level)."""

_LOST: Final = Fault(KILLED, KILLED)


def work_through(
    jobs: Sequence[TissueJob], *, n_procs: int
) -> Iterator[tuple[TissueJob, Fault | None]]:
    """Do all jobs; a job whose process dies alone is a fault, the others go on.

    Parameters
    ----------
    jobs
        What to measure.
    n_procs
        1 works in this process.

    Yields
    ------
    tuple
        Job, and why it has no numbers or ``None``; in the order in which they end.

    Raises
    ------
    HarmonizeError
        As ``do_job``.
    """
    if n_procs == 1:
        for job in jobs:
            yield job, do_job(job)
        return
    lost: list[TissueJob] = []
    for job, fault in _pooled(jobs, n_procs):
        if fault is _LOST:
            lost.append(job)
        else:
            yield job, fault
    while lost:  # a process died and took the others with it: who dies alone is the one
        answers = list(_pooled(lost, 1))
        died = [job for job, fault in answers if fault is _LOST]
        lost = died[1:]
        yield from ((job, fault) for job, fault in answers if job not in lost)


def _pooled(jobs: Sequence[TissueJob], n_procs: int) -> Iterator[tuple[TissueJob, Fault | None]]:
    pool = ProcessPoolExecutor(n_procs, get_context("spawn"), follow_parent)
    try:
        jobs_of = {pool.submit(do_job, job): job for job in jobs}
        for future in as_completed(jobs_of):
            try:
                yield jobs_of[future], future.result()
            except BrokenProcessPool:
                yield jobs_of[future], _LOST
    finally:
        pool.shutdown(cancel_futures=True)
