"""Controls of the site classifier: what can be told from less than the image."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.stages.classification.control_calibration import calibrated_by_other_folds
from bids_harmonize.stages.classification.models import (
    ClassifierTraining,
    FoldModel,
    prediction_rows,
    select,
    unseen_predictions,
)
from bids_harmonize.stages.classification.shortcuts import (
    Method,
    head_histograms,
    participant_covariates,
    scan_metadata,
    shortcut_predictions,
)
from bids_harmonize.stages.classification.visibility import visible_shares
from bids_harmonize.training.splits import exchange_sites
from bids_harmonize.training.volumes import TransformedVolumes, VolumeSource

LOGGER = logging.getLogger(__name__)

NETWORK_CONTROLS: Final = ("shuffled", "headmask", "brainonly", "headwithoutbrain")
"""Networks that are given less than the image."""
ABLATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "withoutmaskblock": ("mask_block_probability",),
    "withoutkeepblock": ("keep_block_probability",),
    "withoutblocks": ("mask_block_probability", "keep_block_probability"),
}
"""Networks that are trained on the image without an augmentation; the settings that become 0."""

_QUICK_ABLATIONS = ("withoutblocks",)
# Below this share of the head outside the brain mask the image is a skull-stripped brain.
_LEAST_AROUND_BRAIN = 0.05
_BRAIN_CONTROLS = ("brainonly", "headwithoutbrain")


@dataclass(kw_only=True)
class Controls:
    """What the controls of one study came to.

    Attributes
    ----------
    predictions
        Control to its out-of-fold predictions and the effort; calibrated where there are folds
        enough.
    uncalibrated
        Controls of which one fold only was computed, so that nothing could calibrate them.
    visible
        Network to how often it is right where only a block is visible.
    skipped
        Control that could not run, and the reason; filled by nothing else.
    """

    predictions: dict[str, tuple[pd.DataFrame, str]] = field(default_factory=dict)
    uncalibrated: set[str] = field(default_factory=set)
    visible: dict[str, pd.DataFrame] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, found: pd.DataFrame, effort: str) -> None:
        """Keep the predictions of a control, calibrated if they are of several folds."""
        calibrated = calibrated_by_other_folds(found)
        if calibrated is None:
            self.uncalibrated.add(name)
        self.predictions[name] = (found if calibrated is None else calibrated, effort)


def run_controls(
    study: Study,
    training: ClassifierTraining,
    folds: tuple[FoldModel, ...],
    *,
    seconds_per_fold: float | None,
) -> Controls:
    """All controls that this study allows, and accuracy against the visible fraction.

    Parameters
    ----------
    study
        For age, sex and metadata.
    training
        Scans, folds and settings of the network itself. With ``--effort quick`` networks are
        trained on the first fold only, and of the ablations only the one without both blocks.
    folds
        The cross-validated network.
    seconds_per_fold
        How long one whole training took, for the expected time; ``None`` where it is not known.

    Returns
    -------
    Controls
        With the reason for each that could not run.
    """
    quick = training.settings.group.effort == "quick"
    n_folds, effort = (1, "quick") if quick else (len(folds), "full")
    seed = training.settings.run.random_seed
    done = Controls()
    for name in (*NETWORK_CONTROLS, *ABLATIONS):
        reason = _unable(study, training, name)
        if quick and name in ABLATIONS and name not in _QUICK_ABLATIONS:
            reason = "--effort quick"
        if reason is not None:
            done.skipped[name] = reason
    _run_shortcuts(study, training, done)
    networks = [n for n in (*NETWORK_CONTROLS, *ABLATIONS) if n not in done.skipped]
    _announce(training, networks, n_folds, seconds_per_fold)
    done.visible["network"] = visible_shares(training.source, folds[:n_folds], seed=seed)
    for name in networks:
        start = time.monotonic()
        if name in ABLATIONS:
            models = ablated_models(training, name, n_folds=n_folds)
            found = unseen_predictions(training.source, models)
            done.visible[name] = visible_shares(training.source, models, seed=seed)
        else:
            found = control_predictions(training, name, n_folds=n_folds)
        done.add(name, found, effort)
        LOGGER.info("control %s: %.0f s", name, time.monotonic() - start)
    return done


def control_predictions(
    training: ClassifierTraining, control: str, *, n_folds: int
) -> pd.DataFrame:
    """Out-of-fold predictions of a control network.

    Parameters
    ----------
    training
        Scans, folds and settings of the network itself.
    control
        ``shuffled``: sites exchanged between participants, inside each fold so that every fold
        keeps all sites; the column ``site`` holds the exchanged ones. Others: see
        :func:`control_view`.
    n_folds
        How many of the folds are computed.

    Returns
    -------
    DataFrame
        Columns as in :func:`unseen_predictions`.
    """
    source = control_view(training.source, control)
    site_of = {scan.key: scan.site for scan in source.scans}
    if control == "shuffled":
        site_of_person = {scan.participant_id: scan.site for scan in source.scans}
        seed = training.settings.run.random_seed
        given = exchange_sites(site_of_person, training.folds, seed=seed)
        site_of = {scan.key: given[scan.participant_id] for scan in source.scans}
    parts = []
    for number, fold in enumerate(training.folds[:n_folds], start=1):
        seen, unseen = select(source, fold.train), select(source, fold.validation)
        labels = [site_of[scan.key] for scan in seen.scans]
        classifier = training.train(seen, labels, f"{control}-{number}")
        rows = prediction_rows(classifier, unseen, fold=str(number))
        parts.append(rows.assign(site=[site_of[key] for key in rows["key"]]))
    return pd.concat(parts, ignore_index=True)


def control_view(source: VolumeSource, control: str) -> VolumeSource:
    """The volumes as a control network sees them.

    Parameters
    ----------
    source
        The scans.
    control
        ``headmask``: 1 in the head, 0 outside. ``brainonly``: the image, 0 outside the brain
        mask. ``headwithoutbrain``: the image, 0 inside it. Others: the image itself.

    Returns
    -------
    VolumeSource
        The same scans in the same order.
    """
    zero = np.float32(0)
    views: dict[str, Callable[[int, np.ndarray], np.ndarray]] = {
        "headmask": lambda index, _: source.head_mask(index).astype(np.float32),
        "brainonly": lambda index, volume: np.where(source.brain_mask(index), volume, zero),
        "headwithoutbrain": lambda index, volume: np.where(source.brain_mask(index), zero, volume),
    }
    return TransformedVolumes(source, views[control]) if control in views else source


def ablated_models(
    training: ClassifierTraining, ablation: str, *, n_folds: int
) -> tuple[FoldModel, ...]:
    """The network of each fold, trained without an augmentation.

    Parameters
    ----------
    training
        Scans, folds and settings of the network itself.
    ablation
        A name of :data:`ABLATIONS`.
    n_folds
        How many of the folds are computed.

    Returns
    -------
    tuple of FoldModel
        Each with the participants it has not seen.
    """
    switched_off: dict[str, Any] = dict.fromkeys(ABLATIONS[ablation], 0.0)
    classifier = replace(training.settings.classifier, **switched_off)
    ablated = replace(training, settings=replace(training.settings, classifier=classifier))
    models = []
    for number, fold in enumerate(training.folds[:n_folds], start=1):
        seen = select(training.source, fold.train)
        labels = [scan.site for scan in seen.scans]
        trained = ablated.train(seen, labels, f"{ablation}-{number}")
        models.append(FoldModel(classifier=trained, held_out=fold.validation))
    return tuple(models)


def _run_shortcuts(study: Study, training: ClassifierTraining, done: Controls) -> None:
    """Controls without a network: seconds, so all folds even with ``--effort quick``."""
    people = [scan.participant_id for scan in training.source.scans]
    stems = [scan.key for scan in training.source.scans]
    known = participant_covariates(study).loc[people].dropna(axis="columns", how="all")
    tables: dict[str, tuple[pd.DataFrame, Method, str]] = {
        "covariates": (
            known.set_axis(stems, axis="index"),
            "logistic",
            "participants.tsv has neither age nor sex",
        ),
        "metadata": (
            scan_metadata(study, stems),
            "forest",
            "scans.tsv has no voxel size, matrix, orientation, datatype or cropped share",
        ),
        "histogram": (head_histograms(training.source), "logistic", ""),
    }
    for name, (features, method, reason) in tables.items():
        if features.empty:
            done.skipped[name] = reason
        else:
            found = shortcut_predictions(training, features, method=method, name=name)
            done.add(name, found, "full")


def _unable(study: Study, training: ClassifierTraining, name: str) -> str | None:
    """Why a network control cannot run, or ``None`` if it can."""
    if name in _BRAIN_CONTROLS:
        if study.scaling_mask != "brain":
            return "there are no brain masks (--brain-mask none)"
        if name == "headwithoutbrain" and _share_around_brain(training) < _LEAST_AROUND_BRAIN:
            return "the images are skull-stripped: nothing is left around the brain"
    own = training.settings.classifier
    if name in ABLATIONS and all(getattr(own, setting) == 0 for setting in ABLATIONS[name]):
        return f"the network itself is trained with {' = '.join(ABLATIONS[name])} = 0"
    return None


def _share_around_brain(training: ClassifierTraining) -> float:
    """Median share of the head that lies outside the brain mask, 0 to 1."""
    shares = []
    for index in range(len(training.source)):
        head, brain = training.source.head_mask(index), training.source.brain_mask(index)
        shares.append(float((~brain[head]).mean()))
    return float(np.median(shares))


def _announce(
    training: ClassifierTraining,
    networks: Sequence[str],
    n_folds: int,
    seconds_per_fold: float | None,
) -> None:
    """Say how many networks are to be trained, and how long it will take if that is known."""
    names = [f"{name}-{number}" for name in networks for number in range(1, n_folds + 1)]
    n_kept = sum(training.has_checkpoint(name) for name in names)
    if seconds_per_fold is None:
        expected = "the time is not known, for no fold of the network was trained from its start"
    else:
        minutes = (len(names) - n_kept) * seconds_per_fold / 60
        expected = (
            f"expected time {minutes:.1f} min, as the network's own folds took "
            f"{seconds_per_fold:.0f} s each"
        )
    kept = f", {n_kept} of them have a checkpoint to go on from" if n_kept else ""
    words = "controls: %d networks to train (%d controls, %d fold(s) each)%s; %s"
    LOGGER.info(words, len(names), len(networks), n_folds, kept, expected)
