"""Look-ups in ``group_methods.tsv`` that several parts of the page share."""

import pandas as pd

from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import NOT_HARMONIZERS, TRAINING_FREE


def brain_psnr(inputs: GroupInputs, *, source_site: str) -> pd.DataFrame | None:
    """Rows of the primary measure, one a method.

    Parameters
    ----------
    inputs
        What is on disk.
    source_site
        A site, or ``all`` for the mean over source sites.

    Returns
    -------
    pandas.DataFrame or None
        Index ``method``; kind direct, mask brain, metric psnr. ``None`` where no row fits.
    """
    table = inputs.tables.get("methods")
    if table is None:
        return None
    rows = table[
        (table["kind"] == "direct")
        & (table["mask"] == "brain")
        & (table["metric"] == "psnr")
        & (table["source_site"] == source_site)
    ]
    if rows.empty and source_site == "all":
        return _only_direction(table)
    return rows.drop_duplicates("method").set_index("method") if len(rows) else None


def best_training_free(scores: pd.DataFrame) -> str | None:
    """The training-free method (doing nothing included) with the highest mean.

    Parameters
    ----------
    scores
        As :func:`brain_psnr` returns.

    Returns
    -------
    str or None
        Its name in the column ``method``.
    """
    own = scores[scores.index.isin(TRAINING_FREE)]["mean"].dropna()
    return str(own.idxmax()) if len(own) else None


def reading_order(methods: list[str], *, chosen: str | None) -> list[str]:
    """Methods as a reader meets them: nothing done, training-free, trained, controls, ceiling."""
    trained = sorted(m for m in methods if m not in NOT_HARMONIZERS and m != chosen)
    order = [*TRAINING_FREE, *trained, *([chosen] if chosen else []), "blur", "ceiling"]
    return [method for method in order if method in methods]


def _only_direction(table: pd.DataFrame) -> pd.DataFrame | None:
    rows = table[
        (table["kind"] == "direct") & (table["mask"] == "brain") & (table["metric"] == "psnr")
    ]
    if rows["source_site"].nunique() != 1:
        return None
    return rows.drop_duplicates("method").set_index("method")
