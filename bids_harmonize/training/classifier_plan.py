"""The plan of a training: seed and checkpoint, order of the scans, and their augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bids_harmonize.config import ClassifierSettings
from bids_harmonize.training.augmentation import AugmentationSettings
from bids_harmonize.training.runtime import Runtime


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
    share
        Share of the learning-rate schedule after which the training ends, 0..1.
    """

    runtime: Runtime
    seed: int
    name: str
    checkpoint_path: Path | None = None
    resume: bool = True
    fingerprint: str = ""
    share: float = 1.0


def balanced_order(classes: Sequence[int] | Sequence[str], rng: np.random.Generator) -> list[int]:
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


def augmentation_settings(settings: ClassifierSettings, progress: float) -> AugmentationSettings:
    """What a site classifier's training does to its volumes.

    Choice: blocks come as the training goes on, from none at its start to what the settings say
    at its end. Reason: a network that has not yet learnt whole heads learns little from parts of
    them. Two phantoms (preset ``hard``, 6 sites x 12, 200 steps) went from 51 and 37 of 72 right
    to 69 and 54 at no cost; twice as many steps took the first to 63. Rejected: smaller batches
    (40).

    Parameters
    ----------
    settings
        Probabilities and ranges.
    progress
        Share of the whole training that is done, 0..1.

    Returns
    -------
    AugmentationSettings
        For this moment.
    """
    return AugmentationSettings(
        flip_probability=settings.flip_probability,
        mask_block_probability=progress * settings.mask_block_probability,
        keep_block_probability=progress * settings.keep_block_probability,
        affine_probability=settings.affine_probability,
        max_rotation_degrees=settings.max_rotation_degrees,
        max_scaling=settings.max_scaling,
        max_offset_voxels=settings.max_offset_voxels,
    )
