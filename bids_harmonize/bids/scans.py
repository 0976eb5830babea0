"""The ``scans.tsv`` of the derivative: one row a scan, written by participant, read by group."""

import csv
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.files import writing_fault
from bids_harmonize.bids.names import OUTPUTS, scans_table
from bids_harmonize.bids.scan_columns import (
    FIXED_COLUMNS,
    HARMONIZED_COLUMNS,
    PROVENANCE_COLUMNS,
)
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.tables import MISSING, read_tsv, write_table
from bids_harmonize.errors import MissingInputError, UnusableDataError

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScanRow:
    """One row of a ``scans.tsv``, with text in every cell; ``None`` is missing."""

    stem: str
    cells: Mapping[str, str | None]

    @property
    def participant_id(self) -> str:
        """For instance ``sub-01``."""
        return self.stem.split("_")[0]

    @property
    def session_id(self) -> str | None:
        """For instance ``ses-A``; ``None`` without sessions."""
        parts = self.stem.split("_")
        return parts[1] if len(parts) > 1 and parts[1].startswith("ses-") else None

    @property
    def doubtful(self) -> bool:
        """Whether the head or the brain mask looks wrong."""
        return any(
            (self.cells.get(f"{mask}_mask_doubtful") or "false").lower() == "true"
            for mask in ("head", "brain")
        )

    def quality(self) -> dict[str, float]:
        """Quality measures that are known, by name."""
        return {
            name: float(cell)
            for name, cell in self.cells.items()
            if name not in FIXED_COLUMNS and cell is not None
        }


def write_scan_rows(
    output_dir: Path,
    rows: Mapping[str, Mapping[str, Any]],
    *,
    measures: Mapping[str, Mapping[str, Any]],
) -> None:
    """Put rows into the ``scans.tsv`` of their sessions; other scans' rows stay.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    rows
        Stem to its cells: the columns of :data:`FIXED_COLUMNS` except ``filename``, and the
        quality measures; what is absent becomes ``n/a``.
    measures
        Quality measure to its description, in the order of the columns.

    Notes
    -----
    A table that cannot be read is put into ``logs``, with a warning, and made anew: the sidecars
    hold all that its rows say.

    Raises
    ------
    ValueError
        If a row has a cell that is neither fixed nor a measure.
    """
    head = [name for name in FIXED_COLUMNS if name not in PROVENANCE_COLUMNS]
    columns = {name: FIXED_COLUMNS[name] for name in head}
    columns |= {name: dict(row) for name, row in measures.items()}
    columns |= {name: FIXED_COLUMNS[name] for name in PROVENANCE_COLUMNS}
    by_table: dict[Path, dict[str, Mapping[str, Any]]] = {}
    for stem, cells in rows.items():
        odd = sorted(set(cells) - set(columns))
        if odd:
            message = f"{stem}: columns without a description: {', '.join(odd)}"
            raise ValueError(message)
        by_table.setdefault(scans_table(output_dir, stem), {})[stem] = cells
    for path, new in by_table.items():
        stood = _stood(path, output_dir)
        merged = {**stood, **{stem: _with_harmonized(new[stem], stood.get(stem)) for stem in new}}
        records = [
            {**{name: merged[stem].get(name) for name in columns}, "filename": _filename(stem)}
            for stem in sorted(merged)
        ]
        write_table(path, pd.DataFrame(records, columns=list(columns), dtype=object), columns)


def fill_scan_rows(path: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Set cells of rows that stand in a ``scans.tsv``; all else stays as it is.

    Parameters
    ----------
    path
        The table; it has a JSON file beside it.
    rows
        Stem to cells of :data:`HARMONIZED_COLUMNS`; a stem without a row is passed over.

    Raises
    ------
    UnusableDataError
        If the file is no such table.
    """
    frame = read_tsv(path).astype(object)
    description = path.with_suffix(".json")
    described = read_json(description) if description.is_file() else {}
    names = frame["filename"].fillna("").map(lambda name: Path(name).name)
    for column in HARMONIZED_COLUMNS:
        if column not in frame.columns:
            frame.insert(len(frame.columns) - len(PROVENANCE_COLUMNS), column, None)
        for stem, cells in rows.items():
            frame.loc[names == f"{stem}{OUTPUTS['preproc'].pattern}", column] = cells[column]
    columns = {name: described.get(name) or FIXED_COLUMNS.get(name, {}) for name in frame.columns}
    columns |= {name: FIXED_COLUMNS[name] for name in HARMONIZED_COLUMNS}
    write_table(path, frame, columns)


def _with_harmonized(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> Mapping[str, Any]:
    kept = {name: (old or {}).get(name) for name in HARMONIZED_COLUMNS}
    return {**kept, **new}


def _stood(path: Path, output_dir: Path) -> dict[str, Mapping[str, Any]]:
    """The rows that stand in a table; one that cannot be read is put aside, its own is told."""
    try:
        return {row.stem: row.cells for row in read_scan_table(path)} if path.exists() else {}
    except UnusableDataError as error:
        aside = output_dir / "logs" / f"damaged_{path.name}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            path.replace(aside)
        except OSError as fault:
            raise writing_fault(fault, path) from fault
        LOGGER.warning(
            "%s; the table is made anew, the old one is %s. Rows of scans that this run leaves "
            "out come back when they are run again",
            error,
            aside,
        )
        return {}


def read_scan_rows(output_dir: Path) -> tuple[ScanRow, ...]:
    """Rows of every ``scans.tsv`` of the derivative, sorted by stem.

    Parameters
    ----------
    output_dir
        Root of the derivative.

    Returns
    -------
    tuple of ScanRow
        Empty if the participant level never wrote there.
    """
    rows = (row for path in scan_tables(output_dir) for row in read_scan_table(path))
    return tuple(sorted(rows, key=_stem))


def scan_row(output_dir: Path, stem: str) -> ScanRow | None:
    """The row of one scan, or ``None`` if it has none."""
    path = scans_table(output_dir, stem)
    if not path.exists():
        return None
    return next((row for row in read_scan_table(path) if row.stem == stem), None)


def require_scan_rows(output_dir: Path) -> tuple[ScanRow, ...]:
    """As :func:`read_scan_rows`, but an output without any is an error.

    Raises
    ------
    MissingInputError
        If there is no participant-level output.
    """
    rows = read_scan_rows(output_dir)
    if not rows:
        message = f"{output_dir}: no participant-level output; run the participant level first"
        raise MissingInputError(message)
    return rows


def group_by_settings(rows: Iterable[ScanRow]) -> dict[str, list[str]]:
    """Hash of the participant level's settings to the stems, most scans first.

    Rows without a hash count as one group.
    """
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.cells.get("settings_hash") or MISSING, []).append(row.stem)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _filename(stem: str) -> str:
    return f"anat/{stem}{OUTPUTS['preproc'].pattern}"


def read_scan_table(path: Path) -> Iterator[ScanRow]:
    """Rows of one ``scans.tsv``, without pandas: a study has a thousand of these tables.

    Parameters
    ----------
    path
        The table.

    Yields
    ------
    ScanRow
        One a preprocessed image; other rows are passed over.

    Raises
    ------
    UnusableDataError
        If the file is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            header, *rows = [row for row in csv.reader(lines, delimiter="\t") if row]
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        message = f"{path}: no table with tab-separated columns: {error}"
        raise UnusableDataError(message) from None
    header = [name.strip() for name in header]
    missing = [name for name in ("filename", "site") if name not in header]
    if missing:
        message = f"{path}: column {' and '.join(missing)} missing; run participant again"
        raise UnusableDataError(message)
    if len(set(header)) < len(header) or any(len(row) > len(header) for row in rows):
        message = f"{path}: columns that stand there twice, or rows longer than the header"
        raise UnusableDataError(message)
    ending = OUTPUTS["preproc"].pattern
    for row in rows:
        texts = [cell.strip() for cell in row] + [""] * (len(header) - len(row))
        cells = {
            name: None if cell in ("", MISSING) else cell
            for name, cell in zip(header, texts, strict=True)
        }
        if (cells["filename"] or "").endswith(ending):
            yield ScanRow(Path(str(cells["filename"])).name.removesuffix(ending), cells)


def scan_tables(output_dir: Path) -> list[Path]:
    """Every ``scans.tsv`` of the derivative, in no order."""
    patterns = ("sub-*/sub-*_scans.tsv", "sub-*/ses-*/*_scans.tsv")
    return [path for pattern in patterns for path in output_dir.glob(pattern)]


def _stem(row: ScanRow) -> str:
    return row.stem
