"""Controls without a network: what age and sex, the protocol or the histogram tell of the site.

Choice: a random forest for the metadata. A protocol is a point, not a direction: a site is one
combination of voxel size, matrix and type, and trees cut such points out without any scale.
Rejected: logistic regression on them, which a protocol in the middle of the others escapes. Age
and sex, and the histogram, get logistic regression, as in the literature.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bids_harmonize.bids.scans import read_scan_rows
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import MISSING
from bids_harmonize.imaging.intensity import N_BINS, histogram_shares
from bids_harmonize.stages.classification.models import (
    ClassifierTraining,
    prediction_frame,
    select,
)
from bids_harmonize.tables.features import covariate, sex_words
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.volumes import VolumeSource

Method = Literal["logistic", "forest"]

_N_TREES = 300
# Everything else in scans.tsv describes the image itself, which the network sees anyway.
_METADATA_NUMBERS = ("native_i_mm", "native_j_mm", "native_k_mm", "head_outside_grid")
_METADATA_WORDS = ("native_orientation", "native_datatype")
_MATRIX = ("native_i_voxels", "native_j_voxels", "native_k_voxels")


def participant_covariates(study: Study) -> pd.DataFrame:
    """Age and sex of everybody, as far as ``participants.tsv`` has them.

    Parameters
    ----------
    study
        Whose participants.

    Returns
    -------
    DataFrame
        Index ``participant_id``; ``age`` (float, NaN where unknown) and ``sex`` (``f``, ``m`` or
        another word, ``None`` where unknown); a column that nobody has a value in is absent.
    """
    people = study.participants
    age = pd.to_numeric(covariate(people, "age"), errors="coerce").astype(float)
    found = pd.DataFrame({"age": age, "sex": sex_words(covariate(people, "sex"))})
    return found.dropna(axis="columns", how="all")


def scan_metadata(study: Study, stems: Sequence[str]) -> pd.DataFrame:
    """What of a scan's protocol can reach a network on the study grid; never a scanner's name.

    Parameters
    ----------
    study
        Whose ``scans.tsv`` tables are read.
    stems
        The scans, in the order of the rows.

    Returns
    -------
    DataFrame
        Index stem; voxel sizes (mm), matrix, share of the head off the grid (floats, NaN where
        unknown), orientation and datatype (words); columns without any value are absent.
    """
    cells = {row.stem: row.cells for row in read_scan_rows(study.output_dir)}
    rows = []
    for stem in stems:
        own = cells.get(stem, {})
        shape = (own.get("native_shape") or "").replace("x", " ").split()
        matrix = dict(zip(_MATRIX, shape, strict=True)) if len(shape) == len(_MATRIX) else {}
        names = (*_METADATA_NUMBERS, *_METADATA_WORDS)
        rows.append({**{name: own.get(name) for name in names}, **matrix})
    frame = pd.DataFrame(rows, index=pd.Index(stems, name="stem"), dtype=object)
    for name in (*_METADATA_NUMBERS, *_MATRIX):
        if name in frame.columns:
            frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
    return frame.dropna(axis="columns", how="all")


def head_histograms(source: VolumeSource) -> pd.DataFrame:
    """Share of the head's voxels in each bin of the rescaled intensity.

    Parameters
    ----------
    source
        The scans.

    Returns
    -------
    DataFrame
        Index scan, 64 columns that sum to 1.
    """
    rows = []
    for index in range(len(source)):
        inside = source.volume(index)[source.head_mask(index)]
        rows.append(histogram_shares(inside))
    columns = [f"bin_{number}" for number in range(N_BINS)]
    return pd.DataFrame(rows, index=[scan.key for scan in source.scans], columns=columns)


def shortcut_predictions(
    training: ClassifierTraining, features: pd.DataFrame, *, method: Method, name: str
) -> pd.DataFrame:
    """Out-of-fold predictions of the site from a table.

    Parameters
    ----------
    training
        Scans and folds.
    features
        Index scan; numbers (missing: the median of the training fold, and a column that says so)
        and words (missing is a word of its own).
    method
        ``logistic``: logistic regression; ``forest``: random forest.
    name
        Of the control; part of the forest's seed.

    Returns
    -------
    DataFrame
        Columns as in :func:`unseen_predictions`.
    """
    parts = []
    for number, fold in enumerate(training.folds, start=1):
        seen, unseen = (
            select(training.source, people) for people in (fold.train, fold.validation)
        )
        rng = seeded_generator(training.settings.run.random_seed, "control", name, str(number))
        model = make_pipeline(_columns(features), _estimator(method, rng))
        rows = [_rows(features, source) for source in (seen, unseen)]
        model.fit(rows[0], [scan.site for scan in seen.scans])
        found = model.predict_proba(rows[1])
        columns = [list(model.classes_).index(site) for site in training.sites]
        parts.append(prediction_frame(unseen, found[:, columns], training.sites, fold=str(number)))
    return pd.concat(parts, ignore_index=True)


def _columns(features: pd.DataFrame) -> ColumnTransformer:
    """What turns the table into numbers; fitted on the training fold alone."""
    numbers = [name for name in features.columns if features[name].dtype == float]
    words = [name for name in features.columns if name not in numbers]
    # A column that is empty in the training fold alone becomes 0, so that it does no harm.
    imputer = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(imputer, StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ]
    )


def _estimator(method: Method, rng: np.random.Generator) -> BaseEstimator:
    if method == "logistic":
        return LogisticRegression(class_weight="balanced", max_iter=1000)
    return RandomForestClassifier(
        n_estimators=_N_TREES,
        class_weight="balanced",
        random_state=int(rng.integers(2**31)),
        n_jobs=1,
    )


def _rows(features: pd.DataFrame, source: VolumeSource) -> pd.DataFrame:
    frame = features.loc[[scan.key for scan in source.scans]]
    words = [name for name in frame.columns if frame[name].dtype != float]
    filled = frame[words].astype(object)
    return frame.assign(**filled.where(filled.notna(), MISSING))
