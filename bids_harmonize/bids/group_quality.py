"""``group_quality.tsv``: the quality measures of all scans, with the outliers of each site."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import group_output, scan_output, scans_table
from bids_harmonize.bids.scan_columns import (
    FIXED_COLUMNS,
    HARMONIZED_COLUMNS,
    PROVENANCE_COLUMNS,
)
from bids_harmonize.bids.scans import ScanRow, require_scan_rows
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.bids.tables import write_table
from bids_harmonize.imaging.quality import SITE_BOUND
from bids_harmonize.stats import outliers

DIRECTIONS = ("higher", "lower", "neutral")
OUTLIER_COLUMNS: dict[str, dict[str, Any]] = {
    "outlier": {
        "Description": (
            "Measures in which the scan stands apart from its own site, separated by commas:"
            " further from the site's median than the threshold, in robust spreads (1.4826 times"
            " the median absolute deviation), towards the bad side, or towards either side for a"
            " measure without direction. Scans of a site with fewer than"
            f" {outliers.MIN_GROUP} scans are compared with all scans."
        ),
        "Threshold": {
            f"{n} scans": round(outliers.outlier_threshold(n, direction="lower"), 2)
            for n in (8, 12, 20, 50, 200)
        },
        "ThresholdDescription": (
            f"Exceeded by {outliers.FALSE_ALARMS:g} of normally distributed values, so about one"
            " scan in 40 has a measure here by chance; somewhat higher for measures without"
            " direction."
        ),
    },
    "n_outlying_measures": {"Description": "How many measures the column outlier names."},
}


def write_group_quality(
    output_dir: Path, *, sites: Mapping[str, tuple[str, str]] | None = None
) -> Path:
    """Gather the quality measures of all scans in ``group_quality.tsv``.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    sites
        Stem to site and its source, as the group level knows them; others are as in scans.tsv.

    Returns
    -------
    Path
        The table; its ``filename`` is relative to ``output_dir``.

    Raises
    ------
    MissingInputError
        If there is no participant-level output.
    """
    rows = [_of_site(row, sites or {}) for row in require_scan_rows(output_dir)]
    described = _descriptions(output_dir, rows)
    hidden = (*PROVENANCE_COLUMNS, *HARMONIZED_COLUMNS, "filename")
    names = {name: None for row in rows for name in row.cells if name not in hidden}
    columns = {
        "filename": {"Description": "Preprocessed T1w image, relative to the dataset."},
        "participant_id": {"Description": "Label of the participant."},
        "session_id": {"Description": "Label of the session; n/a without sessions."},
        **{name: described.get(name, {"Description": "Quality measure."}) for name in names},
        **OUTLIER_COLUMNS,
    }
    records = [
        {
            "filename": scan_output(Path(), row.stem, "preproc").as_posix(),
            "participant_id": row.participant_id,
            "session_id": row.session_id,
            **{name: row.cells.get(name) for name in names},
            "outlier": ", ".join(found) or None,
            "n_outlying_measures": len(found),
        }
        for row, found in zip(rows, name_outliers(rows, described), strict=True)
    ]
    path = group_output(output_dir, "group_quality")
    write_table(path, pd.DataFrame(records, columns=list(columns), dtype=object), columns)
    return path


def name_outliers(
    rows: Sequence[ScanRow], columns: Mapping[str, Mapping[str, Any]]
) -> list[list[str]]:
    """The measures in which each scan stands apart from its own site.

    Parameters
    ----------
    rows
        One a scan.
    columns
        Column to its description; only quality measures with a ``Direction`` are compared, as on
        the group's page.

    Returns
    -------
    list of list of str
        In the order of ``rows``; the measures in the order of ``columns``.
    """
    directions = {
        name: column["Direction"]
        for name, column in columns.items()
        if column.get("Direction") in DIRECTIONS and name not in FIXED_COLUMNS
    }
    table = {
        name: np.array([float(row.cells.get(name) or "nan") for row in rows])
        for name in directions
    }
    sites = [row.cells.get("site") for row in rows]
    compared = outliers.find_all_outliers(
        table, sites, directions=directions, within_groups_only=SITE_BOUND
    )
    return [
        [name for name, comparison in compared.items() if comparison.outlying[place]]
        for place in range(len(rows))
    ]


def _of_site(row: ScanRow, sites: Mapping[str, tuple[str, str]]) -> ScanRow:
    if row.stem not in sites:
        return row
    site, source = sites[row.stem]
    return ScanRow(row.stem, {**row.cells, "site": site, "site_source": source})


def _descriptions(output_dir: Path, rows: Sequence[ScanRow]) -> dict[str, dict[str, Any]]:
    described: dict[str, dict[str, Any]] = {}
    for row in rows:
        sidecar = scans_table(output_dir, row.stem).with_suffix(".json")
        if set(row.cells) - set(described) and sidecar.exists():
            described |= read_json(sidecar)
    return described
