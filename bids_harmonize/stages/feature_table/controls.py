"""Controls of the site classifier on tables: exchanged sites, and age and sex alone."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bids_harmonize.stages.feature_table.study import FeatureStudy
from bids_harmonize.tables.features import sex_words
from bids_harmonize.training.splits import Split, exchange_sites


def exchanged_sites(study: FeatureStudy, folds: Sequence[Split], *, seed: int) -> np.ndarray:
    """Site of every row after the participants of each fold have exchanged theirs.

    Parameters
    ----------
    study
        The table.
    folds
        Exchanging stays inside a fold, so that every fold keeps all sites.
    seed
        The run's seed.

    Returns
    -------
    np.ndarray
        Text, shape (n_rows,); rows that do not train keep their site.
    """
    exchanged = exchange_sites(study.site_of_participant(), folds, seed=seed)
    rows = zip(study.rows["participant_id"], study.rows["site"], strict=True)
    return np.array([exchanged.get(person, site) for person, site in rows], dtype=object)


def covariate_features(study: FeatureStudy) -> np.ndarray | None:
    """Age and sex as numbers.

    Parameters
    ----------
    study
        The table.

    Returns
    -------
    np.ndarray or None
        Shape (n_rows, n_columns): age in years (NaN where unknown), whether it is unknown, and
        one column a sex and for an unknown one, 0 or 1. ``None`` where neither age nor sex varies
        among the rows that train.
    """
    age = study.rows["age"].to_numpy()
    sex = sex_words(study.rows["sex"])
    told = [age, *pd.get_dummies(sex, dtype=np.float64).to_numpy().T]
    if not any(_varies(column, study.trains) for column in told):
        return None
    unknown = [np.isnan(age), sex.isna().to_numpy()]
    columns = [*told, *(column.astype(np.float64) for column in unknown)]
    varying = [column for column in columns if _varies(column, study.trains)]
    return np.stack(varying, axis=1)


def _varies(column: np.ndarray, trains: np.ndarray) -> bool:
    return len(np.unique(column[trains & np.isfinite(column)])) > 1
