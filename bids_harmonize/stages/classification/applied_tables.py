"""Tables of a classifier that was applied: who was trained on, predictions, accuracy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.study import Study
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages.classification.columns import (
    ACCURACY_COLUMNS,
    RECALL_COLUMNS,
    Columns,
    prediction_columns,
)
from bids_harmonize.stages.classification.merged_tables import IMAGES, merge_table
from bids_harmonize.stages.classification.tables import accuracy_row, recall_rows
from bids_harmonize.training.runtime import seeded_generator

FOLD_NEW = "new"
"""Stands for a fold while people are averaged; the table has n/a."""

SPLIT_NEW = "new"
_TRAINING_COLUMNS = {"participant_id", "site", "sha256"}

_APPLIED_COLUMNS: Final[Columns] = {
    "trained_on": {
        "Description": "whether the model of --model-dir was trained on this very scan, by its "
        "SHA-256; n/a in rows of the cross-validation",
        "Levels": {"true": "its answer proves nothing", "false": "new to the model"},
    },
}
_SPLIT = {
    **ACCURACY_COLUMNS["split"],
    "Levels": {
        **ACCURACY_COLUMNS["split"]["Levels"],
        SPLIT_NEW: "asked of a finished model (--model-dir), which was not trained on these "
        "scans; only sites that it knows; the most probable site counts, called unseen or not",
    },
}


def answers_to_lose(output_dir: Path, table: pd.DataFrame) -> int:
    """Scans whose cross-validated answer :func:`write_applied` will replace.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    table
        From :func:`prediction_frame_of`.

    Returns
    -------
    int
        0 where the study was not cross-validated, or by the same model.
    """
    stood = _crossvalidated(group_output(output_dir, "group_sitepredictions"))
    return len(stood - set(table.loc[table["trained_on"], "filename"]))


def read_training(folder: Path) -> pd.DataFrame:
    """What the model was trained on.

    Parameters
    ----------
    folder
        The model's folder.

    Returns
    -------
    DataFrame
        participant_id, site, sha256 and filename of each scan.

    Raises
    ------
    UnusableDataError
        If the table is absent or lacks a column.
    """
    path = folder / "training.tsv"
    frame = read_tsv(path)
    missing = sorted(_TRAINING_COLUMNS - set(frame.columns))
    if missing:
        message = f"{path}: column {' and '.join(missing)} missing; train the model again"
        raise UnusableDataError(message)
    return frame


def trained_on(scans: Sequence[DerivedScan], training: pd.DataFrame) -> list[bool]:
    """Whether the model has seen each of these scans, by the SHA-256 of the image."""
    known = set(training["sha256"])
    return [file_sha256(scan.t1w) in known for scan in scans]


def prediction_frame_of(study: Study, found: pd.DataFrame, sites: Sequence[str]) -> pd.DataFrame:
    """The answers as rows of group_sitepredictions.tsv.

    Parameters
    ----------
    study
        Where the files lie.
    found
        One row a scan: key, participant_id, site, ``p_<site>``, unseen_score, unseen_site,
        trained_on.
    sites
        Of the model.

    Returns
    -------
    DataFrame
        ``predicted`` is missing where the scan is called unseen.
    """
    columns = [f"p_{site}" for site in sites]
    best = found[columns].to_numpy().argmax(axis=1)
    named = [
        None if unseen else sites[index]
        for index, unseen in zip(best, found["unseen_site"], strict=True)
    ]
    root = study.output_dir
    frame = found.assign(
        filename=[study.scan(key).t1w.relative_to(root).as_posix() for key in found["key"]],
        fold=None,
        images=IMAGES,
        predicted=pd.Series(named, index=found.index, dtype=object),
    )
    names = [*prediction_columns(columns, unseen=True), *_APPLIED_COLUMNS]
    return frame.reindex(columns=names).sort_values("filename", ignore_index=True)


def write_applied(
    output_dir: Path, table: pd.DataFrame, found: pd.DataFrame, *, seed: int
) -> tuple[Path, ...]:
    """Write predictions; accuracy and recall on new scans of sites that the model knows.

    Parameters
    ----------
    output_dir
        Root of the derivative. Where this study was itself cross-validated, the rows of scans
        that the model was trained on stay those of networks that had not seen them.
    table
        From :func:`prediction_frame_of`.
    found
        One row a scan, as there.
    seed
        The run's seed, for the permutations.

    Returns
    -------
    tuple of Path
        The tables that were written.
    """
    sites = [name.removeprefix("p_") for name in found.columns if name.startswith("p_")]
    path = group_output(output_dir, "group_sitepredictions")
    crossed = _crossvalidated(path) & set(table.loc[table["trained_on"], "filename"])
    described: Columns = {
        **prediction_columns([f"p_{site}" for site in sites], unseen=True),
        **_APPLIED_COLUMNS,
    }
    described["predicted"] = {
        "Description": "the most probable site; n/a where unseen_site is true and the model of "
        "--model-dir was asked"
    }
    files = [
        merge_table(
            path,
            table[~table["filename"].isin(crossed)],
            described,
            is_own=lambda old: old["images"].eq(IMAGES) & ~old["filename"].isin(crossed),
        )
    ]
    known = found[found["site"].isin(sites) & ~found["trained_on"]]
    accuracies, recalls = _rows_of_known(known, seed)
    tables: dict[str, tuple[list[dict[str, Any]], Columns]] = {
        "group_siteclassification": (accuracies, {**ACCURACY_COLUMNS, "split": _SPLIT}),
        "group_siterecall": (recalls, RECALL_COLUMNS),
    }
    files += [
        merge_table(
            group_output(output_dir, name),
            pd.DataFrame(rows, columns=list(columns)),
            columns,
            is_own=_is_of_new_scans,
        )
        for name, (rows, columns) in tables.items()
    ]
    return tuple(files)


def _rows_of_known(
    known: pd.DataFrame, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Accuracy and recall on these new scans of known sites; no row without any scan."""
    if known.empty:
        return [], []
    several = known["site"].nunique() > 1
    rng = seeded_generator(seed, "applied", "permutations") if several else None
    words = {"model": "network", "split": SPLIT_NEW}
    return [accuracy_row(known, **words, effort="full", rng=rng)], recall_rows(known, **words)


def _is_of_new_scans(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows an earlier run with --model-dir wrote; older tables have no column ``split``."""
    if "split" not in rows:
        return pd.Series(False, index=rows.index)
    return rows["images"].eq(IMAGES) & rows["split"].eq(SPLIT_NEW)


def _crossvalidated(path: Path) -> set[str]:
    """Scans whose row in the table is the answer of a fold's network."""
    if not path.is_file():
        return set()
    old = read_tsv(path)
    return set(old.loc[old["images"].eq(IMAGES) & old["fold"].notna(), "filename"].dropna())
