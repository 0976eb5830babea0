"""The steps of a site classifier's training, and when they end.

Choice: with scans kept aside (the monitor), their loss is measured after every epoch from
``min_epochs`` on, the weights of the least loss are kept, and the training ends
``patience_epochs`` after it. The learning rate follows one cycle over all epochs.

The early stop is off by default: on weak phantom differences (preset ``hard``, 20 heads a site)
the participants that it keeps aside cost 10 to 16 points of accuracy, and the best epoch was one
of the last anyway, for the cycle ends at a rate of nothing. Revisit with hundreds of scans a site.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from bids_harmonize.config import ClassifierSettings, settings_hash
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.training.augmentation import (
    AugmentationSettings,
    apply_augmentation,
    draw_augmentation,
)
from bids_harmonize.training.classifier_plan import (
    TrainingPlan,
    augmentation_settings,
    balanced_order,
)
from bids_harmonize.training.loop import STOPPED, Checkpointing, iterate
from bids_harmonize.training.runtime import Runtime, seeded_generator
from bids_harmonize.training.site_model import Stopping
from bids_harmonize.training.volumes import VolumeSource

_WARM_UP_SHARE = 0.2
# Small studies get more epochs: with fewer steps the schedule ends before the network has learnt.
_LEAST_ITERATIONS = 60
_EPOCHS_PER_CHECKPOINT = 2
# So many training scans standardise the features whenever the monitor is asked; all would take a
# third of an epoch.
_SETTLING_SCANS = 48

Labelled = tuple[VolumeSource, Sequence[int]]


def fit(
    network: SiteClassifier,
    seen: Labelled,
    monitor: Labelled,
    *,
    settings: ClassifierSettings,
    plan: TrainingPlan,
    runtime: Runtime,
) -> Stopping:
    """Train a network in place, from the start or from its checkpoint.

    Parameters
    ----------
    network
        With fresh weights, on the runtime's device.
    seen
        Training scans and the column of each one's site.
    monitor
        Scans that steer the early stop, and their columns; none for no early stop.
    settings
        Length and rates of the training.
    plan
        Seed and checkpoint.
    runtime
        Device and precision.

    Returns
    -------
    Stopping
        When the training ended.
    """
    fitting = _Fitting(network, seen, monitor, settings, plan, runtime)
    network.train()
    epochs = 1 if fitting.has_monitor else _EPOCHS_PER_CHECKPOINT
    iterate(
        fitting.step,
        n_iterations=fitting.n_epochs_run * fitting.n_batches,
        state=fitting.state,
        checkpoint=Checkpointing(
            path=plan.checkpoint_path,
            every=epochs * fitting.n_batches,
            resume=plan.resume,
            fingerprint=settings_hash(
                settings,
                [plan.fingerprint, plan.seed, plan.name, plan.share, runtime.precision],
                [list(seen[1]), list(monitor[1]), [scan.key for scan in monitor[0].scans]],
            ),
        ),
        validate=fitting.validate if fitting.has_monitor else None,
        description=plan.name,
    )
    return fitting.finish()


def batches_and_epochs(
    settings: ClassifierSettings, classes: Sequence[int] | Sequence[str]
) -> tuple[int, int]:
    """Batches in an epoch, and epochs of a training.

    Parameters
    ----------
    settings
        ``batch_size`` and ``n_epochs``; few scans get more epochs.
    classes
        Class of each training scan.

    Returns
    -------
    n_batches, n_epochs : int
        Together at least 60 steps.
    """
    n_draws = len(balanced_order(classes, np.random.default_rng(0)))
    # BatchNorm needs two scans in every batch.
    n_batches = min(-(-n_draws // settings.batch_size), n_draws // 2)
    return n_batches, max(settings.n_epochs, -(-_LEAST_ITERATIONS // n_batches))


class _Fitting:
    """A network in training: its optimizer, its draws, and the state that a checkpoint holds."""

    def __init__(
        self,
        network: SiteClassifier,
        seen: Labelled,
        monitor: Labelled,
        settings: ClassifierSettings,
        plan: TrainingPlan,
        runtime: Runtime,
    ) -> None:
        self.network, self.settings, self.runtime = network, settings, runtime
        self.source, self.classes = seen
        self.monitor, self.monitor_classes = monitor
        self.has_monitor = len(self.monitor) > 0
        self.n_batches, self.n_epochs = batches_and_epochs(settings, self.classes)
        self.n_steps = self.n_epochs * self.n_batches
        self.n_epochs_run = max(1, round(plan.share * self.n_epochs))
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=settings.learning_rate,
            total_steps=self.n_steps,
            pct_start=_WARM_UP_SHARE,
        )
        scaled = runtime.precision == "16-mixed"
        self.scaler = torch.amp.GradScaler(runtime.device.type, enabled=scaled)
        self.rng = seeded_generator(plan.seed, "classifier", plan.name, "data")
        settling = balanced_order(
            self.classes, seeded_generator(plan.seed, "classifier", plan.name, "settling")
        )
        self.settling = sorted(set(settling[:_SETTLING_SCANS]))
        self.state: dict[str, Any] = {
            "network": network,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "scaler": self.scaler,
            "rng": self.rng,
            "order": [],
            "best": {"epoch": self.n_epochs_run, "loss": float("inf"), "weights": {}},
            STOPPED: False,
        }

    def step(self, iteration: int) -> dict[str, float]:
        """One batch; returns its loss and the share that was named rightly."""
        volumes, targets = self._draw(iteration)
        with self.runtime.fabric.autocast():
            logits = self.network(volumes)  # (B, n_sites)
            loss = self._loss(logits, targets)
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        correct = (logits.argmax(dim=1) == targets).float().mean()
        return {"loss": loss.item(), "accuracy": correct.item()}

    def validate(self, done: int) -> dict[str, float]:
        """The monitor's loss after this epoch; keeps the weights if it is the least so far."""
        epoch = done // self.n_batches
        if epoch < min(self.settings.min_epochs, self.n_epochs_run):
            return {}
        self.network.eval()
        with torch.no_grad():
            self._settle(self.settling)
            pooled = self._pooled(self.monitor, range(len(self.monitor)))
            logits = self.network.head(self.network.standardise(pooled))
            targets = torch.tensor(self.monitor_classes, device=logits.device)
            loss = self._loss(logits, targets).item()
        self.network.train()
        if loss < self.state["best"]["loss"]:
            weights = {
                name: tensor.detach().cpu().clone()
                for name, tensor in self.network.state_dict().items()
            }
            self.state["best"] = {"epoch": epoch, "loss": loss, "weights": weights}
        waited = epoch - self.state["best"]["epoch"]
        self.state[STOPPED] = waited >= self.settings.patience_epochs
        return {"monitor_loss": loss}

    def finish(self) -> Stopping:
        """Put the kept weights in, standardised by the training scans as they are."""
        best = self.state["best"]
        if best["weights"]:
            self.network.load_state_dict(best["weights"])
        self.network.eval()
        with torch.no_grad():
            self._settle(range(len(self.source)))
        return Stopping(self.n_epochs, best["epoch"], len(self.monitor))

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, targets, label_smoothing=self.settings.label_smoothing)

    def _draw(self, iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
        place = iteration % self.n_batches
        if place == 0:
            self.state["order"] = balanced_order(self.classes, self.rng)
        # Near-equal batches: a last batch of one scan would shake the end of every epoch.
        batches = np.array_split(np.asarray(self.state["order"]), self.n_batches)
        chosen = [int(index) for index in batches[place]]
        augmentation = augmentation_settings(self.settings, iteration / self.n_steps)
        drawn = [_augmented(self.source.volume(index), self.rng, augmentation) for index in chosen]
        device = self.runtime.device
        volumes = torch.from_numpy(np.stack(drawn))[:, None].to(device)  # (B, 1, I, J, K)
        return volumes, torch.tensor([self.classes[index] for index in chosen], device=device)

    def _settle(self, indices: Sequence[int]) -> None:
        self.network.settle(self._pooled(self.source, indices))

    def _pooled(self, source: VolumeSource, indices: Sequence[int]) -> torch.Tensor:
        """Pooled features of these scans, one at a time: the order of scans changes no bit."""
        # Into one array made before: small results kept between the large features of one scan
        # and those of the next would split the heap, which then grows with the scans.
        found = torch.empty((len(indices), self.network.head.in_features))
        for place, index in enumerate(indices):
            volume = torch.from_numpy(source.volume(index))[None, None]  # (1, 1, I, J, K)
            found[place] = self.network.pool(volume.to(self.runtime.device))[0]
        return found.to(self.runtime.device)


def _augmented(
    volume: np.ndarray, rng: np.random.Generator, settings: AugmentationSettings
) -> np.ndarray:
    i, j, k = volume.shape
    return apply_augmentation(volume, draw_augmentation(rng, (i, j, k), settings))
