"""The whole training of a pair of sites: run, alarm, one restart."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from torch import Tensor

from bids_harmonize.errors import PreemptedError, WorkerError
from bids_harmonize.preemption import signals_deferred
from bids_harmonize.training.loop import Checkpointing, iterate
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pair_training import PairTraining
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.targets import SiteShares, told_shares

LOGGER = logging.getLogger(__name__)
RESTART_RATE = 0.5
N_ATTEMPTS = 2


class _DivergedError(Exception):
    """Training left the target; caught in :func:`train_attempts` alone."""


class Rated(Protocol):
    """Settings of a training, as far as :func:`train_attempts` knows them."""

    @property
    def n_iterations(self) -> int:
        """Length of the training."""
        ...

    @property
    def check_every(self) -> int:
        """Iterations between two looks at the monitor scans."""
        ...

    def slower(self, share: float) -> Self:
        """The same with this share of the learning rates."""
        ...


class Training(Protocol):
    """What :func:`train_attempts` runs: a state, a step, a look at the monitor scans."""

    state: dict[str, Any]

    def step(self, iteration: int) -> dict[str, float]:
        """One iteration; returns the losses."""
        ...

    def check(self, iterations_done: int) -> dict[str, float]:
        """Distances of the monitor scans; may set ``state["diverged"]``."""
        ...


Trained = TypeVar("Trained", bound=Training)
RatedSettings = TypeVar("RatedSettings", bound=Rated)


@dataclass(frozen=True)
class PairResult:
    """What came out of the training of a pair.

    Attributes
    ----------
    weights
        Direction (``to_reference``, ``to_source``) to the weights of its generator.
    rows
        One row a check: attempt, iteration, mean losses, distances of the monitor scans.
    diverged
        The restart left the target too: the weights must not be used.
    shares
        Direction to what was taken for the site's; empty where targets are plain means.
    """

    weights: Mapping[str, Mapping[str, Tensor]]
    rows: tuple[Mapping[str, float], ...]
    diverged: bool
    shares: Mapping[str, SiteShares] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PairRun:
    """Where and under which name a pair is trained.

    Attributes
    ----------
    name
        For the progress display.
    folder
        Checkpoints go here, one an attempt.
    resume
        Go on from a checkpoint of the same data and settings.
    fingerprint
        Hash of data and settings.
    """

    name: str
    folder: Path
    resume: bool
    fingerprint: str


def train_pair(
    data: PairData,
    settings: PairSettings,
    *,
    runtime: Runtime,
    seed: int,
    sharpens: bool,
    run: PairRun,
) -> PairResult:
    """Train both directions; restart at half the rate when the monitor scans raise the alarm.

    Parameters
    ----------
    data
        Scans of the two sites.
    settings
        Weights and rates.
    runtime
        Device and precision.
    seed
        Everything random follows from it.
    sharpens
        Whether the generators learn sharpening weights.
    run
        Name, folder of checkpoints, and whether to resume.

    Returns
    -------
    PairResult
        The averaged weights at the latest check that is as near to the target as any before.
    """
    make = partial(PairTraining, data, seed=seed, sharpens=sharpens)
    training, rows, diverged = train_attempts(make, settings, runtime=runtime, run=run)
    return PairResult(
        weights=_kept(training.state),
        rows=rows,
        diverged=diverged,
        shares=told_shares(training.targets),
    )


@dataclass(frozen=True, kw_only=True)
class PairTask:
    """A pair to be trained: what :func:`train_pair` takes but the runtime; can be pickled."""

    data: PairData
    settings: PairSettings
    seed: int
    sharpens: bool
    run: PairRun

    def __call__(self, runtime: Runtime) -> PairResult:
        """Train it."""
        return train_pair(
            self.data,
            self.settings,
            runtime=runtime,
            seed=self.seed,
            sharpens=self.sharpens,
            run=self.run,
        )


def train_pairs(tasks: Sequence[PairTask], *, runtime: Runtime) -> list[PairResult]:
    """Train several pairs, which do not wait for each other.

    Parameters
    ----------
    tasks
        Each with a folder of its own.
    runtime
        With the processes of the run. Each of them trains pairs of its own; a single pair is
        trained by two of them together.

    Returns
    -------
    list of PairResult
        In the order of the tasks.
    """
    if len(tasks) == 1:
        return [tasks[0](runtime)]
    return runtime.crew.each(tasks, runtime)


def train_attempts(
    make: Callable[..., Trained], settings: RatedSettings, *, runtime: Runtime, run: PairRun
) -> tuple[Trained, tuple[dict[str, float], ...], bool]:
    """Run a training, and once more at half the rate when the monitor scans raise the alarm.

    Parameters
    ----------
    make
        Takes settings and, by name, ``runtime``; gives a training that has not started. Can be
        pickled where the runtime has a crew.
    settings
        Weights and rates of the first attempt.
    runtime
        Device, precision, and the processes that share the steps.
    run
        Name, folder of checkpoints, and whether to resume.

    Returns
    -------
    tuple
        The last attempt's training, the history of all attempts, whether the last one diverged.
    """
    rows: list[dict[str, float]] = []
    for attempt in range(1, N_ATTEMPTS + 1):
        rated = settings.slower(RESTART_RATE ** (attempt - 1))
        with _helped(runtime, partial(make, rated)):
            training = make(rated, runtime=runtime)
            diverged = _attempt(training, rated, run, attempt)
        rows += [{"attempt": attempt, **row} for row in training.state["history"]]
        if not diverged:
            break
        LOGGER.warning(
            "%s: the distance of the monitor scans to their target doubled (attempt %d of %d)",
            run.name,
            attempt,
            N_ATTEMPTS,
        )
    return training, tuple(rows), diverged


@contextmanager
def _helped(runtime: Runtime, make: Callable[..., Any]) -> Iterator[None]:
    """Have the other processes share the steps of a training until the block ends."""
    runtime.crew.order(partial(_help, make))
    try:
        yield
    except WorkerError:
        raise  # nobody is there to be told
    except (Exception, PreemptedError):
        runtime.crew.order(None)
        raise
    runtime.crew.order(None)


def _help(make: Callable[..., Any], runtime: Runtime) -> None:
    """What the other processes do of a training: the same training's part of every step."""
    with signals_deferred():  # the leader ends the training after the step at hand
        training = make(runtime=runtime)
        while (iteration := runtime.crew.hear()) is not None:
            training.gradients(iteration)


def _attempt(training: Training, settings: Rated, run: PairRun, attempt: int) -> bool:
    checkpoint = Checkpointing(
        path=run.folder / f"attempt-{attempt}.pt",
        every=settings.check_every,
        resume=run.resume,
        fingerprint=run.fingerprint,
    )

    def step(iteration: int) -> dict[str, float]:
        if training.state["diverged"]:
            raise _DivergedError
        return training.step(iteration)

    try:
        iterate(
            step,
            n_iterations=settings.n_iterations,
            state=training.state,
            checkpoint=checkpoint,
            validate=training.check,
            description=run.name,
        )
    except _DivergedError:
        return True
    return bool(training.state["diverged"])


def _kept(state: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    return {direction: dict(kept["weights"]) for direction, kept in state["kept"].items()}
