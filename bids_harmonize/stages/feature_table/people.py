"""What tables of people say about rows of features: site, age, sex."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from bids_harmonize.bids.site_sources import site_columns
from bids_harmonize.bids.tables import read_people
from bids_harmonize.config import SiteSettings
from bids_harmonize.tables.features import COVARIATES, covariate

PEOPLE: Final = "participants.tsv"

_NESTS = ("derivatives", "sourcedata")  # folders of a dataset that hold other datasets


def people_tables(source: Path, output_dir: Path) -> tuple[Path, ...]:
    """The tables of people that belong to features, the first one first.

    Parameters
    ----------
    source
        Absolute path of a table, which has none of its own, or of a folder: the first
        ``participants.tsv`` in it, beside it, or of the datasets in whose ``derivatives`` or
        ``sourcedata`` it lies.
    output_dir
        Its ``participants.tsv`` comes last.

    Returns
    -------
    tuple of Path
        Those that exist.
    """
    places: list[Path] = []
    if source.is_dir():
        places = [source, source.parent]
        while places[-1].name in _NESTS:
            places.append(places[-1].parent)
            if places[-1].parent.name in _NESTS:
                places.append(places[-1].parent)
    own = [place / PEOPLE for place in places if (place / PEOPLE).is_file()][:1]
    last = output_dir / PEOPLE
    return (*own, *([last] if last.is_file() and last not in own else []))


def with_people(
    rows: pd.DataFrame, sites: list[str], tables: Sequence[Path], settings: SiteSettings
) -> pd.DataFrame:
    """Keys, site, age and sex of every row; cells that the source lacks come from the tables.

    Parameters
    ----------
    rows
        From ``read_feature_rows`` or a folder.
    sites
        Their columns that hold the site.
    tables
        From :func:`people_tables`.
    settings
        How the site is called.

    Returns
    -------
    DataFrame
        participant_id, session_id, site (text), age (years), sex (text); NA where unknown.

    Raises
    ------
    UnusableDataError
        If a table cannot be read.
    """
    found = rows[["participant_id", "session_id"]].copy()
    found["site"] = _joined(rows, sites)
    for name in COVARIATES:
        found[name] = covariate(rows, name)
    for path in tables:
        people = read_people(path)
        own = site_columns(list(people.columns), wanted=settings.site_key)
        told = {name: covariate(people, name) for name in COVARIATES}
        for name, column in {"site": _joined(people, own), **told}.items():
            found[name] = found[name].fillna(found["participant_id"].map(column))
    found["age"] = pd.to_numeric(found["age"], errors="coerce").astype(np.float64)
    return found.astype({"site": object, "sex": object})


def all_details(rows: pd.DataFrame, tables: Sequence[Path]) -> pd.DataFrame:
    """Everything that is said of each row, as text.

    Parameters
    ----------
    rows
        From ``read_feature_rows`` or a folder.
    tables
        From :func:`people_tables`.

    Returns
    -------
    DataFrame
        Columns of the rows, then those that the tables add; cells that the rows lack come from
        the first table that has them. A column in another case is the same column.
    """
    found = rows.drop(columns=["participant_id", "session_id"]).astype(object)
    for path in tables:
        people = read_people(path)
        own = {str(name).lower(): name for name in reversed(found.columns)}
        told = {
            own.get(str(name).lower(), name): rows["participant_id"].map(people[name])
            for name in people.columns
        }
        known = pd.DataFrame(told, index=rows.index, dtype=object)
        new = [name for name in known.columns if name not in found.columns]
        found = found.combine_first(known)[[*found.columns, *new]]
    return found


def _joined(rows: pd.DataFrame, columns: list[str]) -> pd.Series:
    """The columns as one text a row; NA where all are."""
    if not columns:
        return pd.Series(pd.NA, index=rows.index, dtype=object)
    words = rows[columns].apply(lambda row: " ".join(row.dropna()) or pd.NA, axis=1)
    return words.astype(object)
