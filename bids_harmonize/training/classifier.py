"""Training the site classifier, and predicting with it.

One function trains: the stage's folds and final model, its controls (shuffled labels, head masks)
and the probes that are trained again on harmonized images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bids_harmonize.config import ClassifierSettings, settings_hash
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.training.augmentation import (
    AugmentationSettings,
    apply_augmentation,
    draw_augmentation,
)
from bids_harmonize.training.loop import Checkpointing, iterate
from bids_harmonize.training.runtime import Runtime, seeded_generator, seeded_torch
from bids_harmonize.training.site_model import (
    Classifier,
    load_classifier,
    predict,
    save_classifier,
)
from bids_harmonize.training.volumes import VolumeSource

__all__ = [
    "Classifier",
    "TrainingPlan",
    "balanced_order",
    "load_classifier",
    "predict",
    "save_classifier",
    "train_classifier",
]

_WARM_UP_SHARE = 0.2
# Small studies get more epochs: with fewer steps the schedule ends before the network has learnt.
_LEAST_ITERATIONS = 60
_EPOCHS_PER_CHECKPOINT = 2


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How one training is seeded, where it runs, and where it can go on from.

    Attributes
    ----------
    runtime
        Device and precision.
    seed
        The run's seed.
    name
        What is trained (``fold-1``); part of the seed and of the log lines.
    checkpoint_path
        Where the state is kept on the way; ``None`` keeps nothing.
    resume
        Go on from that file if data and settings are the same.
    fingerprint
        Hash of the data, so that a checkpoint of other data is not gone on from.
    """

    runtime: Runtime
    seed: int
    name: str
    checkpoint_path: Path | None = None
    resume: bool = True
    fingerprint: str = ""


def train_classifier(
    source: VolumeSource,
    labels: Sequence[str],
    *,
    sites: Sequence[str],
    settings: ClassifierSettings,
    plan: TrainingPlan,
) -> Classifier:
    """A network that names the site of a volume.

    Parameters
    ----------
    source
        The training scans; nobody else is looked at.
    labels
        Site of each scan, as the network shall learn it.
    sites
        The sites in the order of the logits.
    settings
        Length and rates of the training; a small study gets as many epochs as 60 steps need.
    plan
        Seed, device and checkpoint.

    Returns
    -------
    Classifier
        In evaluation mode.

    Raises
    ------
    UnusableDataError
        If a site has no training scan.
    """
    missing = sorted(set(sites) - set(labels))
    if missing or len(labels) != len(source):
        message = (
            f"{plan.name}: {len(labels)} labels for {len(source)} scans, sites without any: "
            f"{missing or 'none'}; every site needs training scans"
        )
        raise UnusableDataError(message)
    device = plan.runtime.device
    with seeded_torch(plan.seed, "classifier", plan.name):
        network = SiteClassifier(len(sites), dropout=settings.dropout).to(device)
        _fit(network, source, [list(sites).index(label) for label in labels], settings, plan)
    _settle(network, source, device)
    return Classifier(
        network=network.eval(),
        sites=tuple(sites),
        shape=source.shape,
        voxel_size_mm=source.voxel_size_mm,
        device=device,
    )


def balanced_order(classes: Sequence[int], rng: np.random.Generator) -> list[int]:
    """One epoch's order of the scans, with as many draws from each class.

    Parameters
    ----------
    classes
        Class of each scan.
    rng
        Where the order comes from.

    Returns
    -------
    list of int
        Positions of scans. Every class gives ``ceil(n / n_classes)`` of them; a small class goes
        round several times before any of its scans is drawn once more than another.
    """
    values = np.asarray(classes)
    kinds = np.unique(values)
    n_draws = -(-len(values) // len(kinds))
    drawn: list[np.ndarray] = []
    for kind in kinds:
        members = np.flatnonzero(values == kind)
        rounds = [rng.permutation(members) for _ in range(-(-n_draws // len(members)))]
        drawn.append(np.concatenate(rounds)[:n_draws])
    return [int(index) for index in rng.permutation(np.concatenate(drawn))]


class _Fitting:
    """A network in training: its optimizer, its draws, and the state that a checkpoint holds."""

    def __init__(
        self,
        network: nn.Module,
        source: VolumeSource,
        classes: list[int],
        settings: ClassifierSettings,
        plan: TrainingPlan,
    ) -> None:
        self.network, self.source, self.classes = network, source, classes
        self.settings, self.runtime = settings, plan.runtime
        n_draws = len(balanced_order(classes, np.random.default_rng(0)))
        # BatchNorm needs two scans in every batch.
        self.n_batches = min(-(-n_draws // settings.batch_size), n_draws // 2)
        n_epochs = max(settings.n_epochs, -(-_LEAST_ITERATIONS // self.n_batches))
        self.n_iterations = n_epochs * self.n_batches
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=settings.learning_rate,
            total_steps=self.n_iterations,
            pct_start=_WARM_UP_SHARE,
        )
        scaled = self.runtime.precision == "16-mixed"
        self.scaler = torch.amp.GradScaler(self.runtime.device.type, enabled=scaled)
        self.rng = seeded_generator(plan.seed, "classifier", plan.name, "data")
        self.augmentation = AugmentationSettings(
            flip_probability=settings.flip_probability,
            mask_block_probability=settings.mask_block_probability,
            keep_block_probability=settings.keep_block_probability,
        )
        self.state: dict[str, Any] = {
            "network": network,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "scaler": self.scaler,
            "rng": self.rng,
            "order": [],
        }

    def step(self, iteration: int) -> dict[str, float]:
        """One batch; returns its loss and the share that was named rightly."""
        volumes, targets = self._draw(iteration)
        with self.runtime.fabric.autocast():
            logits = self.network(volumes)  # (B, n_sites)
            loss = F.cross_entropy(logits, targets, label_smoothing=self.settings.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        correct = (logits.argmax(dim=1) == targets).float().mean()
        return {"loss": loss.item(), "accuracy": correct.item()}

    def _draw(self, iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
        place = iteration % self.n_batches
        if place == 0:
            self.state["order"] = balanced_order(self.classes, self.rng)
        # Near-equal batches: a last batch of one scan would shake the end of every epoch.
        batches = np.array_split(np.asarray(self.state["order"]), self.n_batches)
        chosen = [int(index) for index in batches[place]]
        drawn = [
            _augmented(self.source.volume(index), self.rng, self.augmentation) for index in chosen
        ]
        device = self.runtime.device
        volumes = torch.from_numpy(np.stack(drawn))[:, None].to(device)  # (B, 1, I, J, K)
        return volumes, torch.tensor([self.classes[index] for index in chosen], device=device)


def _fit(
    network: nn.Module,
    source: VolumeSource,
    classes: list[int],
    settings: ClassifierSettings,
    plan: TrainingPlan,
) -> None:
    """Train the network in place."""
    fitting = _Fitting(network, source, classes, settings, plan)
    network.train()
    iterate(
        fitting.step,
        n_iterations=fitting.n_iterations,
        state=fitting.state,
        checkpoint=Checkpointing(
            path=plan.checkpoint_path,
            every=_EPOCHS_PER_CHECKPOINT * fitting.n_batches,
            resume=plan.resume,
            fingerprint=settings_hash(settings, plan.fingerprint, plan.seed, plan.name, classes),
        ),
        description=plan.name,
    )


def _settle(network: SiteClassifier, source: VolumeSource, device: torch.device) -> None:
    """Measure the statistics of the features on the training scans as they are."""
    with torch.no_grad():
        pooled = [
            network.pool(torch.from_numpy(source.volume(index))[None, None].to(device))
            for index in range(len(source))
        ]
    network.settle(torch.cat(pooled))


def _augmented(
    volume: np.ndarray, rng: np.random.Generator, settings: AugmentationSettings
) -> np.ndarray:
    i, j, k = volume.shape
    return apply_augmentation(volume, draw_augmentation(rng, (i, j, k), settings))
