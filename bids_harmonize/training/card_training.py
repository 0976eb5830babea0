"""Training of one generator towards a reference site that is known by its card alone.

Choice: a small trainer of its own beside :mod:`pair_training`. Reason: a card is the mean local
histogram of people whose images are elsewhere, so there is one direction, no identity term, no
adversary and no patch alarm. Draws, initial weights, schedule and averages are those of the
direction ``to_reference`` of a pair training, so that with these terms off both give the same
bits. The alarm is the local-histogram distance of the monitor scans to the card; the card says
how far its own people lie from it. Rejected: a pair training with half of it switched off.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.networks.bilateral_generator import BilateralGenerator
from bids_harmonize.training.generation import as_tensor, generate
from bids_harmonize.training.losses import (
    LocalHistograms,
    grid_roughness,
    local_histogram_distance,
)
from bids_harmonize.training.pair_data import SOURCE, PairData
from bids_harmonize.training.pair_steps import (
    ALARM_FACTOR,
    follow,
    mean_in_order,
    rate_share,
    scan_histograms,
)
from bids_harmonize.training.runtime import Runtime, seeded_torch
from bids_harmonize.training.sight import WholeVolumes
from bids_harmonize.training.targets import Target


@dataclass(frozen=True, kw_only=True)
class CardSettings:
    """Length, rate and weights of a training on a card; see ``PairSettings``."""

    n_iterations: int = 300
    check_every: int = 50
    learning_rate: float = 5e-4
    histogram_weight: float = 1.0
    smoothness_weight: float = 1.0

    def slower(self, share: float) -> Self:
        """The same with this share of the learning rate."""
        return replace(self, learning_rate=self.learning_rate * share)


@dataclass(frozen=True, eq=False)
class CardTarget:
    """What a card says about its site.

    Attributes
    ----------
    histograms
        Shape (cells, 40), mean masses in voxels; a cell of mass 0 is not looked at.
    person_distance
        Mean local-histogram distance of one of its own people to the card of the others.
    """

    histograms: Tensor
    person_distance: float


class CardTraining:
    """One generator, what trains it, and the state that a checkpoint holds.

    Parameters
    ----------
    data
        Scans of the side ``source``; of the other side there are none.
    target
        The card.
    settings
        Weights and rates.
    runtime
        Device and precision.
    seed
        Everything random follows from it.
    sharpens
        Whether the generator learns sharpening weights.
    """

    def __init__(
        self,
        data: PairData,
        target: CardTarget,
        settings: CardSettings,
        *,
        runtime: Runtime,
        seed: int,
        sharpens: bool,
    ) -> None:
        self.data, self.settings, self.runtime, self.seed = data, settings, runtime, seed
        device, size = runtime.device, data.volumes.voxel_size_mm
        self.target = Target(target.histograms.to(device))
        self.floor = target.person_distance
        with seeded_torch(seed, "weights"):
            self.generator = BilateralGenerator(
                voxel_size_mm=size, sharpened_mm=size if sharpens else None
            ).to(device)
        self.average = deepcopy(self.generator).requires_grad_(False)
        self.optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=settings.learning_rate, betas=(0.5, 0.999)
        )
        self.histograms = LocalHistograms(data.volumes.shape, voxel_size_mm=size, device=device)
        self.sight = WholeVolumes(data, self.histograms, runtime=runtime, seed=seed)
        start = self.distance()
        own = scan_histograms(data, data.train[SOURCE], self.histograms, device=device)
        self.state: dict[str, Any] = {
            "generator": self.generator,
            "average": self.average,
            "optimizer": self.optimizer,
            "running": torch.stack([mean_in_order(own), self.target.mean]),
            "best": self._snapshot(start),
            "diverged": False,
            "history": [{"iteration": 0, "distance_to_reference": start}],
        }

    def step(self, iteration: int) -> dict[str, float]:
        """One iteration on one scan; returns the losses before weighting."""
        share = rate_share(iteration, self.settings.n_iterations)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * share
        scan = self.sight.draw(SOURCE, iteration)
        made, grid = self.sight.generate(self.generator, scan)
        running = self.state["running"].to(made.volume.device)
        loss, self.state["running"] = self.sight.histogram_loss(running, scan, made, self.target)
        losses = {"local_histogram": loss, "smoothness": grid_roughness(grid)}
        weights = {
            "local_histogram": self.settings.histogram_weight,
            "smoothness": self.settings.smoothness_weight,
        }
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack([weights[name] * loss for name, loss in losses.items()]).sum().backward()
        self.optimizer.step()
        follow(self.average, self.generator, iteration)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def check(self, iterations_done: int) -> dict[str, float]:
        """Distance of the monitor scans to the card; keeps the best averages.

        A distance that doubles, or is no number, sets ``state["diverged"]``.
        """
        del iterations_done
        found, lowest = self.distance(), self.state["best"]["distance"]
        if not np.isfinite(found) or found > ALARM_FACTOR * max(lowest, self.floor):
            self.state["diverged"] = True
        if found < lowest:
            self.state["best"] = self._snapshot(found)
        return {"distance_to_reference": found}

    def distance(self) -> float:
        """Mean local-histogram distance of the monitor scans to the card.

        Returns
        -------
        float
            Units of the 99th percentile; lower is better.
        """
        size = self.data.volumes.voxel_size_mm
        found = []
        for index in self.data.monitor[SOURCE]:
            volume, head = self.data.load(index)
            made = generate(self.average, volume, head_mask=head, voxel_size_mm=size)
            device = self.runtime.device
            own = self.histograms.measure(as_tensor(made, device), as_tensor(head, device))
            found.append(float(local_histogram_distance(own, self.target.mean)))
        return float(np.mean(found))

    def _snapshot(self, distance: float) -> dict[str, Any]:
        weights = self.average.state_dict()
        return {
            "distance": distance,
            "weights": {name: tensor.cpu().clone() for name, tensor in weights.items()},
        }
