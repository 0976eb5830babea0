"""The adversary of a training: a patch discriminator at each end.

The names in the paper (Zhu et al. 2017, doi:10.1109/ICCV.2017.244): G is ``to_reference``, F is
``to_source``; D_Y is the discriminator ``reference``, D_X the discriminator ``source``.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bids_harmonize.networks.discriminator import PatchDiscriminator
from bids_harmonize.training.losses import discriminator_loss, generator_loss


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

    def step(
        self, reals: Mapping[str, Tensor], fakes: Mapping[str, Tensor], *, rate_share: float
    ) -> float:
        """Train the discriminators on one volume of each side.

        Parameters
        ----------
        reals, fakes
            Side to a real and to a made volume of that side, shape (1, 1, I, J, K).
        rate_share
            Share of the starting rate in this iteration.

        Returns
        -------
        float
            The loss, summed over sides; .5 when they cannot tell.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * rate_share
        self.optimizer.zero_grad(set_to_none=True)
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
        self.optimizer.step()
        return float(loss.detach())
