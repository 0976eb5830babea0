"""Controls of the site classifier: what can be told from less than the image."""

from typing import Literal

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_harmonize.stages.classify_models import (
    ClassifierTraining,
    prediction_frame,
    prediction_rows,
    select,
    sites_of,
)
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.volumes import TransformedVolumes, VolumeSource

Control = Literal["shuffled", "headmask"]

_HISTOGRAM_BINS = 64
_HISTOGRAM_TOP = 1.5  # rescaled units


def control_predictions(
    training: ClassifierTraining, control: Control, *, n_folds: int
) -> pd.DataFrame:
    """Out-of-fold predictions of a control network.

    Parameters
    ----------
    training
        Scans, folds and settings of the network itself.
    control
        ``shuffled``: sites exchanged between participants, inside each fold so that every fold
        keeps all sites; the column ``site`` holds the exchanged ones. ``headmask``: the head's
        outline instead of the image.
    n_folds
        How many of the folds are computed.

    Returns
    -------
    DataFrame
        Columns as in :func:`unseen_predictions`.
    """
    source: VolumeSource = training.source
    site_of = {scan.key: scan.site for scan in source.scans}
    if control == "headmask":
        masks = training.source
        source = TransformedVolumes(
            masks, lambda index, _: masks.head_mask(index).astype(np.float32)
        )
    else:
        site_of = _exchanged_sites(training)
    parts = []
    for number, fold in enumerate(training.folds[:n_folds], start=1):
        seen, unseen = select(source, fold.train), select(source, fold.validation)
        labels = [site_of[scan.key] for scan in seen.scans]
        classifier = training.train(seen, labels, f"{control}-{number}")
        rows = prediction_rows(classifier, unseen, fold=str(number))
        parts.append(rows.assign(site=[site_of[key] for key in rows["key"]]))
    return pd.concat(parts, ignore_index=True)


def histogram_predictions(training: ClassifierTraining) -> pd.DataFrame:
    """Out-of-fold predictions of a logistic regression on the head's intensity histogram.

    Parameters
    ----------
    training
        Scans and folds.

    Returns
    -------
    DataFrame
        Columns as in :func:`unseen_predictions`.
    """
    parts = []
    for number, fold in enumerate(training.folds, start=1):
        seen = select(training.source, fold.train)
        unseen = select(training.source, fold.validation)
        model = make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
        )
        model.fit(_histograms(seen), sites_of(seen))
        found = model.predict_proba(_histograms(unseen))
        columns = [list(model.classes_).index(site) for site in training.sites]
        parts.append(prediction_frame(unseen, found[:, columns], training.sites, fold=str(number)))
    return pd.concat(parts, ignore_index=True)


def _exchanged_sites(training: ClassifierTraining) -> dict[str, str]:
    """Scan to site after the participants of each fold have exchanged theirs."""
    seed = training.settings.run.random_seed
    site_of_person = {scan.participant_id: scan.site for scan in training.source.scans}
    exchanged: dict[str, str] = {}
    for number, fold in enumerate(training.folds):
        people = sorted(fold.validation)
        order = seeded_generator(seed, "shuffled", str(number)).permutation(len(people))
        exchanged |= {
            person: site_of_person[people[other]]
            for person, other in zip(people, order, strict=True)
        }
    return {scan.key: exchanged[scan.participant_id] for scan in training.source.scans}


def _histograms(source: VolumeSource) -> np.ndarray:
    """Share of the head's voxels in each bin, shape (n_scans, 64)."""
    rows = []
    for index in range(len(source)):
        inside = source.volume(index)[source.head_mask(index)]
        counts, _ = np.histogram(
            inside.clip(0, _HISTOGRAM_TOP), bins=_HISTOGRAM_BINS, range=(0, _HISTOGRAM_TOP)
        )
        rows.append(counts / max(inside.size, 1))
    return np.stack(rows)
