"""The site classifier's folds: trained, kept, and asked about scans they have not seen."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.config import Settings
from bids_harmonize.training.classifier import (
    Classifier,
    TrainingPlan,
    load_classifier,
    predict,
    save_classifier,
    train_classifier,
)
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.splits import Split, check_no_leak, make_folds
from bids_harmonize.training.volumes import SelectedVolumes, VolumeSource


@dataclass(frozen=True)
class FoldModel:
    """A classifier and the participants that it has not seen."""

    classifier: Classifier
    held_out: frozenset[str]


def make_study_folds(study: Study, settings: Settings) -> tuple[Split, ...]:
    """Folds by participant over everybody eligible; as many as the smallest site allows.

    Parameters
    ----------
    study, settings
        Who is eligible, ``--folds`` and the seed.

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
        check_no_leak(fold.train, held_out=fold.validation | study.travelling)
    return folds


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """All that the trainings of one study share.

    Attributes
    ----------
    source
        Usable scans of eligible participants on the network's grid.
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
        """A classifier of these scans; goes on from its checkpoint, a finished one included."""
        plan = TrainingPlan(
            runtime=self.runtime,
            seed=self.settings.run.random_seed,
            name=name,
            checkpoint_path=self.folder / f"{name}.pt",
            resume=self.settings.run.resume,
            fingerprint=self.fingerprint,
        )
        return train_classifier(
            source, labels, sites=self.sites, settings=self.settings.classifier, plan=plan
        )


def cross_validate(training: ClassifierTraining) -> tuple[FoldModel, ...]:
    """One classifier a fold, kept in the work directory for the evaluation.

    Parameters
    ----------
    training
        Scans, folds and settings.

    Returns
    -------
    tuple of FoldModel
        Each with the participants it has not seen.
    """
    models = []
    for old in training.folder.glob("fold-*/"):
        shutil.rmtree(old)
    for number, fold in enumerate(training.folds, start=1):
        seen = select(training.source, fold.train)
        classifier = training.train(seen, sites_of(seen), f"fold-{number}")
        facts = {"fold": number, "held_out": sorted(fold.validation)}
        save_classifier(training.folder / f"fold-{number}", classifier, facts)
        models.append(FoldModel(classifier=classifier, held_out=fold.validation))
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


def unseen_predictions(source: VolumeSource, folds: Sequence[FoldModel]) -> pd.DataFrame:
    """What each scan's out-of-fold classifier says.

    Parameters
    ----------
    source
        Scans of eligible participants.
    folds
        The cross-validated classifiers.

    Returns
    -------
    DataFrame
        One row a scan: key, participant_id, site, fold (from 1), ``p_<site>``.
    """
    parts = []
    for number, fold in enumerate(folds, start=1):
        unseen = select(source, fold.held_out)
        parts.append(prediction_rows(fold.classifier, unseen, fold=str(number)))
    return pd.concat(parts, ignore_index=True)


def seen_predictions(source: VolumeSource, folds: Sequence[FoldModel]) -> pd.DataFrame:
    """What the classifiers say about the scans they were trained on; columns as above."""
    parts = []
    for fold in folds:
        people = frozenset(scan.participant_id for scan in source.scans) - fold.held_out
        parts.append(prediction_rows(fold.classifier, select(source, people), fold="train"))
    return pd.concat(parts, ignore_index=True)


def prediction_rows(classifier: Classifier, source: VolumeSource, *, fold: str) -> pd.DataFrame:
    """A classifier's predictions as a table: key, participant_id, site, fold, ``p_<site>``."""
    return prediction_frame(source, predict(classifier, source), classifier.sites, fold=fold)


def select(source: VolumeSource, participants: frozenset[str]) -> SelectedVolumes:
    """The scans of these participants."""
    chosen = [i for i, scan in enumerate(source.scans) if scan.participant_id in participants]
    return SelectedVolumes(source, chosen)


def sites_of(source: VolumeSource) -> list[str]:
    """Site of each scan."""
    return [scan.site for scan in source.scans]


def prediction_frame(
    source: VolumeSource, probabilities: np.ndarray, sites: Sequence[str], *, fold: str
) -> pd.DataFrame:
    """Probabilities of shape (n_scans, n_sites) as a table with one row a scan."""
    frame = pd.DataFrame(
        {
            "key": [scan.key for scan in source.scans],
            "participant_id": [scan.participant_id for scan in source.scans],
            "site": sites_of(source),
            "fold": fold,
        }
    )
    for column, site in enumerate(sites):
        frame[f"p_{site}"] = probabilities[:, column]
    return frame
