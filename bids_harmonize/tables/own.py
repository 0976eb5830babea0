"""Our own ``group_features.tsv`` as a table of features: one arm of it, one row a session."""

from pathlib import Path
from typing import Final

import pandas as pd

from bids_harmonize.errors import UnusableDataError

RAW: Final = "raw"
HARMONIZED: Final = "harmonized"
"""The arms."""

OWN_COLUMNS: Final = ("filename", "participant_id", "session_id", "site", "arm", "fit")
"""Of a row, before its features; by these a table is known as ours."""

EVERY_SCAN: Final = "every scan"
"""Who was measured, where nobody was drawn."""

PARCEL_PREFIX: Final = "parcel_"
"""Of columns about the parcels in which the disorder is looked for."""

_KEYS: Final = ["participant_id", "session_id", "site"]


def is_own_feature(name: str) -> bool:
    """Whether a column is called like one that the stage ``features`` measures.

    Examples
    --------
    >>> is_own_feature("gm_volume_ml"), is_own_feature("symptom_score")
    (True, False)
    """
    return name.startswith(PARCEL_PREFIX) or name.endswith("_volume_ml")


def one_arm(frame: pd.DataFrame, *, path: Path, arm: str) -> pd.DataFrame:
    """The rows of one arm; several scans of a session become their mean.

    Parameters
    ----------
    frame
        Our own table, with text in every cell.
    path
        Where it was read, for messages.
    arm
        ``raw`` or ``harmonized``.

    Returns
    -------
    DataFrame
        Columns participant_id, session_id, site, and the features as text.

    Raises
    ------
    UnusableDataError
        If the table has no row of this arm, or a feature is no number.
    """
    own = frame[frame["arm"] == arm]
    if own.empty:
        there = ", ".join(sorted(set(frame["arm"].dropna()))) or "none"
        message = f"{path}: no row of the arm {arm}; arms there: {there}; give --features ARM=TSV"
        raise UnusableDataError(message)
    names = [name for name in frame.columns if name not in OWN_COLUMNS]
    try:
        numbers = own[names].astype(float)
    except ValueError as error:
        message = f"{path}: a feature of the arm {arm} is no number: {error}"
        raise UnusableDataError(message) from None
    joined = pd.concat([own[_KEYS], numbers], axis=1).copy()  # one block, whatever was read
    means = joined.groupby(_KEYS, dropna=False, sort=False).mean().reset_index()
    cells = means[names].map(lambda value: pd.NA if pd.isna(value) else repr(float(value)))
    return pd.concat([means[_KEYS], cells], axis=1).astype(object)
