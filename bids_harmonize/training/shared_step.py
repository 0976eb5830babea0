"""One iteration of a training of generators that all processes of a run share."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from bids_harmonize.training.crew import Crew

LOSSES: Final = (
    "local_histogram", "smoothness", "identity", "cycle", "adversarial", "discriminator",
)  # fmt: skip
"""What the trainings of generators name their losses."""


class SharedStep:
    """One iteration of a training that all processes share; made where it begins.

    Parameters
    ----------
    crew
        The processes; where there is one, nothing is sent and nothing changes.
    parameters
        Weights that are trained; every process gets the leader's.
    buffers
        What networks remember beside them, changed in place; likewise.
    running
        Running means before the iteration; likewise.
    """

    def __init__(
        self,
        crew: Crew,
        *,
        parameters: Sequence[Tensor],
        buffers: Sequence[Tensor],
        running: Sequence[Tensor],
    ) -> None:
        self.crew = crew
        self.parameters, self.buffers, self.running = parameters, buffers, running
        crew.share([*parameters, *buffers, *running])
        self._before = [] if crew.is_alone else [buffer.clone() for buffer in buffers]

    def pool(
        self, running: Sequence[Tensor], losses: dict[str, float]
    ) -> tuple[list[Tensor], dict[str, float]]:
        """Add up what the processes found: gradients, losses, and what networks remember.

        Parameters
        ----------
        running
            The running means after the iteration; what this process did not move is the same
            tensor as before.
        losses
            Of this process's part; some of ``LOSSES``.

        Returns
        -------
        tuple
            Running means after the iteration, and the losses of all parts.
        """
        if self.crew.is_alone:
            return list(running), losses
        moved = [
            None if new is old else new for old, new in zip(self.running, running, strict=True)
        ]
        changed = [
            None if torch.equal(old, new) else new
            for old, new in zip(self._before, self.buffers, strict=True)
        ]
        own = (
            ([weight.grad for weight in self.parameters], self.parameters),
            (changed, self.buffers),
            (moved, self.running),
            (_scalars(losses), [torch.zeros(()) for _ in LOSSES]),
        )
        gradients, buffers, means, found = self.crew.add_up_all(own)
        for weight, gradient in zip(self.parameters, gradients, strict=True):
            weight.grad = gradient
        for buffer, total in zip(self.buffers, buffers, strict=True):
            if total is not None:
                buffer.copy_(total)
        named = zip(LOSSES, found, strict=True)
        return (
            [old if new is None else new for old, new in zip(self.running, means, strict=True)],
            {name: float(loss) for name, loss in named if loss is not None},
        )


def _scalars(losses: dict[str, float]) -> list[Tensor | None]:
    return [torch.tensor(losses[name]) if name in losses else None for name in LOSSES]
