"""Tables that a user hands over, such as ``--site-map``."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bids_harmonize.errors import UsageError


def read_plain_table(path: Path, *, required: Sequence[str]) -> pd.DataFrame:
    """The table in a TSV file, with text in every cell.

    Parameters
    ----------
    path
        Tab-separated, with a header; a byte order mark and Windows line ends do no harm.
    required
        Columns that must be there, in this spelling.

    Returns
    -------
    DataFrame
        ``n/a`` and empty cells are NA; rows that stand there twice, alike, are kept once.

    Raises
    ------
    UsageError
        If the file is absent or no such table, or a column is missing or repeated.
    """
    try:
        frame = pd.read_csv(
            path,
            sep="\t",
            dtype=str,
            na_values=["n/a", ""],
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
            on_bad_lines="error",
        )
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        message = f"{path}: no table with tab-separated columns: {error}"
        raise UsageError(message) from None
    header = pd.read_csv(path, sep="\t", header=None, nrows=1, dtype=str, encoding="utf-8-sig")
    names = header.iloc[0].str.strip()
    if names.duplicated().any():
        twice = ", ".join(sorted(set(names[names.duplicated()])))
        message = f"{path}: columns that stand there twice: {twice}; keep one of each"
        raise UsageError(message)
    frame.columns = frame.columns.str.strip()
    missing = [name for name in required if name not in frame.columns]
    if missing:
        found = ", ".join(frame.columns)
        message = f"{path}: column {' and '.join(missing)} missing; found: {found} (tab-separated)"
        raise UsageError(message)
    stripped = frame.apply(lambda column: column.str.strip())
    return stripped.mask(stripped.isin(["n/a", ""])).drop_duplicates().reset_index(drop=True)
