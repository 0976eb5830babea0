"""Work spread over processes: no job is lost with another's process."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from bids_harmonize.stages import processes
from bids_harmonize.stages.processes import work_through

FORK = get_context("fork")


def _double(number):
    return 2 * number


class _BreaksOnce(ProcessPoolExecutor):
    """A pool that is broken when the third job of the first attempt is handed out."""

    n_handed_out = 0

    def submit(self, *words):
        type(self).n_handed_out += 1
        if self.n_handed_out == 3:
            raise BrokenProcessPool
        return super().submit(*words)


def test_a_process_that_dies_while_jobs_are_handed_out_costs_none(monkeypatch):
    monkeypatch.setattr(processes, "get_context", lambda _: FORK)
    monkeypatch.setattr(processes, "ProcessPoolExecutor", _BreaksOnce)
    assert dict(work_through(_double, [1, 2, 3, 4], n_procs=2)) == {1: 2, 2: 4, 3: 6, 4: 8}
