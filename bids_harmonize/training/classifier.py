"""Training the site classifier, and predicting with it.

One function trains: the stage's folds and final model, its controls (shuffled labels, head masks)
and the probes that are trained again on harmonized images.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bids_harmonize.config import ClassifierSettings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.networks.classifiers import CLASSIFIERS
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.stats.calibration import fit_temperature
from bids_harmonize.stats.novelty import shared_precision
from bids_harmonize.training.classifier_fit import fit
from bids_harmonize.training.classifier_plan import TrainingPlan, balanced_order
from bids_harmonize.training.runtime import classifier_runtime, seeded_torch
from bids_harmonize.training.site_model import (
    Classifier,
    FeatureSpread,
    ask,
    embed,
    predict,
)
from bids_harmonize.training.site_storage import load_classifier, save_classifier
from bids_harmonize.training.volumes import SelectedVolumes, VolumeSource

__all__ = [
    "Classifier",
    "TrainingPlan",
    "ask",
    "balanced_order",
    "load_classifier",
    "predict",
    "save_classifier",
    "train_classifier",
]


def train_classifier(
    source: VolumeSource,
    labels: Sequence[str],
    *,
    sites: Sequence[str],
    settings: ClassifierSettings,
    plan: TrainingPlan,
    monitor: Sequence[int] = (),
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
        Network, length and rates of the training; a small study gets as many epochs as 60 steps
        need.
    plan
        Seed, device and checkpoint.
    monitor
        Positions of scans that give no gradient: they choose the epoch whose weights are kept,
        and then the temperature. Without any, the last weights are kept, with temperature 1.

    Returns
    -------
    Classifier
        In evaluation mode.

    Raises
    ------
    UnusableDataError
        If a site has no training scan, or the grid is too small for the network.
    """
    kept_aside = frozenset(monitor)
    rest = [index for index in range(len(source)) if index not in kept_aside]
    _check(source, labels, sites, rest, plan)
    _check_size(source, settings.network, plan)
    classes = [list(sites).index(label) for label in labels]
    seen, aside = SelectedVolumes(source, rest), SelectedVolumes(source, sorted(kept_aside))
    runtime = classifier_runtime(plan.runtime)
    with seeded_torch(plan.seed, "classifier", plan.name):
        network = SiteClassifier(
            len(sites), architecture=settings.network, dropout=settings.dropout
        ).to(runtime.device)
        stopping = fit(
            network,
            (seen, [classes[index] for index in rest]),
            (aside, [classes[index] for index in aside.indices]),
            settings=settings,
            plan=plan,
            runtime=runtime,
        )
    classifier = Classifier(
        network=network.eval(),
        sites=tuple(sites),
        shape=source.shape,
        voxel_size_mm=source.voxel_size_mm,
        device=runtime.device,
        architecture=settings.network,
        stopping=stopping,
    )
    temperature = fit_temperature(
        ask(classifier, aside).logits, np.array([classes[index] for index in aside.indices])
    )
    means, precision = shared_precision(embed(classifier, source), np.array(classes))
    return replace(classifier, temperature=temperature, spread=FeatureSpread(means, precision))


def _check(
    source: VolumeSource,
    labels: Sequence[str],
    sites: Sequence[str],
    rest: Sequence[int],
    plan: TrainingPlan,
) -> None:
    missing = sorted(set(sites) - {labels[index] for index in rest if index < len(labels)})
    if missing or len(labels) != len(source):
        message = (
            f"{plan.name}: {len(labels)} labels for {len(source)} scans, sites without any: "
            f"{missing or 'none'}; every site needs training scans"
        )
        raise UnusableDataError(message)


def _check_size(source: VolumeSource, network: str, plan: TrainingPlan) -> None:
    least = CLASSIFIERS[network].least_voxels
    if min(source.shape) < least:
        message = (
            f"{plan.name}: volumes of {source.shape} voxels are too small for the network "
            f"{network!r}, which needs {least} along each axis; use a finer --network-resolution, "
            "or the network 'lean'"
        )
        raise UnusableDataError(message)
