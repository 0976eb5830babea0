"""Training of one generator from all source sites to the reference.

Choice: one forward generator without any site code; each iteration takes one source site, all of
them once a round in a drawn order, so that a site counts the same however many people it has. Each
source has its own running mean of histograms. With cycle and adversary (``cyclegan``) every source
also has a generator from the reference back to it and a discriminator; they serve the training
and are thrown away. Reason: many sites cost little more than one, and a site that was never seen
can be served. Rejected: a site code (no gain), one backward generator with a code (needs one for
every source anyway). Revisit when sources differ so much that one generator cannot tell them.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from bids_harmonize.training.adversarial import begin_step, make_adversary
from bids_harmonize.training.generation import generate
from bids_harmonize.training.losses import LocalHistograms, grid_roughness
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pair_steps import (
    ALARM_FACTOR,
    backward,
    follow,
    is_kept,
    rate_share,
    step_at,
)
from bids_harmonize.training.patch_distance import PatchDistance
from bids_harmonize.training.runtime import Runtime, seeded_generator, seeded_torch
from bids_harmonize.training.sight import Look, Seen
from bids_harmonize.training.sub_boxes import make_sight
from bids_harmonize.training.targets import Target, make_target

if TYPE_CHECKING:
    from bids_harmonize.networks.generators import TrainedGenerator

_REFERENCE: Final = "reference"
THERE, BACK = "running", "running_back"  # running means of a source, in the state


class JointTraining:
    """One forward generator, what trains it, and the state that a checkpoint holds.

    Parameters
    ----------
    data
        Scans of all sites; its sides are their names.
    settings
        Weights and rates; ``n_iterations`` is that of the whole training, all sources together.
    reference
        The site to go to; all others are sources.
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
        reference: str,
        runtime: Runtime,
        seed: int,
        sharpens: bool,
    ) -> None:
        self.data, self.settings, self.runtime, self.seed = data, settings, runtime, seed
        self.reference = reference
        self.sources = tuple(sorted(set(data.train) - {reference}))
        self.sharpens = sharpens
        with seeded_torch(seed, "weights"):
            self.forward = self._make_generator()
            self.backward = [self._make_generator() for _ in self.sources if settings.cycle_weight]
            sides = (_REFERENCE, *(_side(number) for number in range(len(self.backward))))
            self.adversary = make_adversary(sides, settings, device=runtime.device)
        self.average = deepcopy(self.forward).requires_grad_(False)
        self.optimizer = torch.optim.Adam(
            nn.ModuleList([self.forward, *self.backward]).parameters(),
            lr=settings.learning_rate,
            betas=(0.5, 0.999),
        )
        histograms = LocalHistograms(
            data.seen.shape, voxel_size_mm=data.seen.voxel_size_mm, device=runtime.device
        )
        self.sight = make_sight(data, histograms, runtime=runtime, seed=seed)
        self.targets, self.starts = self._make_targets(histograms)
        self.distance = PatchDistance(
            (data.load(index) for index in sorted(data.train[reference])), seed=seed
        )
        self.state = self._make_state()

    def source_of(self, iteration: int) -> tuple[int, int]:
        """Which source an iteration takes, and how often it has had its turn before.

        Parameters
        ----------
        iteration
            From 0; equal numbers give equal answers.

        Returns
        -------
        tuple of int
            Place in ``sources``, and the round.
        """
        turn, place = divmod(iteration, len(self.sources))
        rng = seeded_generator(self.seed, "sources", f"round-{turn}")
        return int(rng.permutation(len(self.sources))[place]), turn

    def step(self, iteration: int) -> dict[str, float]:
        """One iteration on one scan of one source and one of the reference; returns the losses."""
        self.runtime.crew.order(iteration)
        values = self.gradients(iteration)
        share = rate_share(iteration, self.settings.n_iterations)
        step_at(self.optimizer, self.settings.learning_rate * share)
        follow(self.average, self.forward, iteration)
        if self.adversary is not None:
            self.adversary.step(rate_share=share)
        return values

    def gradients(self, iteration: int) -> dict[str, float]:
        """Take the gradients of an iteration, this process's ways and the others'."""
        crew, ways = self.runtime.crew, [way for way in (THERE, BACK) if self.state[way]]
        source, turn = self.source_of(iteration)
        before = [self.state[way][source] for way in ways]
        shared = begin_step(crew, self.optimizer, self.adversary, before)
        look = self.sight.at(iteration)
        scans = look.draw(self.sources[source], turn), look.draw(self.reference, iteration)
        losses, fakes = self._losses(look, source, scans, has_identity=bool(iteration % 2))
        self.optimizer.zero_grad(set_to_none=True)
        values = backward(losses, self.settings.loss_weights)
        if self.adversary is not None:
            sides = zip((_side(source), _REFERENCE), scans, strict=True)
            reals = {side: look.patches(scan) for side, scan in sides if side in fakes}
            values |= self.adversary.gradients(reals, fakes)
        after = [self.state[way][source] for way in ways]
        moved, values = shared.pool(after, values)
        for way, mean in zip(ways, moved, strict=True):
            self.state[way] = [*self.state[way][:source], mean, *self.state[way][source + 1 :]]
        return values

    def check(self, iterations_done: int) -> dict[str, float]:
        """Distance of each source's monitor scans to the reference; keeps an average.

        Which one, ``is_kept`` says of the mean over the sources. A source whose distance doubles,
        or is no number, sets ``state["diverged"]``.
        """
        del iterations_done
        found = self._distances()
        lowest = self.state["lowest"]
        for source, distance in found.items():
            bound = ALARM_FACTOR * max(lowest[source], self.state["floor"])
            if not np.isfinite(distance) or distance > bound:
                self.state["diverged"] = True
        self.state["lowest"] = {
            source: float(np.fmin(distance, lowest[source])) for source, distance in found.items()
        }
        mean, nearest = float(np.mean(list(found.values()))), self.state["kept"]["nearest"]
        if not self.state["diverged"] and is_kept(mean, nearest):
            self.state["kept"] = self._snapshot(found, nearest=min(mean, nearest))
        return found

    def _make_targets(
        self, histograms: LocalHistograms
    ) -> tuple[dict[str, list[Target]], dict[str, list[Tensor]]]:
        """There and back, of each source: the target, and its running means at the start."""
        ways = {THERE: [(site, self.reference) for site in self.sources], BACK: []}
        if self.settings.cycle_weight:
            ways[BACK] = [(self.reference, site) for site in self.sources]
        targets: dict[str, list[Target]] = {way: [] for way in ways}
        starts: dict[str, list[Tensor]] = {way: [] for way in ways}
        for way, pairs in ways.items():
            for origin, site in pairs:
                target, start = make_target(
                    self.data,
                    (self.data.train[origin], self.data.train[site]),
                    histograms,
                    device=self.runtime.device,
                    splits=self.settings.splits_targets,
                )
                targets[way].append(target)
                starts[way].append(start)
        return targets, starts

    def _make_generator(self) -> "TrainedGenerator":
        generator = self.settings.make_generator(
            voxel_size_mm=self.data.volumes.voxel_size_mm,
            sharpened_mm=self.data.seen.voxel_size_mm if self.sharpens else None,
        )
        return generator.to(self.runtime.device)

    def _make_state(self) -> dict[str, Any]:
        start = self._distances()
        state: dict[str, Any] = {
            "forward": self.forward,
            "backward": nn.ModuleList(self.backward),
            "average": self.average,
            "optimizer": self.optimizer,
            **self.starts,
            "kept": self._snapshot(start, nearest=np.inf),
            "lowest": start,
            "floor": self.distance.measure(
                self.data.load(index) for index in self.data.monitor[self.reference]
            ),
            "diverged": False,
            "history": [{"iteration": 0, **start}],
        }
        if self.adversary is not None:
            state["discriminators"] = self.adversary.discriminators
            state["discriminator_optimizer"] = self.adversary.optimizer
        return state

    def _snapshot(self, distances: Mapping[str, float], *, nearest: float) -> dict[str, Any]:
        weights = self.average.state_dict()
        return {
            "distances": dict(distances),
            "nearest": nearest,
            "weights": {name: tensor.cpu().clone() for name, tensor in weights.items()},
        }

    def _losses(
        self, look: Look, source: int, scans: tuple[Seen, Seen], *, has_identity: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses before weighting, and what the adversary sees of the made volumes."""
        settings, back = self.settings, self.backward[source] if self.backward else None
        # way -> (its generator, where it comes from, the way home, where it arrives)
        ways = {
            THERE: (self.forward, scans[0], back, _REFERENCE),
            BACK: (back, scans[1], self.forward, _side(source)),
        }
        own = {way: ways[way] for way in self.runtime.crew.part((THERE, BACK))}
        made_of: dict[str, tuple[Seen, Seen]] = {}
        fakes: dict[str, Seen] = {}
        grids: list[Tensor] = []
        for way, (generator, scan, home, side) in own.items():
            if generator is not None:
                fakes[side], grid = look.generate(generator, scan, goes_on=home is not None)
                made_of[way] = (scan, fakes[side])
                grids.append(grid)
        homeward = [(home, scan, side) for _, scan, home, side in own.values() if home is not None]
        terms: dict[str, list[Tensor]] = {}
        if settings.cycle_weight:
            terms["cycle"] = [
                look.difference(look.generate(home, fakes[side])[0], scan)
                for home, scan, side in homeward
            ]
        if settings.identity_weight and has_identity:
            terms["identity"] = [
                look.difference(look.generate(home, scan)[0], scan) for home, scan, _ in homeward
            ]
        if settings.histogram_weight:
            terms["local_histogram"] = [
                self._histogram_loss(look, (way, source), *pair) for way, pair in made_of.items()
            ]
        if settings.smoothness_weight:
            terms["smoothness"] = [grid_roughness(grid) for grid in grids]
        losses = {name: torch.stack(values).sum() for name, values in terms.items() if values}
        patches = {side: look.patches(scan) for side, scan in fakes.items()}
        if self.adversary is not None and patches:
            with self.runtime.fabric.autocast():
                losses["adversarial"] = self.adversary.generator_loss(patches)
        return losses, patches

    def _histogram_loss(self, look: Look, of: tuple[str, int], scan: Seen, made: Seen) -> Tensor:
        """Distance of one source's running means, one way; moves them."""
        way, source = of
        running = list(self.state[way])
        own = running[source].to(made.volume.device)
        target = self.targets[way][source]
        loss, running[source] = look.histogram_loss(own, scan, made, target)
        self.state[way] = running
        return loss

    def _distances(self) -> dict[str, float]:
        """Column of the history (``distance_<place of the source>``) to the distance."""
        size = self.data.seen.voxel_size_mm
        return {
            distance_column(number): self.distance.measure(
                (generate(self.average, volume, head_mask=head, voxel_size_mm=size), head)
                for volume, head in map(self.data.load, self.data.monitor[site])
            )
            for number, site in enumerate(self.sources)
        }


def distance_column(source: int) -> str:
    """Name in the history of a source's distance to the reference."""
    return f"distance_{source}"


def _side(source: int) -> str:
    return f"source-{source}"
