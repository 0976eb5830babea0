"""Tables of a stage that are written whole: those without a row go."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.names import group_output
from bids_harmonize.bids.tables import write_table

Columns = Mapping[str, Mapping[str, Any]]


def write_tables(
    output_dir: Path,
    frames: Mapping[str, pd.DataFrame],
    *,
    names: Sequence[str],
    columns: Mapping[str, Columns],
) -> tuple[Path, ...]:
    """Write the tables of a stage, and take away those of an earlier run that are not written.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    frames
        Name, without ``group_``, to rows; one without rows is not written.
    names
        All tables of the stage.
    columns
        Name to the descriptions of its columns; more than it has do no harm.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    OutputError, StorageError
        If a file cannot be written.
    """
    paths = []
    for name in names:
        path = group_output(output_dir, f"group_{name}")
        frame = frames.get(name)
        if frame is None or frame.empty:
            for old in (path, path.with_suffix(".json")):
                old.unlink(missing_ok=True)
            continue
        described = columns[name]
        write_table(path, frame, {column: described[column] for column in frame.columns})
        paths.append(path)
    return tuple(paths)
