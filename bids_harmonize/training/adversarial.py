"""The adversary of a training: a patch discriminator at each end.

The names in the paper (Zhu et al. 2017, doi:10.1109/ICCV.2017.244): G is ``to_reference``, F is
``to_source``; D_Y is the discriminator ``reference``, D_X the discriminator ``source``.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from bids_harmonize.networks.discriminator import PatchDiscriminator
from bids_harmonize.training.crew import Crew
from bids_harmonize.training.losses import discriminator_loss, generator_loss
from bids_harmonize.training.pair_data import PairSettings
from bids_harmonize.training.pair_steps import step_at
from bids_harmonize.training.shared_step import SharedStep


class Adversary:
    """Patch discriminators and their optimizer.

    Parameters
    ----------
    sides
        The ends: ``source`` and ``reference``, or ``reference`` and several sources of which each
        iteration sees one.
    learning_rate
        Rate of Adam at the start.
    device
        Where the volumes live.
    """

    def __init__(
        self, sides: tuple[str, ...], *, learning_rate: float, device: torch.device
    ) -> None:
        self.learning_rate = learning_rate
        self.discriminators = nn.ModuleDict({side: PatchDiscriminator() for side in sides})
        self.discriminators.to(device)
        self.optimizer = torch.optim.Adam(
            self.discriminators.parameters(), lr=learning_rate, betas=(0.5, 0.999)
        )

    def generator_loss(self, fakes: Mapping[str, Tensor]) -> Tensor:
        """How well the discriminators see through the made volumes; lower is better for them.

        Parameters
        ----------
        fakes
            Side to a made volume of that side, shape (1, 1, I, J, K).

        Returns
        -------
        Tensor
            Scalar, the sum over sides.
        """
        self.discriminators.requires_grad_(False)
        losses = [generator_loss(self.discriminators[side](fake)) for side, fake in fakes.items()]
        self.discriminators.requires_grad_(True)
        return torch.stack(losses).sum()

    def gradients(
        self, reals: Mapping[str, Tensor], fakes: Mapping[str, Tensor]
    ) -> dict[str, float]:
        """Take the gradients of the discriminators on one volume of each side.

        Parameters
        ----------
        reals, fakes
            Side to a real and to a made volume of that side, shape (1, 1, I, J, K).

        Returns
        -------
        dict
            The loss ``discriminator``, summed over sides; .5 when they cannot tell. Empty where
            there are no volumes.
        """
        self.optimizer.zero_grad(set_to_none=True)
        if not reals:
            return {}  # a process that has no part in this iteration
        loss = torch.stack(
            [
                discriminator_loss(
                    self.discriminators[side](real),
                    self.discriminators[side](fakes[side].detach()),
                )
                for side, real in reals.items()
            ]
        ).sum()
        loss.backward()
        return {"discriminator": float(loss.detach())}

    def step(self, *, rate_share: float) -> None:
        """Move the discriminators along their gradients, at this share of the starting rate."""
        step_at(self.optimizer, self.learning_rate * rate_share)


def make_adversary(
    sides: tuple[str, ...], settings: PairSettings, *, device: torch.device
) -> Adversary | None:
    """Discriminators with fresh weights; ``None`` where nothing is to be learnt against them."""
    if not settings.adversarial_weight:
        return None
    return Adversary(sides, learning_rate=settings.discriminator_learning_rate, device=device)


def begin_step(
    crew: Crew,
    optimizer: torch.optim.Optimizer,
    adversary: Adversary | None,
    running: Sequence[Tensor],
) -> SharedStep:
    """The iteration at hand of generators, discriminators and running means, shared by a crew."""
    optimizers = [optimizer] if adversary is None else [optimizer, adversary.optimizer]
    groups = [group for one in optimizers for group in one.param_groups]
    return SharedStep(
        crew,
        parameters=[weight for group in groups for weight in group["params"]],
        # Spectral norm remembers the direction of the last iteration.
        buffers=[] if adversary is None else list(adversary.discriminators.buffers()),
        running=running,
    )
