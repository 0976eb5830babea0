"""What a site classifier says about scans, as tables with one row a scan."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_harmonize.training.classifier import Classifier, ask
from bids_harmonize.training.volumes import SelectedVolumes, VolumeSource

_PROBABILITY = "p_"


@dataclass(frozen=True)
class FoldModel:
    """A classifier and the participants that it has not seen.

    ``training_s`` is how long its whole training took, s; ``None`` where it is not known, for
    instance because the training went on from a checkpoint.
    """

    classifier: Classifier
    held_out: frozenset[str]
    training_s: float | None = None


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
    """A classifier's predictions as a table.

    Parameters
    ----------
    classifier
        The trained network.
    source
        The scans.
    fold
        What the column ``fold`` shall say.

    Returns
    -------
    DataFrame
        key, participant_id, site, fold, ``p_<site>``, unseen_score (NA from models of earlier
        versions), unseen_site (whether the score is above the classifier's threshold; NA without
        one).
    """
    answers = ask(classifier, source)
    frame = prediction_frame(source, answers.probabilities, classifier.sites, fold=fold)
    frame["unseen_score"] = answers.unseen_scores
    known = ~np.isnan(answers.unseen_scores) & (classifier.unseen_threshold is not None)
    above = answers.unseen_scores > (classifier.unseen_threshold or 0.0)
    frame["unseen_site"] = pd.Series(above, dtype="boolean").where(known, pd.NA)
    return frame


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


def person_probabilities(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row a person, site and fold: probabilities averaged over the scans, and the site named.

    Parameters
    ----------
    predictions
        One row a scan: participant_id, site, fold, ``p_<site>``.

    Returns
    -------
    DataFrame
        participant_id, site, fold, predicted, ``p_<site>``.
    """
    columns = [name for name in predictions.columns if name.startswith(_PROBABILITY)]
    keys = ["participant_id", "site", "fold"]
    people = predictions.groupby(keys, as_index=False)[columns].mean()
    best = people[columns].to_numpy().argmax(axis=1)
    people["predicted"] = [columns[index].removeprefix(_PROBABILITY) for index in best]
    return people[[*keys, "predicted", *columns]]
