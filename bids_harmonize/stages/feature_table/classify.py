"""Stage ``classify`` on tables of features: whether a row of numbers tells the site."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import group_output
from bids_harmonize.stages import FeatureContext, StageResult
from bids_harmonize.stages.classification.columns import (
    ACCURACY_COLUMNS,
    CALIBRATION_COLUMNS,
    RECALL_COLUMNS,
    Columns,
)
from bids_harmonize.stages.classification.merged_tables import merge_table
from bids_harmonize.stages.classification.tables import accuracy_row, calibration_rows, recall_rows
from bids_harmonize.stages.feature_table.controls import (
    covariate_features,
    exchanged_sites,
)
from bids_harmonize.stages.feature_table.models import fit_logistic, probabilities
from bids_harmonize.stages.feature_table.study import FeatureStudy
from bids_harmonize.stages.feature_table.tables import prediction_columns, prediction_table
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.splits import Split, check_no_leak, make_folds

_MODEL = "logistic"


@dataclass(frozen=True)
class _Results:
    """Rows of the four tables, and sentences to tell."""

    accuracy: list[dict[str, Any]] = field(default_factory=list)
    recall: list[dict[str, Any]] = field(default_factory=list)
    calibration: list[dict[str, Any]] = field(default_factory=list)
    predictions: list[pd.DataFrame] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run(context: FeatureContext) -> StageResult:
    """Cross-validate a logistic regression that names the site from each table.

    Parameters
    ----------
    context
        The tables as studies, the settings and the output directory.

    Returns
    -------
    StageResult
        The tables of the stage; a note says the accuracy of each arm.
    """
    results = _Results()
    for study in context.studies:
        _classify(study, context, results)
    return StageResult(
        "classify",
        files=_write(context, results),
        warnings=(*_different_people(context.studies), *_fitted_on_all(context.studies)),
        notes=tuple(results.notes),
    )


def _classify(study: FeatureStudy, context: FeatureContext, results: _Results) -> None:
    """Add what is found on one table to the results."""
    arm, seed = study.source.arm, context.settings.run.random_seed
    folds = _folds(study, context)
    features = study.features.to_numpy()
    sites = study.rows["site"].to_numpy(dtype=object)
    seen, unseen = _cross_validate(study, features, sites, folds, seed=seed)
    own = [accuracy_row(seen, model=_MODEL, split="train", effort="full")]
    found = {_MODEL: (unseen, "full")}
    quick = context.settings.group.effort == "quick" and len(folds) > 1
    exchanged = exchanged_sites(study, folds, seed=seed)
    _, shuffled = _cross_validate(
        study, features, exchanged, folds[:1] if quick else folds, seed=seed
    )
    found["shuffled"] = shuffled, "quick" if quick else "full"
    covariates = covariate_features(study)
    if covariates is None:
        reason = "neither age nor sex varies among the participants"
        results.notes.append(f"{arm}: control covariates was not run: {reason}")
    else:
        _, told = _cross_validate(study, covariates, sites, folds, seed=seed)
        found["covariates"] = told, "full"
    recalls = []
    for model, (predictions, effort) in found.items():
        rng = seeded_generator(seed, "permutations", arm, model)
        own.append(
            accuracy_row(predictions, model=model, split="validation", effort=effort, rng=rng)
        )
        recalls += recall_rows(predictions, model=model)
    images = {"images": arm}
    results.accuracy.extend({**row, **images} for row in own)
    results.recall.extend({**row, **images} for row in recalls)
    bins = calibration_rows(unseen, model=_MODEL)
    results.calibration.extend({**row, **images} for row in bins)
    results.predictions.append(unseen.assign(**images))
    if study.is_asked.any():
        asked = _asked(study, features, sites, seed=seed)
        results.predictions.append(asked.assign(**images))
    results.notes.extend(_words(study, own[1:], len(folds)))


def _folds(study: FeatureStudy, context: FeatureContext) -> tuple[Split, ...]:
    """Folds by participant, by the same rule as for images."""
    site_of = study.site_of_participant()
    smallest = min(list(site_of.values()).count(site) for site in study.trained_sites)
    n_folds = min(context.settings.group.folds, smallest)
    folds = make_folds(site_of, n_folds=n_folds, seed=context.settings.run.random_seed)
    for fold in folds:
        check_no_leak(fold.train, held_out=fold.validation | study.travelling | study.held_back)
    return folds


def _cross_validate(
    study: FeatureStudy,
    features: np.ndarray,
    sites: np.ndarray,
    folds: Sequence[Split],
    *,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of the rows that each fold's model has seen, and of those it has not."""
    seen: list[pd.DataFrame] = []
    unseen: list[pd.DataFrame] = []
    people = study.rows["participant_id"]
    for number, fold in enumerate(folds, start=1):
        train = study.trains & people.isin(fold.train).to_numpy()
        test = study.trains & people.isin(fold.validation).to_numpy()
        model = fit_logistic(features[train], list(sites[train]), list(people[train]), seed=seed)
        for chosen, word, into in ((train, "train", seen), (test, str(number), unseen)):
            found = probabilities(model, features[chosen], study.trained_sites)
            into.append(_frame(study, chosen, sites, found).assign(fold=word))
    return pd.concat(seen, ignore_index=True), pd.concat(unseen, ignore_index=True)


def _asked(
    study: FeatureStudy, features: np.ndarray, sites: np.ndarray, *, seed: int
) -> pd.DataFrame:
    """What a model of all who train says about those who never do."""
    train, chosen = study.trains, study.is_asked
    people = study.rows["participant_id"]
    model = fit_logistic(features[train], list(sites[train]), list(people[train]), seed=seed)
    found = probabilities(model, features[chosen], study.trained_sites)
    return _frame(study, chosen, sites, found).assign(fold=None)


def _frame(
    study: FeatureStudy, chosen: np.ndarray, sites: np.ndarray, found: np.ndarray
) -> pd.DataFrame:
    frame = study.rows.loc[chosen, ["participant_id", "session_id"]].reset_index(drop=True)
    frame["site"] = sites[chosen]
    return frame.assign(**{f"p_{s}": found[:, i] for i, s in enumerate(study.trained_sites)})


def _write(context: FeatureContext, results: _Results) -> tuple[Path, ...]:
    arms = {study.source.arm: study.source.words for study in context.studies}
    images = {"Description": "what was looked at; preproc are images", "Levels": arms}
    asked = prediction_table(pd.concat(results.predictions, ignore_index=True))
    tables: dict[str, tuple[pd.DataFrame, Columns]] = {
        "group_siteclassification": (pd.DataFrame(results.accuracy), ACCURACY_COLUMNS),
        "group_siterecall": (pd.DataFrame(results.recall), RECALL_COLUMNS),
        "group_sitecalibration": (pd.DataFrame(results.calibration), CALIBRATION_COLUMNS),
        "group_sitepredictions": (asked, prediction_columns(list(asked.columns))),
    }
    return tuple(
        merge_table(
            group_output(context.output_dir, name),
            frame,
            {**columns, "images": images},
            is_own=lambda old: old["images"].isin(list(arms)),
        )
        for name, (frame, columns) in tables.items()
    )


def _words(study: FeatureStudy, rows: Sequence[dict[str, Any]], n_folds: int) -> list[str]:
    arm, (own, *controls) = study.source.arm, rows
    beside = ", ".join(f"{row['model']} {row['balanced_accuracy']:.3f}" for row in controls)
    words = [
        *([f"{arm}: {study.fit_words}"] if study.held_back else []),
        f"{arm}: {study.features.shape[1]} features of {own['n']} participants at "
        f"{len(study.trained_sites)} sites, {n_folds} folds: balanced accuracy "
        f"{own['balanced_accuracy']:.3f} ({own['balanced_low']:.3f} to "
        f"{own['balanced_high']:.3f}; chance {own['chance']:.3f}, p {own['p_permutation']:.3f}); "
        f"controls: {beside}",
    ]
    if study.skipped:
        words.append(f"{arm}: columns of text are no features: {', '.join(study.skipped)}")
    return words


def _fitted_on_all(studies: Sequence[FeatureStudy]) -> list[str]:
    return [
        f"{study.source.arm}: {study.fitted_on_everybody}"
        for study in studies
        if study.fitted_on_everybody
    ]


def _different_people(studies: Sequence[FeatureStudy]) -> list[str]:
    """A warning where two arms cannot be compared because they hold other people."""
    first, *others = studies
    return [
        f"the tables {first.source.path.name} and {other.source.path.name} do not hold the same "
        "participants and sites, so their accuracies cannot be compared"
        for other in others
        if other.site_of_participant() != first.site_of_participant()
    ]
