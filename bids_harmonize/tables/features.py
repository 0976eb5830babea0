"""Tables of features, one row a participant or session, such as regional thickness."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.errors import UnusableDataError, UsageError
from bids_harmonize.tables.own import OWN_COLUMNS, one_arm
from bids_harmonize.tables.plain import read_plain_table

KEYS = ("participant_id", "session_id")
COVARIATES = {"age": ("age",), "sex": ("sex", "gender")}
"""What we say, and how tables spell it, in any case."""
GROUP_COLUMNS = ("group", "diagnosis", "dx", "dx_group")
"""In any case; what a person suffers from is asked about, so it is never a feature."""

_SEX_WORDS = {"female": "f", "male": "m"}
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class SelectedFeatures:
    """The columns that are used, and those that were passed over because they hold text.

    ``values`` is float64 of shape (n_rows, n_features), finite, no column constant.
    """

    values: pd.DataFrame
    skipped: tuple[str, ...]


def covariate(rows: pd.DataFrame, name: str) -> pd.Series:
    """The column of age or sex by any of its spellings; NA where there is none.

    Parameters
    ----------
    rows
        Any table of participants or scans.
    name
        A key of :data:`COVARIATES`.

    Returns
    -------
    Series
        Object, index of the rows.
    """
    lower = {str(column).lower(): column for column in reversed(rows.columns)}
    spelt = next((lower[word] for word in COVARIATES[name] if word in lower), None)
    nothing = pd.Series(pd.NA, index=rows.index, dtype=object)
    return nothing if spelt is None else rows[spelt].astype(object)


def sex_words(column: pd.Series) -> pd.Series:
    """``f`` and ``m`` for their words, other words in lower case, ``None`` where unknown."""
    words = [None if pd.isna(cell) else str(cell).strip().lower() for cell in column]
    short = [None if word is None else _SEX_WORDS.get(word, word) for word in words]
    return pd.Series(short, index=column.index, dtype=object)


def read_feature_rows(path: Path, *, arm: str = "raw") -> pd.DataFrame:
    """A table of features as text, with labels as the dataset spells them.

    Parameters
    ----------
    path
        TSV with ``participant_id`` and optionally ``session_id``, with or without prefix; or our
        own ``group_features.tsv``.
    arm
        Which rows of our own table are meant.

    Returns
    -------
    DataFrame
        ``participant_id`` (``sub-01``) and ``session_id`` (``ses-A`` or NA) come first; rows that
        stand there twice, alike, are kept once.

    Raises
    ------
    UsageError
        If the file is no such table.
    UnusableDataError
        If a row has no participant, two rows of one key disagree, or there is no row.
    """
    frame = read_plain_table(path, required=("participant_id",))
    if frame.empty:
        message = f"{path}: no row below the header; expected one a participant or session"
        raise UnusableDataError(message)
    if set(frame.columns) >= set(OWN_COLUMNS):
        frame = one_arm(frame, path=path, arm=arm)
    if frame["participant_id"].isna().any():
        record = int(np.flatnonzero(frame["participant_id"].isna())[0]) + 1
        message = f"{path}: record {record} has no participant_id"
        raise UnusableDataError(message)
    sessions = frame.get("session_id", pd.Series(pd.NA, index=frame.index, dtype=object))
    labels = "ses-" + sessions.astype("string").str.removeprefix("ses-")
    rows = frame.assign(
        participant_id="sub-" + frame["participant_id"].str.removeprefix("sub-"),
        session_id=labels.astype(object),
    ).drop_duplicates()
    twice = rows.loc[rows.duplicated(list(KEYS), keep=False), list(KEYS)]
    if len(twice):
        found = sorted({_key_words(*key) for key in twice.itertuples(index=False)})
        message = f"{path}: rows that disagree about {_some(found)}; keep one row each"
        raise UnusableDataError(message)
    others = [name for name in rows.columns if name not in KEYS]
    return rows[[*KEYS, *others]].reset_index(drop=True)


def select_features(
    rows: pd.DataFrame, *, path: Path, patterns: Sequence[str], reserved: Sequence[str]
) -> SelectedFeatures:
    """The numeric columns that match, once it is sure that they can be used.

    Parameters
    ----------
    rows
        From :func:`read_feature_rows`.
    path
        The table, for messages.
    patterns
        Shell patterns (``*_thickness``), case counts; none means all columns.
    reserved
        Columns that hold the site; keys, age, sex and group are never features.

    Returns
    -------
    SelectedFeatures
        In the table's order.

    Raises
    ------
    UsageError
        If a pattern matches no column that could be a feature.
    UnusableDataError
        If a matching column holds text, is constant, or lacks a finite number; all are named.
    """
    spelt = [name for names in COVARIATES.values() for name in names]
    known = {*KEYS, *spelt, *GROUP_COLUMNS, *(name.lower() for name in reserved)}
    free = [name for name in rows.columns if name.lower() not in known]
    unmatched = [p for p in patterns if not any(fnmatchcase(name, p) for name in free)]
    if unmatched or not free:
        message = (
            f"{path}: no feature column matches {' or '.join(unmatched or ['*'])} "
            f"(--feature-columns); columns that are neither key, site, age, sex nor group: "
            f"{_some(free) or 'none'}"
        )
        raise UsageError(message)
    chosen = [n for n in free if not patterns or any(fnmatchcase(n, p) for p in patterns)]
    numbers = rows[chosen].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    cells = rows[chosen]
    is_text = numbers.isna() & cells.notna() & ~cells.isin(["nan", "NaN"])
    only_text = [n for n in chosen if is_text[n].any() and numbers[n].isna().all()]
    skipped = () if patterns else tuple(only_text)
    used = [name for name in chosen if name not in skipped]
    faults = _faults(rows, numbers[used], is_text[used])
    if not used:
        faults.append("no column holds numbers")
    if faults:
        message = (
            f"{path}: these columns cannot be features; mend them, or choose others with "
            f"--feature-columns (now {' '.join(patterns) or 'all'}):"
        )
        raise UnusableDataError("\n".join([message, *(f"  {fault}" for fault in faults)]))
    return SelectedFeatures(values=numbers[used], skipped=skipped)


def _faults(rows: pd.DataFrame, numbers: pd.DataFrame, is_text: pd.DataFrame) -> list[str]:
    """One line a column that cannot be used."""
    faults = []
    for name in numbers.columns:
        bad = ~np.isfinite(numbers[name].to_numpy())
        place = int(bad.argmax())
        who = _key_words(rows["participant_id"].iloc[place], rows["session_id"].iloc[place])
        if is_text[name].any():
            place = int(is_text[name].to_numpy().argmax())
            who = _key_words(rows["participant_id"].iloc[place], rows["session_id"].iloc[place])
            faults.append(f"{name}: text, for instance {rows[name].iloc[place]!r} of {who}")
        elif bad.any():
            faults.append(f"{name}: {bad.sum()} row(s) without a finite number, first {who}")
        elif numbers[name].nunique() == 1:
            faults.append(f"{name}: constant, {numbers[name].iloc[0]:g} in every row")
    return faults


def _key_words(participant_id: str, session_id: object) -> str:
    return f"{participant_id} {session_id}" if isinstance(session_id, str) else participant_id


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
