"""Trainings that do not wait for each other, spread over processes, each on one thread.

Choice: on a CPU every training has one thread, in a process of its own where ``--nprocs`` allows
several. Reason: a good part of a step is NumPy's (augmentation), which more threads do not hasten,
and one thread sums in one order, so ``--nprocs`` changes no bit. Rejected: several trainings in
the threads of one process, where Python lets one run at a time; several processes on a GPU, which
they would have to share.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from types import TracebackType
from typing import Final, Self

import pandas as pd

from bids_harmonize.config import ResourceSettings
from bids_harmonize.machine import follow_parent
from bids_harmonize.stages.kept_answers import KeptAnswers
from bids_harmonize.stages.processes import count_processes
from bids_harmonize.training.runtime import Runtime, make_runtime, one_thread

LOGGER = logging.getLogger(__name__)

_BASE_GB: Final = 0.8
_GB_PER_VOXEL: Final = 3e-6
"""Of the network's grid. Measured: 0.75 GB in all at 4 mm."""
_START_S: Final = 15.0
"""What a process takes until it can train, most of it PyTorch's imports."""


@dataclass(frozen=True, eq=False)
class Training:
    """A network to be trained, and what it is asked.

    Attributes
    ----------
    name, fingerprint
        As :class:`KeptAnswers` takes them.
    answers
        Trains and asks, given device and precision; can be pickled.
    """

    name: str
    fingerprint: str
    answers: Callable[[Runtime], pd.DataFrame]


class Trainers:
    """What trains the networks of a stage; its processes, if any, end with the ``with`` block.

    Parameters
    ----------
    runtime
        Device and precision of the run.
    resources
        ``nprocs``, memory.
    shape
        Voxels of the network's grid along I, J, K: they decide what a training takes.
    """

    def __init__(
        self, runtime: Runtime, resources: ResourceSettings, shape: tuple[int, int, int]
    ) -> None:
        i, j, k = shape
        self.runtime = runtime
        self._resources = resources
        self._gb_each = _BASE_GB + _GB_PER_VOXEL * i * j * k
        self._pool: ProcessPoolExecutor | None = None
        self._seconds = 0.0

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def ask(self, kept: KeptAnswers, trainings: Sequence[Training]) -> list[pd.DataFrame]:
        """The answers of every training; only those are trained that have none yet.

        Parameters
        ----------
        kept
            Where answers are kept, each as soon as it is there.
        trainings
            All independent of each other.

        Returns
        -------
        list of DataFrame
            In the order of ``trainings``; equal to the last bit whatever ``--nprocs`` is.

        Raises
        ------
        Exception
            What a training raises; answers of others that are there are kept.
        OutputError, StorageError
            If answers cannot be kept.
        """
        found = [kept.find(one.name, one.fingerprint) for one in trainings]
        missing = [number for number, answers in enumerate(found) if answers is None]
        made = self._made([trainings[number] for number in missing])
        for done, (place, answers) in enumerate(made, start=1):
            one = trainings[missing[place]]
            kept.keep(one.name, one.fingerprint, answers)
            found[missing[place]] = answers
            LOGGER.info("trained %d of %d: %s", done, len(missing), one.name)
        return [answers for answers in found if answers is not None]

    def _made(self, trainings: Sequence[Training]) -> Iterator[tuple[int, pd.DataFrame]]:
        """Place and answers of each, in the order in which they end."""
        left = dict(enumerate(trainings))
        for place in range(len(trainings)):
            if self._pays(len(left)):
                yield from self._spread(left)
            if place in left:
                started = time.monotonic()
                with one_thread():
                    answers = left.pop(place).answers(self.runtime)
                self._seconds = time.monotonic() - started
                yield place, answers

    def _pays(self, n_left: int) -> bool:
        """Whether processes would save more than they take to start; told by the last training."""
        if self.runtime.device.type != "cpu":
            return False
        n_procs = count_processes(self._resources, n_left, gb_each=self._gb_each)
        saved = self._seconds * n_left * (1 - 1 / n_procs)
        return n_procs > 1 and (self._pool is not None or saved > _START_S)

    def _spread(self, left: dict[int, Training]) -> Iterator[tuple[int, pd.DataFrame]]:
        """Place and answers; takes out of ``left`` what has ended, all if no process is killed."""
        for place, answers in self._pooled(left):
            del left[place]
            yield place, answers
        if left:
            LOGGER.warning(
                "a process that trained was killed: out of memory? The other %d trainings go on"
                " one at a time; give --mem, or fewer --nprocs",
                len(left),
            )
            self._pool = None
            self._resources = replace(self._resources, nprocs=1)

    def _pooled(self, trainings: dict[int, Training]) -> Iterator[tuple[int, pd.DataFrame]]:
        """As far as the processes live."""
        if self._pool is None:
            n_most = count_processes(self._resources, 10**6, gb_each=self._gb_each)
            resources = replace(self._resources, device="cpu", nprocs=1)
            self._pool = ProcessPoolExecutor(n_most, get_context("spawn"), _start, (resources,))
        futures = {self._pool.submit(_train, one): place for place, one in trainings.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            return
        finally:
            for future in futures:
                future.cancel()


_worker: list[Runtime] = []
"""The runtime of this process, where it is a worker."""


def _start(resources: ResourceSettings) -> None:
    follow_parent()
    _worker.append(make_runtime(resources))


def _train(training: Training) -> pd.DataFrame:
    return training.answers(_worker[0])
