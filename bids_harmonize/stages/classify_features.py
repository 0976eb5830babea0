"""Stage ``classify`` on tables of features: whether a row of numbers tells the site."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import group_output
from bids_harmonize.stages import FeatureContext, StageResult
from bids_harmonize.stages.classify_tables import ACCURACY_COLUMNS, accuracy_row
from bids_harmonize.stages.feature_controls import (
    covariate_features,
    exchanged_sites,
)
from bids_harmonize.stages.feature_models import fit_logistic, probabilities
from bids_harmonize.stages.feature_study import FeatureStudy
from bids_harmonize.stages.feature_tables import prediction_columns, prediction_table
from bids_harmonize.stages.merged_tables import merge_table
from bids_harmonize.training.splits import Split, check_no_leak, make_folds

_MODEL = "logistic"


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
    rows: list[dict[str, Any]] = []
    asked: list[pd.DataFrame] = []
    notes: list[str] = []
    for study in context.studies:
        own, predictions, said = _classify(study, context)
        rows += own
        asked.append(predictions)
        notes += said
    return StageResult(
        "classify",
        files=_write(context, rows, pd.concat(asked, ignore_index=True)),
        warnings=tuple(_different_people(context.studies)),
        notes=tuple(notes),
    )


def _classify(
    study: FeatureStudy, context: FeatureContext
) -> tuple[list[dict[str, Any]], pd.DataFrame, list[str]]:
    """Rows of the accuracy table, predictions of every row, and what to tell."""
    arm, seed = study.source.arm, context.settings.run.random_seed
    folds = _folds(study, context)
    features = study.features.to_numpy()
    sites = study.rows["site"].to_numpy(dtype=object)
    seen, unseen = _cross_validate(study, features, sites, folds, seed=seed)
    predictions = [unseen]
    if study.travels.any():
        predictions.append(_travelling(study, features, sites, seed=seed))
    quick = context.settings.group.effort == "quick"
    effort, some = ("quick", folds[:1]) if quick and len(folds) > 1 else ("full", folds)
    _, shuffled = _cross_validate(
        study, features, exchanged_sites(study, folds, seed=seed), some, seed=seed
    )
    rows = [
        accuracy_row(seen, model=_MODEL, split="train", effort="full"),
        accuracy_row(unseen, model=_MODEL, split="validation", effort="full"),
        accuracy_row(shuffled, model="shuffled", split="validation", effort=effort),
    ]
    notes = [_accuracy_words(study, rows[1], len(folds))]
    covariates = covariate_features(study)
    if covariates is None:
        notes.append(f"{arm}: the control covariates needs age or sex, and neither varies here")
    else:
        _, found = _cross_validate(study, covariates, sites, folds, seed=seed)
        rows.append(accuracy_row(found, model="covariates", split="validation", effort="full"))
    if study.skipped:
        notes.append(f"{arm}: columns of text are no features: {', '.join(study.skipped)}")
    table = pd.concat(predictions, ignore_index=True).assign(images=arm)
    return [{**row, "images": arm} for row in rows], table, notes


def _folds(study: FeatureStudy, context: FeatureContext) -> tuple[Split, ...]:
    """Folds by participant, by the same rule as for images."""
    site_of = study.site_of_participant()
    smallest = min(list(site_of.values()).count(site) for site in study.trained_sites)
    n_folds = min(context.settings.group.folds, smallest)
    folds = make_folds(site_of, n_folds=n_folds, seed=context.settings.run.random_seed)
    for fold in folds:
        check_no_leak(fold.train, held_out=fold.validation | study.travelling)
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
    seen, unseen = [], []
    people = study.rows["participant_id"]
    for number, fold in enumerate(folds, start=1):
        train = study.trains & people.isin(fold.train).to_numpy()
        test = study.trains & people.isin(fold.validation).to_numpy()
        model = fit_logistic(features[train], sites[train], people[train], seed=seed)
        for chosen, word, into in ((train, "train", seen), (test, str(number), unseen)):
            found = probabilities(model, features[chosen], study.trained_sites)
            into.append(_frame(study, chosen, sites, found).assign(fold=word))
    return pd.concat(seen, ignore_index=True), pd.concat(unseen, ignore_index=True)


def _travelling(
    study: FeatureStudy, features: np.ndarray, sites: np.ndarray, *, seed: int
) -> pd.DataFrame:
    """What a model of everybody eligible says about those who never train."""
    train, chosen = study.trains, study.travels
    people = study.rows["participant_id"]
    model = fit_logistic(features[train], sites[train], people[train], seed=seed)
    found = probabilities(model, features[chosen], study.trained_sites)
    return _frame(study, chosen, sites, found).assign(fold=None)


def _frame(
    study: FeatureStudy, chosen: np.ndarray, sites: np.ndarray, found: np.ndarray
) -> pd.DataFrame:
    frame = study.rows.loc[chosen, ["participant_id", "session_id"]].reset_index(drop=True)
    frame["site"] = sites[chosen]
    return frame.assign(**{f"p_{s}": found[:, i] for i, s in enumerate(study.trained_sites)})


def _write(
    context: FeatureContext, rows: list[dict[str, Any]], predictions: pd.DataFrame
) -> tuple[Path, ...]:
    arms = {study.source.arm: study.source.words for study in context.studies}
    images = {"Description": "what was looked at; preproc are images", "Levels": arms}

    def is_own(old: pd.DataFrame) -> "pd.Series[bool]":
        return old["images"].isin(list(arms))

    accuracy = merge_table(
        group_output(context.output_dir, "group_siteclassification"),
        pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS)),
        {**ACCURACY_COLUMNS, "images": images},
        is_own=is_own,
    )
    table = prediction_table(predictions)
    asked = merge_table(
        group_output(context.output_dir, "group_sitepredictions"),
        table,
        {**prediction_columns(list(table.columns)), "images": images},
        is_own=is_own,
    )
    return accuracy, asked


def _accuracy_words(study: FeatureStudy, row: dict[str, Any], n_folds: int) -> str:
    return (
        f"{study.source.arm}: {study.features.shape[1]} features of {row['n']} participants at "
        f"{len(study.trained_sites)} sites, {n_folds} folds: balanced accuracy "
        f"{row['balanced_accuracy']:.3f} (chance {row['chance']:.3f}), accuracy "
        f"{row['accuracy']:.3f} ({row['accuracy_low']:.3f} to {row['accuracy_high']:.3f})"
    )


def _different_people(studies: Sequence[FeatureStudy]) -> list[str]:
    """A warning where two arms cannot be compared because they hold other people."""
    first, *others = studies
    return [
        f"the tables {first.source.path.name} and {other.source.path.name} do not hold the same "
        "participants and sites, so their accuracies cannot be compared"
        for other in others
        if other.site_of_participant() != first.site_of_participant()
    ]
