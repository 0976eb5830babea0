"""The quality measures of all scans that are there so far, read fast: every page asks for them.

Choice: a reader of its own, without pandas. Reason: a study has a thousand small tables, and
pandas takes milliseconds for each. A table that cannot be read is left out, since a page must not
fail for another participant's table. Rejected: ``group_quality.tsv`` (many jobs would write it).
Revisit when one table holds the whole study.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_harmonize.bids.names import OUTPUTS
from bids_harmonize.bids.tables import MISSING


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
    rows: dict[str, dict[str, str]] = {}
    for pattern in ("sub-*/sub-*_scans.tsv", "sub-*/ses-*/*_scans.tsv"):
        for path in output_dir.glob(pattern):
            rows |= dict(_read_table(path))
    stems = tuple(sorted(rows))
    return StudyMeasures(
        stems=stems,
        sites=tuple(_text(rows[stem].get("site")) for stem in stems),
        values={
            name: np.array([_number(rows[stem].get(name)) for stem in stems]) for name in names
        },
    )


def _read_table(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    ending = OUTPUTS["preproc"].pattern
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return
    for row in rows:
        name = str(row.get("filename") or "")
        if name.endswith(ending):
            yield Path(name).name.removesuffix(ending), row


def _text(cell: str | None) -> str | None:
    return None if cell in (None, "", MISSING) else str(cell).strip()


def _number(cell: str | None) -> float:
    try:
        return float(cell) if cell else float("nan")
    except ValueError:
        return float("nan")
