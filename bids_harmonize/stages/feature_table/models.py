"""Logistic regression that names the site from a row of features.

How far the weights are shrunk is chosen inside each training fold, from a fixed grid, by the log
loss in three inner folds by participant in which every site counts the same. The test participants
choose nothing.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from bids_harmonize.bids.roles import stratum_of_participant
from bids_harmonize.training.splits import make_folds

STRENGTHS: Final = (0.01, 0.1, 1.0, 10.0)  # scikit-learn's C: the lower, the smaller the weights
N_INNER_FOLDS: Final = 3
DEFAULT_STRENGTH: Final = 1.0
_MAX_ITERATIONS = 2000


def fit_logistic(
    features: np.ndarray, labels: Sequence[str], people: Sequence[str], *, seed: int
) -> Pipeline:
    """A fitted logistic regression on standardised features, every site weighing the same.

    Parameters
    ----------
    features
        Float64, shape (n_rows, n_features); NaN takes the column's median of these rows.
    labels, people
        Site and participant of each row.
    seed
        The run's seed; deals the inner folds.

    Returns
    -------
    Pipeline
        With ``predict_proba`` and ``classes_``. Where a site has too few participants for two
        inner folds, nothing is chosen and C is 1.
    """
    strength = choose_strength(features, labels, people, seed=seed)
    model: Pipeline = _pipeline(strength).fit(features, labels)
    return model


def choose_strength(
    features: np.ndarray, labels: Sequence[str], people: Sequence[str], *, seed: int
) -> float:
    """The C of :data:`STRENGTHS` with the lowest balanced log loss in the inner folds.

    Parameters
    ----------
    features, labels, people, seed
        As in :func:`fit_logistic`.

    Returns
    -------
    float
        Ties go to the smaller one; 1 where no two inner folds are possible.
    """
    sites, names = np.asarray(labels, dtype=object), np.asarray(people, dtype=object)
    stratum = stratum_of_participant(zip(people, labels, strict=True), sorted(set(labels)))
    counts = [list(stratum.values()).count(site) for site in sorted(set(labels))]
    n_folds = min(N_INNER_FOLDS, *counts)
    if n_folds < 2:
        return DEFAULT_STRENGTH
    folds = make_folds(stratum, n_folds=n_folds, seed=seed)
    held_out = [np.isin(names, sorted(fold.validation)) for fold in folds]
    losses = {
        strength: np.mean([_loss(strength, features, sites, unseen) for unseen in held_out])
        for strength in STRENGTHS
    }
    return min(losses, key=lambda strength: (losses[strength], strength))


def probabilities(model: Pipeline, features: np.ndarray, sites: Sequence[str]) -> np.ndarray:
    """Probability of each of the sites, shape (n_rows, n_sites); 0 for one not trained on."""
    found = model.predict_proba(features)
    known = list(model.classes_)
    columns = [
        found[:, known.index(site)] if site in known else np.zeros(len(found)) for site in sites
    ]
    return np.stack(columns, axis=1)


def _loss(strength: float, features: np.ndarray, sites: np.ndarray, unseen: np.ndarray) -> float:
    """Balanced log loss of the unseen rows after training on the others."""
    model = _pipeline(strength).fit(features[~unseen], sites[~unseen])
    known = np.isin(sites[unseen], model.classes_)
    truth = sites[unseen][known]
    return float(
        log_loss(
            truth,
            model.predict_proba(features[unseen][known]),
            labels=model.classes_,
            sample_weight=compute_sample_weight("balanced", truth),
        )
    )


def _pipeline(strength: float) -> Pipeline:
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=strength, class_weight="balanced", max_iter=_MAX_ITERATIONS),
    )
