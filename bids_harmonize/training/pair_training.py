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

from bids_harmonize.training.adversarial import begin_step, make_adversary
from bids_harmonize.training.generation import generate
from bids_harmonize.training.losses import LocalHistograms, grid_roughness
from bids_harmonize.training.pair_data import (
    DIRECTIONS,
    REFERENCE,
    SOURCE,
    PairData,
    PairSettings,
)
from bids_harmonize.training.pair_steps import (
    ALARM_FACTOR,
    backward,
    follow,
    is_kept,
    rate_share,
    step_at,
)
from bids_harmonize.training.patch_distance import PatchDistance
from bids_harmonize.training.runtime import Runtime, seeded_torch
from bids_harmonize.training.sight import Look, Seen
from bids_harmonize.training.sub_boxes import make_sight
from bids_harmonize.training.targets import Target, make_target


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
        device, size = runtime.device, data.seen.voxel_size_mm
        with seeded_torch(seed, "weights"):
            self.generators = {
                direction: settings.make_generator(
                    voxel_size_mm=data.volumes.voxel_size_mm,
                    sharpened_mm=size if sharpens else None,
                ).to(device)
                for direction in DIRECTIONS
            }
            self.adversary = make_adversary((SOURCE, REFERENCE), settings, device=device)
        self.averages = {
            direction: deepcopy(generator).requires_grad_(False)
            for direction, generator in self.generators.items()
        }
        self.optimizer = torch.optim.Adam(
            nn.ModuleDict(self.generators).parameters(),
            lr=settings.learning_rate,
            betas=(0.5, 0.999),
        )
        histograms = LocalHistograms(data.seen.shape, voxel_size_mm=size, device=device)
        self.sight = make_sight(data, histograms, runtime=runtime, seed=seed)
        self.targets, self.starts = self._make_targets(histograms)
        self.distances = {
            side: PatchDistance(
                (data.load(index) for index in sorted(data.train[side])), seed=seed
            )
            for side in (SOURCE, REFERENCE)
        }
        self.state = self._make_state()

    def step(self, iteration: int) -> dict[str, float]:
        """One iteration on one scan of each side; returns the losses before weighting."""
        self.runtime.crew.order(iteration)
        values = self.gradients(iteration)
        share = rate_share(iteration, self.settings.n_iterations)
        step_at(self.optimizer, self.settings.learning_rate * share)
        for direction, generator in self.generators.items():
            follow(self.averages[direction], generator, iteration)
        if self.adversary is not None:
            self.adversary.step(rate_share=share)
        return values

    def gradients(self, iteration: int) -> dict[str, float]:
        """Take the gradients of an iteration, this process's directions and the others'."""
        crew, before = self.runtime.crew, self.state["running"]
        shared = begin_step(crew, self.optimizer, self.adversary, list(before.values()))
        look = self.sight.at(iteration)
        reals = {side: look.draw(side, iteration) for side in (SOURCE, REFERENCE)}
        losses, fakes = self._losses(look, reals, has_identity=bool(iteration % 2))
        self.optimizer.zero_grad(set_to_none=True)
        values = backward(losses, self.settings.loss_weights)
        if self.adversary is not None:
            volumes = {side: look.patches(scan) for side, scan in reals.items() if side in fakes}
            values |= self.adversary.gradients(volumes, fakes)
        after = [self.state["running"][direction] for direction in before]
        moved, values = shared.pool(after, values)
        self.state["running"] = dict(zip(before, moved, strict=True))
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

    def _make_targets(
        self, histograms: LocalHistograms
    ) -> tuple[dict[str, Target], dict[str, Tensor]]:
        """Each direction's target of local histograms, and its running means at the start."""
        targets, starts = {}, {}
        for direction, (origin, side) in DIRECTIONS.items():
            targets[direction], starts[direction] = make_target(
                self.data,
                (self.data.train[origin], self.data.train[side]),
                histograms,
                device=self.runtime.device,
                splits=self.settings.splits_targets,
            )
        return targets, starts

    def _make_state(self) -> dict[str, Any]:
        start = {direction: self._distance(direction) for direction in DIRECTIONS}
        untouched = {f"distance_{direction}": distance for direction, distance in start.items()}
        state: dict[str, Any] = {
            "generators": nn.ModuleDict(self.generators),
            "averages": nn.ModuleDict(self.averages),
            "optimizer": self.optimizer,
            "running": self.starts,
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
        self, look: Look, reals: Mapping[str, Seen], *, has_identity: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses before weighting, and what the adversary sees of the made volumes."""
        terms: dict[str, list[Tensor]] = {}
        fakes: dict[str, Seen] = {}
        settings, crew = self.settings, self.runtime.crew
        own = {direction: DIRECTIONS[direction] for direction in crew.part(list(DIRECTIONS))}
        for direction, (origin, side) in own.items():
            fakes[side], grid = look.generate(
                self.generators[direction], reals[origin], goes_on=bool(settings.cycle_weight)
            )
            if settings.histogram_weight:
                loss = self._histogram_loss(look, direction, reals[origin], fakes[side])
                terms.setdefault("local_histogram", []).append(loss)
            if settings.smoothness_weight:
                terms.setdefault("smoothness", []).append(grid_roughness(grid))
        if settings.cycle_weight:
            terms["cycle"] = [
                look.difference(
                    look.generate(self.generators[back], fakes[origin])[0], reals[side]
                )
                for back, (origin, side) in DIRECTIONS.items()
                if origin in fakes
            ]
        if settings.identity_weight and has_identity:
            terms["identity"] = [
                look.difference(
                    look.generate(self.generators[direction], reals[side])[0], reals[side]
                )
                for direction, (_, side) in own.items()
            ]
        losses = {name: torch.stack(values).sum() for name, values in terms.items() if values}
        patches = {side: look.patches(scan) for side, scan in fakes.items()}
        if self.adversary is not None and patches:
            with self.runtime.fabric.autocast():
                losses["adversarial"] = self.adversary.generator_loss(patches)
        return losses, patches

    def _histogram_loss(self, look: Look, direction: str, real: Seen, fake: Seen) -> Tensor:
        """Distance of the running means; moves them."""
        running = self.state["running"][direction].to(fake.volume.device)
        loss, moved = look.histogram_loss(running, real, fake, self.targets[direction])
        self.state["running"] = {**self.state["running"], direction: moved}
        return loss

    def _distance(self, direction: str) -> float:
        origin, side = DIRECTIONS[direction]
        size = self.data.seen.voxel_size_mm
        return self.distances[side].measure(
            (generate(self.averages[direction], volume, head_mask=head, voxel_size_mm=size), head)
            for volume, head in map(self.data.load, self.data.monitor[origin])
        )
