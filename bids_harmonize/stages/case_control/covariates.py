"""Columns that the disorder's effect is adjusted for, as numbers."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from bids_harmonize.errors import UsageError
from bids_harmonize.tables.features import COVARIATES, covariate, sex_words
from bids_harmonize.tables.measures import intracranial_column

AGE: Final = "age"
SEX: Final = "sex"
TIV: Final = "tiv"
DEFAULT: Final = (AGE, SEX, TIV)
_MOST_WORDS = 12


def find_covariates(details: pd.DataFrame, wanted: Sequence[str] | None) -> pd.DataFrame:
    """The covariates of every row, each a column of numbers or words.

    Parameters
    ----------
    details
        Text in every cell; a row a scan.
    wanted
        ``--covariates``; ``None`` takes age, sex and the intracranial volume where they are.

    Returns
    -------
    DataFrame
        Columns ``age`` (years), ``sex`` (f, m), ``tiv`` and others by their own name: float, NaN
        where unknown, or words, ``None`` where unknown.

    Raises
    ------
    UsageError
        If a wanted column is not there, or holds more words than a covariate can.
    """
    found: dict[str, pd.Series] = {}
    missing: list[str] = []
    for name in DEFAULT if wanted is None else wanted:
        column = _column(details, name)
        if column is not None:
            found[name] = column
        elif wanted is not None:
            missing.append(name)
    if missing:
        there = ", ".join(str(name) for name in details.columns[:_MOST_WORDS])
        message = (
            f"--covariates {' '.join(missing)}: no such column with a value in it; columns of the "
            f"table and of participants.tsv: {there}{', ...' if details.shape[1] > 12 else ''}"
        )
        raise UsageError(message)
    return pd.DataFrame(found, index=details.index)


def covariate_columns(covariates: pd.DataFrame) -> pd.DataFrame:
    """Covariates as columns of numbers: words become one column a word but the first.

    Parameters
    ----------
    covariates
        Of :func:`find_covariates`, nothing unknown.

    Returns
    -------
    DataFrame
        Float64; constant covariates are left out.
    """
    columns: dict[str, np.ndarray] = {}
    for name, values in covariates.items():
        if pd.api.types.is_float_dtype(values):
            if values.nunique() > 1:
                columns[str(name)] = values.to_numpy()
            continue
        for word in sorted(values.unique())[1:]:
            columns[f"{name}_{word}"] = (values == word).to_numpy(np.float64)
    return pd.DataFrame(columns, index=covariates.index, dtype=np.float64)


def _column(details: pd.DataFrame, name: str) -> pd.Series | None:
    """The column as numbers or words; ``None`` where it is absent or empty."""
    wanted = name.lower()
    if wanted == SEX:
        column = sex_words(covariate(details, SEX))
    elif wanted in COVARIATES:
        column = covariate(details, wanted)
    else:
        spelt = intracranial_column(map(str, details.columns)) if wanted == TIV else None
        lower = {str(found).lower(): found for found in reversed(details.columns)}
        exact = name if name in details.columns else lower.get(wanted, spelt)
        if exact is None:
            return None
        column = details[exact]
    if column.isna().all():
        return None
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    if wanted in (AGE, TIV) or numbers.notna().sum() == column.notna().sum():
        return numbers.where(np.isfinite(numbers))
    words = column.where(column.notna(), None).astype(object)
    if words.nunique() > _MOST_WORDS:
        message = (
            f"--covariates {name}: {words.nunique()} different words, for instance "
            f"{words.dropna().iloc[0]!r}; expected numbers, or {_MOST_WORDS} words at most"
        )
        raise UsageError(message)
    return words
