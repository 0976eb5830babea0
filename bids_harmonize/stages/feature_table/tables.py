"""Predictions on tables of features, as rows of group_sitepredictions.tsv."""

from typing import Any

import pandas as pd

_COLUMNS: dict[str, dict[str, Any]] = {
    "filename": {"Description": "the scan, relative to the dataset; n/a for rows of tables"},
    "participant_id": {"Description": "the person"},
    "session_id": {"Description": "session of a table's row; n/a without sessions"},
    "site": {"Description": "where the scan was made"},
    "fold": {
        "Description": "fold whose model, which has not seen this person, was asked; n/a for "
        "travelling subjects, and for those who are no controls where it was fitted on controls: "
        "a model of everybody else, which has not seen them either"
    },
    "images": {"Description": "what was looked at"},
    "predicted": {"Description": "the most probable site"},
}


def prediction_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows with the most probable site, sorted.

    Parameters
    ----------
    predictions
        participant_id, session_id, site, fold, images and ``p_<site>``; a site that an arm does
        not have is NaN in its rows.

    Returns
    -------
    DataFrame
        The columns of the table, without a file name.
    """
    columns = [name for name in predictions.columns if name.startswith("p_")]
    best = [str(name).removeprefix("p_") for name in predictions[columns].idxmax(axis=1)]
    table = predictions.assign(filename=None, predicted=best)[[*_COLUMNS, *columns]]
    order = ["images", "participant_id", "session_id"]
    return table.sort_values(order, ignore_index=True)


def prediction_columns(names: list[str]) -> dict[str, dict[str, Any]]:
    """What each column means; ``p_<site>`` among them."""
    return {
        name: _COLUMNS.get(
            name, {"Description": f"probability of the site {name.removeprefix('p_')}, 0 to 1"}
        )
        for name in names
    }
