"""The processes of one run, where there are several: one leads, the others wait for its orders.

Choice: the leader alone has the state of a training (optimizers, averages, checkpoints). In every
iteration it sends the weights, each process takes the losses of its part, and the gradients are
added up at the leader. Reason: a training that was resumed, restarted or stopped is the leader's
affair alone, and how many processes help changes nothing but the order of a sum. All talk is
gloo's, through the memory of the hosts. Reason: a step of a minute sends a few megabytes, and what
is tested on a CPU is what runs on GPUs; NCCL wants more shared memory than a container has by
default. Rejected: DistributedDataParallel, which wants one pass through one module a step, where
a cycle has six through two, and gives every process an optimizer of its own. Revisit when sending
takes more than a tenth of a step.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from bids_harmonize.errors import WorkerError

if TYPE_CHECKING:
    from bids_harmonize.training.runtime import Runtime

LEADER: Final = 0

T = TypeVar("T")


class Crew:
    """The processes of a run as one of them sees them; a crew of one does nothing but its work.

    Parameters
    ----------
    rank
        This process, from 0; 0 leads.
    size
        How many there are.
    connect
        Gives the group that the processes talk in; called when it is first needed.
    local_rank
        Number of this process on its machine: which GPU it takes.
    n_sharing
        How many share the processors that this one sees.
    """

    def __init__(
        self,
        rank: int = LEADER,
        size: int = 1,
        connect: Callable[[], dist.ProcessGroup] | None = None,
        *,
        local_rank: int = 0,
        n_sharing: int = 1,
    ) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.n_sharing = local_rank, n_sharing
        self._connect = connect
        self._group: dist.ProcessGroup | None = None

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody else."""
        return self.size == 1

    @property
    def is_connected(self) -> bool:
        """Whether the others have been called."""
        return self._group is not None

    def connect(self) -> None:
        """Wait until all processes are there.

        Raises
        ------
        WorkerError
            If they do not come.
        """
        if self._group is None and self._connect is not None:
            with _talking():
                self._group = self._connect()

    def part(self, units: Sequence[T]) -> list[T]:
        """The units of work that are this process's: all of them where it is alone."""
        return list(units[self.rank :: self.size])

    def order(self, what: object) -> None:
        """Tell the others what comes: work, the number of an iteration, or ``None`` for an end.

        Parameters
        ----------
        what
            Can be pickled. Only the leader calls this.
        """
        if not self.is_alone:
            self._broadcast(what)

    def hear(self) -> Any:
        """Wait for what the leader orders; the other end of :meth:`order`."""
        return self._broadcast(None)

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the leader's values of these tensors, in place.

        Parameters
        ----------
        tensors
            Float32, on any device, of the same shapes in every process.
        """
        if self.is_alone:
            return
        flat = _flat(tensors)
        self.connect()
        with _talking():
            dist.broadcast(flat, src=LEADER, group=self._group)
        if self.rank == LEADER:
            return
        with torch.no_grad():
            for tensor, values in zip(tensors, _split(flat, tensors), strict=True):
                tensor.copy_(values)

    def add_up(
        self, own: Sequence[Tensor | None], *, like: Sequence[Tensor]
    ) -> list[Tensor | None]:
        """Sums over all processes of tensors of which each has some.

        Parameters
        ----------
        own
            What this process has; ``None`` where it has nothing.
        like
            Tensors of the same shapes, on the devices where the sums shall be.

        Returns
        -------
        list of Tensor or None
            The same in every process; ``None`` where nobody has anything.
        """
        if self.is_alone:
            return list(own)
        filled = [
            torch.zeros_like(shape) if tensor is None else tensor
            for tensor, shape in zip(own, like, strict=True)
        ]
        has = torch.tensor([float(tensor is not None) for tensor in own])
        flat = _flat([has, *filled])
        self.connect()
        with _talking():
            dist.all_reduce(flat, group=self._group)
        has, *sums = _split(flat, [has, *filled])
        return [
            total.to(shape.device) if n else None
            for n, total, shape in zip(has.tolist(), sums, like, strict=True)
        ]

    def add_up_all(
        self, lists: Sequence[tuple[Sequence[Tensor | None], Sequence[Tensor]]]
    ) -> list[list[Tensor | None]]:
        """As :meth:`add_up` of several lists, each with what its tensors are like, at once."""
        own = [tensor for some, _ in lists for tensor in some]
        sums = iter(self.add_up(own, like=[tensor for _, like in lists for tensor in like]))
        return [list(islice(sums, len(some))) for some, _ in lists]

    def each(self, tasks: Sequence[Callable[["Runtime"], T]], runtime: "Runtime") -> list[T]:
        """Do tasks that do not wait for each other, every process its part of them.

        Parameters
        ----------
        tasks
            Can be pickled, like what they return; each is given a runtime without a crew.
        runtime
            The leader's, who alone calls this.

        Returns
        -------
        list
            What each returned, in their order.
        """
        if self.is_alone:
            return [task(runtime.alone()) for task in tasks]
        self.order(_Part(tasks))
        return _Part(tasks)(runtime)

    def dismiss(self) -> None:
        """Tell the others that all is done; only the leader calls this, and nothing after it."""
        if self.is_connected:
            self.order(None)

    def leave(self) -> None:
        """Close the connection; what the others still wait for fails there."""
        if self._group is not None:
            self._group = None
            dist.destroy_process_group()

    def gather(self, found: T) -> list[T]:
        """What every process found, in the order of ranks; the same list in all of them."""
        self.connect()
        everyone: list[Any] = [None] * self.size
        with _talking():
            dist.all_gather_object(everyone, found, group=self._group)
        return everyone

    def _broadcast(self, what: object) -> Any:
        self.connect()
        box = [what]
        with _talking():
            dist.broadcast_object_list(
                box, src=LEADER, group=self._group, device=torch.device("cpu")
            )
        return box[0]


class _Part:
    """What every process does of some tasks; all get all answers."""

    def __init__(self, tasks: Sequence[Callable[["Runtime"], Any]]) -> None:
        self.tasks = tasks

    def __call__(self, runtime: "Runtime") -> list[Any]:
        crew = runtime.crew
        own = [task(runtime.alone()) for task in crew.part(self.tasks)]
        answers: list[Any] = [None] * len(self.tasks)
        for rank, found in enumerate(crew.gather(own)):
            answers[rank :: crew.size] = found
        return answers


ALONE: Final = Crew()
"""A crew of one."""


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().float().cpu().reshape(-1) for tensor in tensors])


def _split(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


@contextmanager
def _talking() -> Iterator[None]:
    """Say in our words that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        message = (
            "another process of this run (--devices) is gone or does not answer; out of memory? "
            "What it said stands above. Finished models and checkpoints are kept: run again, or "
            f"with fewer --devices ({error})"
        )
        raise WorkerError(message) from error
