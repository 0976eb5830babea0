"""Rows and tables of the stage ``classify``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.study import Study
from bids_harmonize.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    reliability_bins,
)
from bids_harmonize.metrics.siteness import accuracy, balanced_accuracy
from bids_harmonize.stages.classification.columns import (
    UNSEEN_COLUMNS,
    Columns,
    prediction_columns,
)
from bids_harmonize.stages.classification.merged_tables import IMAGES, merge_table
from bids_harmonize.stages.classification.predictions import person_probabilities
from bids_harmonize.stats import mean_proportion_interval, permutation_p_value, wilson_interval

_N_PERMUTATIONS = 1000


def accuracy_row(
    predictions: pd.DataFrame,
    *,
    model: str,
    split: str,
    effort: str,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """One row of group_siteclassification.tsv.

    Parameters
    ----------
    predictions
        One row a scan: participant_id, site, fold, ``p_<site>``.
    model, split, effort
        Words of the table's columns.
    rng
        Source of the permutations; without it there is no p-value.

    Returns
    -------
    dict
        Participants, accuracies with intervals, chance, p-value, calibration error, Brier score.
    """
    people = person_probabilities(predictions)
    true, predicted = list(people["site"]), list(people["predicted"])
    sites, probabilities = _probabilities(people)
    low, high = wilson_interval(int((people["site"] == people["predicted"]).sum()), len(people))
    balanced_low, balanced_high = mean_proportion_interval(list(_right_of_site(people).values()))
    p = float("nan")
    if rng is not None:
        folds = list(people["fold"])
        p = permutation_p_value(
            true, predicted, folds, balanced_accuracy, rng=rng, n=_N_PERMUTATIONS
        )
    return {
        "model": model,
        "images": IMAGES,
        "split": split,
        "n": len(true),
        "accuracy": accuracy(true, predicted),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": balanced_accuracy(true, predicted),
        "balanced_low": balanced_low,
        "balanced_high": balanced_high,
        "chance": 1 / len(sites),
        "p_permutation": p,
        "calibration_error": expected_calibration_error(true, probabilities, sites),
        "brier": brier_score(true, probabilities, sites),
        "effort": effort,
    }


def recall_rows(
    predictions: pd.DataFrame, *, model: str, split: str = "validation"
) -> list[dict[str, Any]]:
    """Rows of group_siterecall.tsv, one a site.

    Parameters
    ----------
    predictions
        One row a scan as in :func:`accuracy_row`; ``unseen_site`` where the model tells it.
    model, split
        Words of the table's columns.

    Returns
    -------
    list of dict
        Participants, share named rightly with interval, and participants with a scan that was
        called unseen (NaN where the model tells nothing of that).
    """
    unseen = _unseen_of_site(predictions)
    rows = []
    for site, (n_right, n) in _right_of_site(person_probabilities(predictions)).items():
        low, high = wilson_interval(n_right, n)
        numbers = {"site": site, "n": n, "recall": n_right / n, "low": low, "high": high}
        words = {"model": model, "images": IMAGES, "split": split}
        rows.append({**words, **numbers, "n_unseen": unseen.get(site, float("nan"))})
    return rows


def calibration_rows(predictions: pd.DataFrame, *, model: str) -> list[dict[str, Any]]:
    """Rows of group_sitecalibration.tsv, one a bin of the greatest probability.

    Parameters
    ----------
    predictions
        Out of fold; one row a scan as in :func:`accuracy_row`.
    model
        Word of the table's column.

    Returns
    -------
    list of dict
        Participants, confidence and share named rightly.
    """
    people = person_probabilities(predictions)
    sites, probabilities = _probabilities(people)
    bins = reliability_bins(list(people["site"]), probabilities, sites)
    return [{"model": model, "images": IMAGES, **row._asdict()} for row in bins]


def write_rows(
    output_dir: Path, name: str, rows: Sequence[Mapping[str, Any]], columns: Columns
) -> Path:
    """Write a table of the study; rows of other images (harmonized, features) stay.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    name
        Such as ``group_siterecall``.
    rows
        May be empty: then the table has its header only.
    columns
        Column to its description.

    Returns
    -------
    Path
        The table.
    """
    frame = pd.DataFrame(rows, columns=list(columns))
    return merge_table(group_output(output_dir, name), frame, columns, is_own=_is_own)


def write_predictions(
    study: Study, predictions: pd.DataFrame, shares: Mapping[str, tuple[float, float]]
) -> Path:
    """Write group_sitepredictions.tsv; rows of other images stay.

    Parameters
    ----------
    study
        Files and sites of the scans.
    predictions
        One row a scan: key, participant_id, site, fold (NA: final model), ``p_<site>``, and
        unseen_score and unseen_site where the network gives them.
    shares
        Scan to its saliency's share inside the brain and the ratio to chance.

    Returns
    -------
    Path
        The table.
    """
    columns = [f"p_{site}" for site in study.trained_sites]
    unseen = [name for name in UNSEEN_COLUMNS if name in predictions.columns]
    best = predictions[columns].to_numpy().argmax(axis=1)
    unknown = (float("nan"), float("nan"))
    root = study.output_dir
    frame = pd.DataFrame(
        {
            "filename": [
                study.scan(key).t1w.relative_to(root).as_posix() for key in predictions["key"]
            ],
            "participant_id": predictions["participant_id"],
            "site": predictions["site"],
            "fold": predictions["fold"],
            "images": IMAGES,
            "predicted": [study.trained_sites[index] for index in best],
            **{column: predictions[column] for column in (*columns, *unseen)},
            "saliency_in_brain": [shares.get(key, unknown)[0] for key in predictions["key"]],
            "saliency_brain_ratio": [shares.get(key, unknown)[1] for key in predictions["key"]],
        }
    ).sort_values("filename", ignore_index=True)
    described = prediction_columns(columns, unseen=bool(unseen))
    path = group_output(root, "group_sitepredictions")
    return merge_table(path, frame, described, is_own=_is_own)


def _is_own(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether rows that stood in a table are replaced: all but those of other images."""
    if "images" not in rows:
        return pd.Series(True, index=rows.index)
    return rows["images"] == IMAGES


def _probabilities(people: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Sites, and probabilities of shape (n_people, n_sites)."""
    columns = [name for name in people.columns if name.startswith("p_")]
    return [name.removeprefix("p_") for name in columns], people[columns].to_numpy(np.float64)


def _unseen_of_site(predictions: pd.DataFrame) -> dict[str, int]:
    """True site to the number of people of whom a scan was called unseen; empty if not told."""
    if "unseen_site" not in predictions or predictions["unseen_site"].isna().all():
        return {}
    called = predictions["unseen_site"].map(lambda cell: False if pd.isna(cell) else bool(cell))
    people = called.groupby([predictions["site"], predictions["participant_id"]]).any()
    return {str(site): int(n) for site, n in people.groupby(level=0).sum().items()}


def _right_of_site(people: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """True site to the number of people named rightly and of all."""
    right = (people["site"] == people["predicted"]).groupby(people["site"]).agg(["sum", "count"])
    return {str(site): (int(row["sum"]), int(row["count"])) for site, row in right.iterrows()}
