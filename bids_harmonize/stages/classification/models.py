"""The site classifier's folds: trained, kept, and asked about scans they have not seen."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.config import Settings
from bids_harmonize.stages.classification.predictions import (
    FoldModel,
    prediction_frame,
    prediction_rows,
    seen_predictions,
    select,
    sites_of,
    unseen_predictions,
)
from bids_harmonize.stats.calibration import fit_temperature
from bids_harmonize.stats.novelty import upper_threshold
from bids_harmonize.training.classifier import (
    Classifier,
    TrainingPlan,
    ask,
    load_classifier,
    save_classifier,
    train_classifier,
)
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.splits import Split, check_no_leak, make_folds, make_monitor
from bids_harmonize.training.volumes import VolumeSource

__all__ = [
    "ClassifierTraining",
    "FoldModel",
    "cross_validate",
    "fold_folder",
    "load_fold_classifiers",
    "make_study_folds",
    "prediction_frame",
    "prediction_rows",
    "seen_predictions",
    "select",
    "sites_of",
    "stamp_file",
    "unseen_predictions",
]

LOGGER = logging.getLogger(__name__)

# So many participants of every site must be left to train on; with fewer, those that a monitor
# takes away cost more than the early stop and the temperature give.
LEAST_BESIDE_MONITOR = 8
# Of the training scans, each asked of a classifier that has not seen it, so many are not called
# "unseen site".
KNOWN_SHARE = 0.95


def make_study_folds(study: Study, settings: Settings) -> tuple[Split, ...]:
    """Folds by participant over the people who train; as many as the smallest site allows.

    Parameters
    ----------
    study, settings
        Who trains, ``--folds`` and the seed.

    Returns
    -------
    tuple of Split
        Two at least.
    """
    site_of = study.site_of_participant()
    smallest = int(pd.Series(site_of).value_counts().min())
    n_folds = min(settings.group.folds, smallest)
    folds = make_folds(site_of, n_folds=n_folds, seed=settings.run.random_seed)
    for fold in folds:
        check_no_leak(fold.train, held_out=fold.validation | study.travelling | study.held_back)
    return folds


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """All that the trainings of one study share.

    Attributes
    ----------
    source
        Usable scans of the people who train on the network's grid.
    folds
        Cross-validation by participant.
    sites
        The trained sites, in the order of the logits.
    settings, runtime
        Of the run.
    folder
        Where checkpoints and fold models are kept.
    fingerprint
        Hash of the volumes.
    """

    source: VolumeSource
    folds: tuple[Split, ...]
    sites: tuple[str, ...]
    settings: Settings
    runtime: Runtime
    folder: Path
    fingerprint: str

    def train(self, source: VolumeSource, labels: Sequence[str], name: str) -> Classifier:
        """A classifier of these scans; goes on from its checkpoint, a finished one included.

        Where enough participants are left, a fifth of them choose the epoch and the temperature.
        """
        return self._train(source, labels, name, monitor=self._monitor(source, labels, name))

    def has_checkpoint(self, name: str) -> bool:
        """Whether the training of this name may go on from an earlier run, a finished one too."""
        return self.settings.run.resume and self._checkpoint(name).is_file()

    def train_final(self, folds: Sequence[FoldModel]) -> Classifier:
        """A classifier of everybody, calibrated by what the folds said about the unseen.

        It ends after the share of its epochs that was best for the folds (their median).

        Parameters
        ----------
        folds
            The cross-validated classifiers of the same scans.
        """
        shares = [
            fold.classifier.stopping.kept_epoch / fold.classifier.stopping.n_epochs
            for fold in folds
            if fold.classifier.stopping is not None
        ]
        labels = sites_of(self.source)
        final = self._train(self.source, labels, "final", share=float(np.median(shares)))
        unseen = [(select(self.source, fold.held_out), fold.classifier) for fold in folds]
        answers = [ask(classifier, scans) for scans, classifier in unseen]
        true = [self.sites.index(site) for scans, _ in unseen for site in sites_of(scans)]
        logits = np.concatenate([answer.logits for answer in answers])
        scores = np.concatenate([answer.unseen_scores for answer in answers])
        return replace(
            final,
            temperature=fit_temperature(logits, np.array(true)),
            unseen_threshold=upper_threshold(scores, share=KNOWN_SHARE),
        )

    def _train(
        self,
        source: VolumeSource,
        labels: Sequence[str],
        name: str,
        *,
        monitor: Sequence[int] = (),
        share: float = 1.0,
    ) -> Classifier:
        plan = TrainingPlan(
            runtime=self.runtime,
            seed=self.settings.run.random_seed,
            name=name,
            checkpoint_path=self._checkpoint(name),
            resume=self.settings.run.resume,
            fingerprint=self.fingerprint,
            share=share,
        )
        return train_classifier(
            source,
            labels,
            sites=self.sites,
            settings=self.settings.classifier,
            plan=plan,
            monitor=monitor,
        )

    def _checkpoint(self, name: str) -> Path:
        return self.folder / f"{name}.pt"

    def _monitor(self, source: VolumeSource, labels: Sequence[str], name: str) -> list[int]:
        """Positions of the scans that steer the early stop; none where too few would be left."""
        if not self.settings.classifier.early_stop:
            return []
        people = [scan.participant_id for scan in source.scans]
        label_of = dict(zip(people, labels, strict=True))
        monitor = make_monitor(label_of, seed=self.settings.run.random_seed)
        left = Counter(label for person, label in label_of.items() if person not in monitor)
        fewest = min(left.values())
        if fewest < LEAST_BESIDE_MONITOR:
            LOGGER.info(
                "%s: no early stop and no calibration, for beside the participants that they "
                "need a site would have %d to train on, fewer than %d",
                *(name, fewest, LEAST_BESIDE_MONITOR),
            )
            return []
        return [index for index, person in enumerate(people) if person in monitor]


def cross_validate(training: ClassifierTraining) -> tuple[FoldModel, ...]:
    """One classifier a fold, kept in the work directory for the evaluation.

    Parameters
    ----------
    training
        Scans, folds and settings.

    Returns
    -------
    tuple of FoldModel
        Each with the participants it has not seen. Its threshold of the unseen-site score, and
        its temperature where no monitor gave one, come from the other folds: from scans that it
        was trained on, asked where they were unseen.
    """
    models = []
    for old in training.folder.glob("fold-*/"):
        shutil.rmtree(old)
    for number, fold in enumerate(training.folds, start=1):
        seen = select(training.source, fold.train)
        name, start = f"fold-{number}", time.monotonic()
        went_on = training.has_checkpoint(name)
        classifier = training.train(seen, sites_of(seen), name)
        training_s = None if went_on else time.monotonic() - start
        models.append(FoldModel(classifier, fold.validation, training_s))
    models = _calibrated(training, models)
    for number, model in enumerate(models, start=1):
        facts = {"fold": number, "held_out": sorted(model.held_out)}
        save_classifier(training.folder / f"fold-{number}", model.classifier, facts)
    return tuple(models)


def load_fold_classifiers(work_dir: Path, runtime: Runtime) -> tuple[FoldModel, ...]:
    """The cross-validated classifiers of the last run of the stage.

    Parameters
    ----------
    work_dir
        The run's work directory.
    runtime
        Where the networks shall live.

    Returns
    -------
    tuple of FoldModel
        In the order of the folds; empty where the stage has not run.
    """
    models = []
    for path in fold_folder(work_dir).glob("fold-*/model.json"):
        classifier, model = load_classifier(path.parent, runtime)
        held_out = frozenset(model["held_out"])
        models.append((model["fold"], FoldModel(classifier=classifier, held_out=held_out)))
    return tuple(model for _, model in sorted(models, key=lambda pair: pair[0]))


def fold_folder(work_dir: Path) -> Path:
    """Where the stage keeps checkpoints, fold models and its stamp."""
    return work_dir / "classify"


def stamp_file(work_dir: Path) -> Path:
    """What the stage's last result was made of; without it nothing is reused."""
    return fold_folder(work_dir) / "stamp.json"


def _calibrated(training: ClassifierTraining, models: Sequence[FoldModel]) -> list[FoldModel]:
    """The folds' classifiers, each with threshold and temperature from the other folds."""
    unseen = [select(training.source, model.held_out) for model in models]
    answers = [ask(model.classifier, scans) for model, scans in zip(models, unseen, strict=True)]
    columns = [np.array([training.sites.index(site) for site in sites_of(s)]) for s in unseen]
    marked = []
    for place, model in enumerate(models):
        others = [other for other in range(len(models)) if other != place]
        scores = np.concatenate([answers[other].unseen_scores for other in others])
        classifier = replace(
            model.classifier, unseen_threshold=upper_threshold(scores, share=KNOWN_SHARE)
        )
        if classifier.stopping is None or classifier.stopping.n_monitor == 0:
            logits = np.concatenate([answers[other].logits for other in others])
            true = np.concatenate([columns[other] for other in others])
            classifier = replace(classifier, temperature=fit_temperature(logits, true))
        marked.append(replace(model, classifier=classifier))
    return marked
