"""The evaluation's rows in group_siteclassification.tsv: the site, told from harmonized images.

The stage ``classify`` owns the table and its rows of unharmonized images; here only the rows of
harmonized images are replaced.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.names import group_output, site_label
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.stages.classification.merged_tables import merge_table
from bids_harmonize.stages.classification.tables import accuracy_row


def harmonized_row(
    predictions: pd.DataFrame, *, reference_site: str, effort: str
) -> dict[str, Any]:
    """How often a fresh network names the site of harmonized images that it has not seen.

    Parameters
    ----------
    predictions
        Of freshly trained probes on cross-fitted images, one row a scan with ``p_<site>``.
    reference_site
        The site that the others were brought to.
    effort
        ``quick`` or ``full``.

    Returns
    -------
    dict
        One row of group_siteclassification.tsv.
    """
    row = accuracy_row(predictions, model="network", split="validation", effort=effort)
    return {**row, "images": f"harmonized{site_label(reference_site)}"}


def replace_harmonized_rows(output_dir: Path, row: dict[str, Any] | None) -> tuple[Path, ...]:
    """Put this run's row in the place of those that an earlier evaluation wrote.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    row
        The new row; ``None`` takes the old ones away only.

    Returns
    -------
    tuple of Path
        The table; empty where ``classify`` has not written it.
    """
    path = group_output(output_dir, "group_siteclassification")
    if not path.is_file():
        return ()
    columns = read_json(path.with_suffix(".json"))
    frame = pd.DataFrame([] if row is None else [row], columns=list(columns))
    return (merge_table(path, frame, columns, is_own=_is_harmonized),)


def _is_harmonized(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Rows of ``harmonized<Reference>``; ``harmonized`` alone is an arm of feature tables."""
    return rows["images"].str.match(r"harmonized.").fillna(False).astype(bool)
