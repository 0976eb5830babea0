"""Tissue of scans spread over processes: each job writes its own numbers, so none is lost."""

from collections.abc import Iterator, Sequence
from typing import Final

from bids_harmonize.stages import processes
from bids_harmonize.stages.processes import KILLED, Lost
from bids_harmonize.stages.tissue.scan import Fault, TissueJob, do_job

SCAN_MEMORY_GB: Final = 2.0
"""What a worker is given, GB. Measured on a grid of 4 mm: 0.75. On one of 1 mm the search for the
template and the segmentation take 1.2 and 0.8 without PyTorch (see the participant level)."""


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
    for job, found in processes.work_through(do_job, jobs, n_procs=n_procs):
        yield job, Fault(KILLED, KILLED) if isinstance(found, Lost) else found
