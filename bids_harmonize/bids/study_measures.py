"""The quality measures of all scans that are there so far: every page asks for them.

Choice: the scans tables as they stand, and a table that cannot be read is left out. Reason: a page
is written while other jobs work, and must not fail for another participant's table. Rejected:
``group_quality.tsv`` (many jobs would write it). Revisit when one table holds the whole study.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_harmonize.bids.scans import ScanRow, read_scan_table, scan_tables
from bids_harmonize.errors import UnusableDataError


@dataclass(frozen=True, eq=False)
class StudyMeasures:
    """Measures of the scans of a study, sorted by stem.

    Parameters
    ----------
    stems
        One a scan.
    sites
        Site of each, None where it is not known.
    values
        Measure to an array (n,) with NaN where it is not known.
    """

    stems: tuple[str, ...]
    sites: tuple[str | None, ...]
    values: dict[str, NDArray[np.float64]]


def read_study_measures(output_dir: Path, names: Sequence[str]) -> StudyMeasures:
    """Measures of every scan that has a row in a ``scans.tsv`` at this time.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    names
        Columns to read; what a table lacks is NaN.

    Returns
    -------
    StudyMeasures
        Without scans where there are no tables.
    """
    rows: dict[str, ScanRow] = {}
    for path in scan_tables(output_dir):
        with suppress(UnusableDataError):
            rows |= {row.stem: row for row in read_scan_table(path)}
    stems = tuple(sorted(rows))
    return StudyMeasures(
        stems=stems,
        sites=tuple(rows[stem].cells.get("site") for stem in stems),
        values={
            name: np.array([_number(rows[stem].cells.get(name)) for stem in stems])
            for name in names
        },
    )


def _number(cell: str | None) -> float:
    try:
        return float(cell or "nan")
    except ValueError:
        return float("nan")
