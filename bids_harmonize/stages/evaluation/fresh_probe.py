"""Site classifiers trained anew on harmonized images, cross-validated inside each half.

The converged ones are trained several times as long, so that a short training is no excuse.
Rejected: cross-validating over both halves at once, because a scan of one half was harmonized by a
model fitted on the other, so training scans would have shaped the test scans.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd

from bids_harmonize.config import ClassifierSettings, settings_hash
from bids_harmonize.metrics.siteness import balanced_accuracy
from bids_harmonize.stages.classification.models import prediction_rows, select, sites_of
from bids_harmonize.stages.evaluation.probes import person_predictions
from bids_harmonize.stages.kept_answers import KeptAnswers, images_hash
from bids_harmonize.stages.trainings import Trainers, Training
from bids_harmonize.training.classifier import TrainingPlan, train_classifier
from bids_harmonize.training.classifier_fit import batches_and_epochs
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.splits import Split, check_no_leak, make_folds
from bids_harmonize.training.volumes import SelectedVolumes, VolumeSource

CONVERGED_LENGTH = 4
"""How many times as long as a reseeded probe a converged one is trained."""

ALL_NAMED = 0.99
"""Mean balanced accuracy of the reseeded probes from which no converged one is trained: what a
short training finds needs no long one."""

_TRAIN_ACCURACY = "train_accuracy"


@dataclass(frozen=True)
class ProbeTraining:
    """How fresh probes are trained; ``length`` times as long as the site classifier.

    What they say is kept under a name that starts with ``name``.
    """

    settings: ClassifierSettings
    n_folds: int
    seed: int
    name: str
    length: int = 1

    def settings_for(self, sites: Sequence[str]) -> ClassifierSettings:
        """Settings of a probe whose training scans are of these sites."""
        _, n_epochs = batches_and_epochs(self.settings, sites)
        return replace(self.settings, n_epochs=self.length * n_epochs)


@dataclass(frozen=True, eq=False)
class FreshProbe:
    """A site classifier to be trained anew, once a fold.

    Attributes
    ----------
    images
        Cross-fitted images: each half was harmonized by a model that has not seen it.
    halves
        The participants of each half, or of everybody; who has no scan here is left out.
    training
        Settings, folds and seed.
    """

    images: VolumeSource
    halves: tuple[frozenset[str], ...]
    training: ProbeTraining


@dataclass(frozen=True, eq=False)
class FreshAnswers:
    """What a freshly trained site classifier says.

    Attributes
    ----------
    predictions
        One row a scan that its classifier has not seen: key, participant_id, site, fold,
        ``p_<site>``.
    train_accuracy
        Balanced accuracy on the scans that they were trained on, final weights, no augmentation,
        mean over folds, 0..1.
    """

    predictions: pd.DataFrame
    train_accuracy: float


def fresh_answers(
    probes: Sequence[FreshProbe], *, trainers: Trainers, kept: KeptAnswers
) -> list[FreshAnswers]:
    """Train site classifiers anew, cross-validated inside each half.

    Parameters
    ----------
    probes
        What is trained, on what; all folds of all of them at once.
    trainers
        Train.
    kept
        Where answers are kept.

    Returns
    -------
    list of FreshAnswers
        About everybody, in the order of ``probes``.
    """
    shown = {id(probe.images): probe.images for probe in probes}
    hashes = {key: images_hash(images) for key, images in shown.items()}
    precision = trainers.runtime.precision
    folds = [_folds(probe, hashes[id(probe.images)], precision) for probe in probes]
    answers = iter(trainers.ask(kept, [fold for own in folds for fold in own]))
    found = []
    for own in folds:
        parts = [next(answers) for _ in own]
        known = [part[_TRAIN_ACCURACY].iloc[0] for part in parts]
        predictions = pd.concat(parts, ignore_index=True).drop(columns=_TRAIN_ACCURACY)
        found.append(FreshAnswers(predictions, float(np.mean(known))))
    return found


def _folds(probe: FreshProbe, shown: str, precision: str) -> list[Training]:
    images, training = probe.images, probe.training
    site_of = {scan.participant_id: scan.site for scan in images.scans}
    return [
        Training(
            f"{training.name}_seed-{training.seed}_fold-{fold}",
            settings_hash(
                shown,
                [sorted(split.train), sorted(split.validation)],
                training.settings,
                [training.seed, training.length, precision],
            ),
            partial(_fold_answers, images, fold, split, training),
        )
        for fold, split in folds_in_halves(
            site_of, probe.halves, n_folds=training.n_folds, seed=training.seed
        )
    ]


def _fold_answers(
    images: VolumeSource, fold: str, split: Split, training: ProbeTraining, runtime: Runtime
) -> pd.DataFrame:
    """Predictions of a fold, and in every row how many of its own scans its network names."""
    seen, unseen = select(images, split.train), select(images, split.validation)
    labels = sites_of(seen)
    classifier = train_classifier(
        seen,
        labels,
        sites=sorted({scan.site for scan in images.scans}),
        settings=training.settings_for(labels),
        plan=TrainingPlan(runtime=runtime, seed=training.seed, name=f"probe-half{fold}"),
    )
    own = person_predictions(prediction_rows(classifier, seen, fold=fold))
    known = balanced_accuracy(list(own["site"]), list(own["predicted"]))
    return prediction_rows(classifier, unseen, fold=fold).assign(**{_TRAIN_ACCURACY: known})


def without_site(images: VolumeSource, site: str) -> SelectedVolumes:
    """The scans of all other sites."""
    return SelectedVolumes(images, [n for n, scan in enumerate(images.scans) if scan.site != site])


def folds_in_halves(
    site_of: Mapping[str, str], halves: Sequence[frozenset[str]], *, n_folds: int, seed: int
) -> Iterator[tuple[str, Split]]:
    """Cross-validation inside each half, for every kind of probe.

    Parameters
    ----------
    site_of
        Participant to site; others than these are left out of the halves.
    halves
        The participants of each half.
    n_folds
        Folds a half, at most; never more than a site has people there.
    seed
        Of the folds.

    Yields
    ------
    tuple
        Name of the fold (half and number), and who trains and who is asked.

    Raises
    ------
    LeakError
        If somebody is on both sides.
    """
    for number, half in enumerate(halves, start=1):
        own = {person: site for person, site in site_of.items() if person in half}
        smallest = int(min(pd.Series(own).value_counts()))
        folds = make_folds(own, n_folds=min(n_folds, smallest), seed=seed)
        for place, split in enumerate(folds):
            check_no_leak(split.train, held_out=split.validation)
            yield f"{number}-{place}", split
