"""Training of two generators between a source site and the reference site.

Choice: one trainer for ``cyclegan`` and ``localhistogram``; they differ in weights alone, and
without adversarial and cycle weights the two generators do not know each other. Every random
number comes from a generator named by purpose and iteration, so that a resumed training draws
what the uninterrupted one would have drawn. The running means stay part of the state.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bids_harmonize.training.adversarial import Adversary
from bids_harmonize.training.generation import as_tensor, generate
from bids_harmonize.training.losses import (
    LocalHistograms,
    grid_roughness,
    mean_difference,
)
from bids_harmonize.training.pair_data import (
    DIRECTIONS,
    REFERENCE,
    SOURCE,
    PairData,
    PairSettings,
)
from bids_harmonize.training.pair_steps import (
    ALARM_FACTOR,
    draw_to_target,
    follow,
    is_kept,
    mean_histogram,
    rate_share,
)
from bids_harmonize.training.patch_distance import PatchDistance
from bids_harmonize.training.runtime import Runtime, seeded_torch


class PairTraining:
    """Two generators, what trains them, and the state that a checkpoint holds.

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
    """

    def __init__(
        self,
        data: PairData,
        settings: PairSettings,
        *,
        runtime: Runtime,
        seed: int,
        sharpens: bool,
    ) -> None:
        self.data, self.settings, self.runtime, self.seed = data, settings, runtime, seed
        device = runtime.device
        with seeded_torch(seed, "weights"):
            self.generators = {
                direction: settings.make_generator(
                    voxel_size_mm=data.volumes.voxel_size_mm, sharpens=sharpens
                ).to(device)
                for direction in DIRECTIONS
            }
            self.adversary = self._make_adversary()
        self.averages = {
            direction: deepcopy(generator).requires_grad_(False)
            for direction, generator in self.generators.items()
        }
        self.optimizer = torch.optim.Adam(
            nn.ModuleDict(self.generators).parameters(),
            lr=settings.learning_rate,
            betas=(0.5, 0.999),
        )
        self.histograms = LocalHistograms(
            data.volumes.shape, voxel_size_mm=data.volumes.voxel_size_mm, device=device
        )
        self.targets = {
            side: mean_histogram(data, data.train[side], self.histograms, device=device)
            for side in (SOURCE, REFERENCE)
        }
        self.distances = {
            side: PatchDistance(
                (data.load(index) for index in sorted(data.train[side])), seed=seed
            )
            for side in (SOURCE, REFERENCE)
        }
        self.state = self._make_state()

    def step(self, iteration: int) -> dict[str, float]:
        """One iteration on one scan of each side; returns the losses before weighting."""
        share = rate_share(iteration, self.settings.n_iterations)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * share
        reals = {side: self._draw(side, iteration) for side in (SOURCE, REFERENCE)}
        losses, fakes = self._losses(reals, iteration)
        weights = {
            "local_histogram": self.settings.histogram_weight,
            "smoothness": self.settings.smoothness_weight,
            "identity": self.settings.identity_weight,
            "cycle": self.settings.cycle_weight,
            "adversarial": self.settings.adversarial_weight,
        }
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()
        total.backward()
        self.optimizer.step()
        for direction, generator in self.generators.items():
            follow(self.averages[direction], generator, iteration)
        values = {name: float(loss.detach()) for name, loss in losses.items()}
        if self.adversary is not None:
            volumes = {side: volume for side, (volume, _) in reals.items()}
            values["discriminator"] = self.adversary.step(volumes, fakes, rate_share=share)
        return values

    def check(self, iterations_done: int) -> dict[str, float]:
        """Distance of the monitor scans to their target; keeps averages as ``is_kept`` says.

        A distance that doubles, or is no number, sets ``state["diverged"]``.
        """
        del iterations_done
        found = {}
        kept, least = dict(self.state["kept"]), dict(self.state["lowest"])
        for direction in DIRECTIONS:
            distance = self._distance(direction)
            found[f"distance_{direction}"] = distance
            bound = ALARM_FACTOR * max(least[direction], self.state["floor"][direction])
            if not np.isfinite(distance) or distance > bound:
                self.state["diverged"] = True
            least[direction] = float(np.fmin(distance, least[direction]))
            nearest = kept[direction]["nearest"]
            if not self.state["diverged"] and is_kept(distance, nearest):
                kept[direction] = self._snapshot(direction, min(distance, nearest))
        self.state["kept"], self.state["lowest"] = kept, least
        return found

    def _make_adversary(self) -> Adversary | None:
        if not self.settings.adversarial_weight:
            return None
        return Adversary(
            (SOURCE, REFERENCE),
            learning_rate=self.settings.discriminator_learning_rate,
            device=self.runtime.device,
        )

    def _make_state(self) -> dict[str, Any]:
        start = {direction: self._distance(direction) for direction in DIRECTIONS}
        untouched = {f"distance_{direction}": distance for direction, distance in start.items()}
        state: dict[str, Any] = {
            "generators": nn.ModuleDict(self.generators),
            "averages": nn.ModuleDict(self.averages),
            "optimizer": self.optimizer,
            "running": {
                direction: self.targets[origin].clone()
                for direction, (origin, _) in DIRECTIONS.items()
            },
            "kept": {direction: self._snapshot(direction, np.inf) for direction in DIRECTIONS},
            "lowest": start,
            "floor": {
                direction: self.distances[side].measure(
                    self.data.load(index) for index in self.data.monitor[side]
                )
                for direction, (_, side) in DIRECTIONS.items()
            },
            "diverged": False,
            "history": [{"iteration": 0, **untouched}],
        }
        if self.adversary is not None:
            state["discriminators"] = self.adversary.discriminators
            state["discriminator_optimizer"] = self.adversary.optimizer
        return state

    def _snapshot(self, direction: str, nearest: float) -> dict[str, Any]:
        weights = self.averages[direction].state_dict()
        return {
            "nearest": nearest,
            "weights": {name: tensor.cpu().clone() for name, tensor in weights.items()},
        }

    def _losses(
        self, reals: Mapping[str, tuple[Tensor, Tensor]], iteration: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        terms: dict[str, list[Tensor]] = {}
        fakes: dict[str, Tensor] = {}
        for direction, (origin, side) in DIRECTIONS.items():
            volume, mask = reals[origin]
            fakes[side], grid = self._generate(direction, volume, mask)  # (1, 1, I, J, K)
            if self.settings.histogram_weight:
                loss = self._histogram_loss(direction, fakes[side], mask)
                terms.setdefault("local_histogram", []).append(loss)
            if self.settings.smoothness_weight:
                terms.setdefault("smoothness", []).append(grid_roughness(grid))
        if self.settings.cycle_weight:
            terms["cycle"] = [
                mean_difference(
                    self._generate(back, fakes[origin], reals[side][1])[0], reals[side][0]
                )
                for back, (origin, side) in DIRECTIONS.items()
            ]
        if self.settings.identity_weight and iteration % 2:
            terms["identity"] = [
                mean_difference(self._generate(direction, *reals[side])[0], reals[side][0])
                for direction, (_, side) in DIRECTIONS.items()
            ]
        losses = {name: torch.stack(values).sum() for name, values in terms.items()}
        if self.adversary is not None:
            with self.runtime.fabric.autocast():
                losses["adversarial"] = self.adversary.generator_loss(fakes)
        return losses, fakes

    def _generate(self, direction: str, volume: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Made volume and its grid; looking the changes up is always in 32 bit."""
        generator = self.generators[direction]
        with self.runtime.fabric.autocast():
            grid = generator.predict_grid(volume, mask)
        grid = grid.float()
        size = self.data.volumes.voxel_size_mm
        return generator.apply_grid(volume, mask, grid, voxel_size_mm=size), grid

    def _histogram_loss(self, direction: str, fake: Tensor, mask: Tensor) -> Tensor:
        """Distance of the running mean to the target; only the current scan has a gradient."""
        _, side = DIRECTIONS[direction]
        running = self.state["running"][direction].to(fake.device)
        current = self.histograms.measure(fake, mask)
        loss, mean = draw_to_target(running, current, self.targets[side])
        self.state["running"] = {**self.state["running"], direction: mean}
        return loss

    def _draw(self, side: str, iteration: int) -> tuple[Tensor, Tensor]:
        volume, mask = self.data.draw(side, iteration, seed=self.seed)
        return as_tensor(volume, self.runtime.device), as_tensor(mask, self.runtime.device)

    def _distance(self, direction: str) -> float:
        origin, side = DIRECTIONS[direction]
        size = self.data.volumes.voxel_size_mm
        return self.distances[side].measure(
            (generate(self.averages[direction], volume, head_mask=head, voxel_size_mm=size), head)
            for volume, head in map(self.data.load, self.data.monitor[origin])
        )
