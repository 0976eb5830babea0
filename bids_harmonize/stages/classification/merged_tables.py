"""Group tables that several runs share: each replaces its own rows and leaves the others."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.tables import read_tsv, write_table

Columns = Mapping[str, Mapping[str, Any]]

IMAGES = "preproc"
"""Word of the column ``images`` for images before harmonization."""


def merge_table(
    path: Path,
    frame: pd.DataFrame,
    columns: Columns,
    *,
    is_own: Callable[[pd.DataFrame], "pd.Series[bool]"],
) -> Path:
    """Write rows into a table in which rows of other runs may stand.

    Parameters
    ----------
    path
        The TSV file; it need not exist.
    frame
        The new rows.
    columns
        Column of ``frame`` to its description.
    is_own
        Takes the rows that stood there (text), tells which of them the new ones replace.

    Returns
    -------
    Path
        The table. Columns that only one side has are n/a in the other's rows, and go with the last
        row that has a value; descriptions of columns that both have are joined. Where no old row
        stays, nothing of the old descriptions does.
    """
    described = {name: dict(row) for name, row in columns.items()}
    if path.is_file():
        old = read_tsv(path)
        kept = old[~is_own(old)].dropna(axis="columns", how="all")
        stood = _read_descriptions(path.with_suffix(".json")) if len(kept) else {}
        names = [*frame.columns, *(name for name in kept.columns if name not in frame.columns)]
        frame = pd.concat(
            [part.reindex(columns=names).astype(object) for part in (frame, kept)],
            ignore_index=True,
        )
        if "images" in names:  # images before harmonization stand first, whoever wrote last
            frame = frame.sort_values("images", kind="stable", key=lambda cells: cells != IMAGES)
        described = {name: _joined(stood.get(name, {}), described.get(name, {})) for name in names}
    write_table(path, frame, described)
    return path


def _joined(stood: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    levels = {**stood.get("Levels", {}), **new.get("Levels", {})}
    joined = {**stood, **new}
    if levels:
        joined["Levels"] = levels
    return joined or {"Description": "of another run"}


def _read_descriptions(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
