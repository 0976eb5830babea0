"""Tab-separated tables: every cell is text, ``n/a`` is missing, every column is described.

Text on purpose: participant "01", site "1" and site "NA" must survive reading.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.files import write_json, write_text
from bids_harmonize.errors import UnusableDataError

MISSING = "n/a"


def read_tsv(path: Path) -> pd.DataFrame:
    """The table in a TSV file, with text in every cell.

    Parameters
    ----------
    path
        The file; a byte order mark and Windows line ends do no harm.

    Returns
    -------
    DataFrame
        One column a header, surrounding blanks taken off; ``n/a`` and empty cells are NA.

    Raises
    ------
    UnusableDataError
        If the file is absent, is no text, has no header, repeated headers or rows that are too
        long.
    """
    try:
        frame = pd.read_csv(
            path,
            sep="\t",
            dtype=str,
            na_values=[MISSING, ""],
            keep_default_na=False,
            encoding="utf-8-sig",
            header=None,
            skip_blank_lines=True,
        )
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        message = f"{path}: no table with tab-separated columns: {error}"
        raise UnusableDataError(message) from None
    header = [str(name).strip() for name in frame.iloc[0].fillna("")]
    if "" in header or len(set(header)) < len(header):
        message = f"{path}: the header has empty or repeated names: {', '.join(header)}"
        raise UnusableDataError(message)
    frame = frame.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(header)
    stripped = frame.apply(lambda column: column.str.strip())
    return stripped.mask(stripped.isin([MISSING, ""]))


def read_people(path: Path) -> pd.DataFrame:
    """A ``participants.tsv``, indexed by label with ``sub-``.

    Parameters
    ----------
    path
        The table; one that does not exist has no rows.

    Returns
    -------
    DataFrame
        One row a participant, text in every cell.

    Raises
    ------
    UnusableDataError
        If it has no column ``participant_id``, or two rows of one participant disagree.
    """
    if not path.is_file():
        return pd.DataFrame(index=pd.Index([], name="participant_id"))
    frame = read_tsv(path)
    if "participant_id" not in frame.columns:
        message = f"{path}: no column participant_id"
        raise UnusableDataError(message)
    labels = frame["participant_id"].fillna("")
    frame["participant_id"] = "sub-" + labels.str.removeprefix("sub-")
    frame = frame.drop_duplicates()
    twice = sorted(set(frame.loc[frame["participant_id"].duplicated(), "participant_id"]))
    if twice:
        message = f"{path}: rows that disagree about {', '.join(twice)}; keep one row a person"
        raise UnusableDataError(message)
    return frame.set_index("participant_id")


def write_table(path: Path, frame: pd.DataFrame, columns: Mapping[str, Mapping[str, Any]]) -> None:
    """Write a TSV file and, beside it, the JSON file that describes every column.

    Parameters
    ----------
    path
        Ends with ``.tsv``.
    frame
        One row a record; the index is not written. Missing and non-finite values become ``n/a``.
    columns
        Column to its description (``Description``, ``Units``, ``Levels``...), in the order in
        which the columns are written.

    Raises
    ------
    ValueError
        If a column is not described, or a described one is absent.
    """
    if set(frame.columns) != set(columns):
        odd = sorted(set(map(str, frame.columns)) ^ set(columns))
        message = f"{path.name}: columns and descriptions differ in: {', '.join(odd)}"
        raise ValueError(message)
    cells = frame[list(columns)].astype(object).map(_cell)
    text = cells.to_csv(None, sep="\t", index=False, lineterminator="\n")
    write_text(path, text)
    write_json(path.with_suffix(".json"), {name: dict(row) for name, row in columns.items()})


def _cell(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        return repr(float(value)) if np.isfinite(value) else MISSING
    return str(value)
