"""How the processes of a run find each other: started by a launcher, or by the leader itself.

Choice: ``torchrun`` and ``srun`` start all processes with the same words, and say by environment
variables which one each is; without them the leader starts the others on its own machine when
there is first something for them to do. Reason: one option, ``--devices``, for a workstation and
for a cluster. Rejected: Fabric's launcher, which starts the whole command again, and its SLURM
environment, which wants ``--ntasks-per-node`` and takes every job of several tasks for its own.
"""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore  # dist hides them from mypy

from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import PreemptedError, UsageError, WorkerError
from bids_harmonize.machine import follow_parent
from bids_harmonize.preemption import stopping_on_signals
from bids_harmonize.training.crew import ALONE, LEADER, Crew
from bids_harmonize.training.places import Place
from bids_harmonize.training.runtime import make_runtime

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_START: Final = timedelta(minutes=10)
_WAIT: Final = timedelta(days=30)
"""Others wait while the leader does what it does alone, for hours maybe."""
_END_S: Final = 30.0
_HERE: Final = "127.0.0.1"
_LOOPBACK: Final = "lo"

LOGGER = logging.getLogger(__name__)


@contextmanager
def crew_in(resources: ResourceSettings, place: Place | None) -> Iterator[Crew]:
    """The processes of a run, seen by the one that leads; they end with the block.

    Parameters
    ----------
    resources
        ``devices`` and ``device``.
    place
        What a launcher said.

    Yields
    ------
    Crew
        Of one where nothing else was asked for. Those that a launcher started are there; others
        are started when they are first needed.

    Raises
    ------
    UsageError
        If there are not as many devices.
    WorkerError
        If what a launcher started does not come.
    """
    size = count_devices(resources, place)
    if size == 1:
        yield ALONE
        return
    LOGGER.info("processes that train and harmonize together: %d", size)
    helpers = _Helpers(resources, size)
    crew = helpers.crew() if place is None else crew_at(place)
    is_done = False
    try:
        if place is not None:
            crew.connect()
        yield crew
        crew.dismiss()
        is_done = True
    finally:
        crew.leave()
        helpers.end(waits=is_done)


def crew_at(place: Place) -> Crew:
    """The crew that a launcher started, seen from this place; nobody has been called yet."""
    return Crew(place.rank, place.size, partial(_join, place), local_rank=place.local_rank)


def count_devices(resources: ResourceSettings, place: Place | None) -> int:
    """How many processes train together.

    Raises
    ------
    UsageError
        If ``--devices`` contradicts the launcher, ``--device`` or the machine.
    """
    size = place.size if place else resources.devices or 1
    if place and resources.devices not in {None, size}:
        message = (
            f"--devices {resources.devices}: the launcher started {size} processes; start as many "
            "as there shall be devices, or leave --devices out"
        )
        raise UsageError(message)
    if size == 1:
        return 1
    if ":" in resources.device:
        message = (
            f"--devices {size}: found --device {resources.device}, which is one; say --device "
            "cuda, and choose among GPUs by CUDA_VISIBLE_DEVICES"
        )
        raise UsageError(message)
    if place is None and _takes_cuda(resources) and size > torch.cuda.device_count():
        message = f"--devices {size}: found {torch.cuda.device_count()} CUDA device(s)"
        raise UsageError(message)
    return size


def serve(place: Place, resources: ResourceSettings) -> int:
    """Do what the leader orders until it says that all is done, or is gone.

    Parameters
    ----------
    place
        Not the leader's.
    resources
        Of the run.

    Returns
    -------
    int
        Exit code: 0, or 75 where the scheduler asked this process to stop.
    """
    return _serve(crew_at(place), resources)


def _takes_cuda(resources: ResourceSettings) -> bool:
    return resources.device.startswith("cuda") or (
        resources.device == "auto" and torch.cuda.is_available()
    )


class _Helpers:
    """Processes that the leader starts on its own machine, and ends."""

    def __init__(self, resources: ResourceSettings, size: int) -> None:
        self.resources, self.size = resources, size
        self.processes: list[SpawnProcess] = []

    def crew(self) -> Crew:
        """Seen by the leader; the others are started when they are first called."""
        return Crew(LEADER, self.size, self._start, n_sharing=self.size)

    def end(self, *, waits: bool) -> None:
        """Wait for those that were dismissed; what others still work on is of no use."""
        for process in self.processes:
            if waits:
                process.join(_END_S)
            process.kill()

    def _start(self) -> dist.ProcessGroup:
        os.environ["GLOO_SOCKET_IFNAME"] = _LOOPBACK  # inherited; containers may have no other
        store = TCPStore(
            _HERE, 0, self.size, is_master=True, timeout=_START, wait_for_workers=False
        )
        context = get_context("spawn")
        for rank in range(1, self.size):
            place = Place(rank, self.size, rank, _HERE, store.port, hosts=False)
            process = context.Process(target=_serve_here, args=(place, self.resources))
            process.start()
            self.processes.append(process)
        return _make_group(store, LEADER, self.size)


def _serve_here(place: Place, resources: ResourceSettings) -> None:
    """The whole life of a process that the leader started."""
    follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the leader's affair
    crew = Crew(
        place.rank,
        place.size,
        partial(_join, place),
        local_rank=place.local_rank,
        n_sharing=place.size,
    )
    _serve(crew, resources)


def _serve(crew: Crew, resources: ResourceSettings) -> int:
    """Returns the exit code. A scheduler's signal comes to all processes, this one too."""
    try:
        with stopping_on_signals():
            runtime = make_runtime(resources, crew)
            while (work := crew.hear()) is not None:
                work(runtime)
    except WorkerError as error:
        LOGGER.debug("process %d of %d ends: %s", crew.rank, crew.size, error)
    except PreemptedError as error:
        return error.exit_code
    finally:
        crew.leave()
    return 0


def _join(place: Place) -> dist.ProcessGroup:
    if place.one_host:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOOPBACK)
    store = TCPStore(
        place.address,
        place.port,
        place.size,
        is_master=place.hosts and place.rank == LEADER,
        timeout=_START,
        wait_for_workers=False,
    )
    return _make_group(store, place.rank, place.size)


def _make_group(store: Store, rank: int, size: int) -> dist.ProcessGroup:
    """All must come within minutes; after that nobody is in a hurry."""
    named = PrefixStore("bids-harmonize", store)
    dist.init_process_group("gloo", store=named, rank=rank, world_size=size, timeout=_START)
    return dist.new_group(backend="gloo", timeout=_WAIT)
