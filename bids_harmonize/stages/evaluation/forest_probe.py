"""A second kind of site probe: a random forest on intensity and texture.

A network can be fooled by what it has learnt to look at; a forest on radiomic features looks at
other things, trains in seconds and needs few people. It is trained and asked as the reseeded
network is, inside each half.
"""

from collections.abc import Sequence

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from bids_harmonize.imaging.texture import image_features
from bids_harmonize.stages.evaluation.fresh_probe import folds_in_halves
from bids_harmonize.training.runtime import derived_seed
from bids_harmonize.training.volumes import VolumeSource

_N_TREES = 300
_SCAN = ["participant_id", "site"]


def texture_table(images: VolumeSource) -> pd.DataFrame:
    """Intensity and texture of every scan.

    Parameters
    ----------
    images
        Harmonized or not; features are measured in the brain, on the images' grid.

    Returns
    -------
    DataFrame
        Index key of the scan; participant_id, site, and the features.
    """
    rows = [
        {
            "participant_id": scan.participant_id,
            "site": scan.site,
            **image_features(images.volume(index), images.brain_mask(index)),
        }
        for index, scan in enumerate(images.scans)
    ]
    return pd.DataFrame(rows, index=pd.Index([scan.key for scan in images.scans], name="key"))


def forest_predictions(
    table: pd.DataFrame, halves: Sequence[frozenset[str]], *, n_folds: int, seed: int
) -> pd.DataFrame:
    """What random forests say of people whom they have not seen.

    Parameters
    ----------
    table
        What :func:`texture_table` returns, or some of its rows.
    halves
        The participants of each half.
    n_folds, seed
        Folds inside a half, at most; seed of folds and trees.

    Returns
    -------
    DataFrame
        One row a scan: key, participant_id, site, fold, ``p_<site>``.
    """
    site_of = dict(zip(table["participant_id"], table["site"], strict=True))
    features = table.drop(columns=_SCAN)
    parts = []
    for fold, split in folds_in_halves(site_of, halves, n_folds=n_folds, seed=seed):
        people = table["participant_id"]
        seen, unseen = people.isin(split.train), people.isin(split.validation)
        forest = RandomForestClassifier(
            n_estimators=_N_TREES,
            class_weight="balanced",
            random_state=derived_seed(seed, "forest", fold) % 2**32,
            n_jobs=1,
        )
        forest.fit(features[seen], table.loc[seen, "site"])
        found = forest.predict_proba(features[unseen])
        rows = table.loc[unseen, _SCAN].reset_index().assign(fold=fold)
        for column, site in enumerate(forest.classes_):
            rows[f"p_{site}"] = found[:, column]
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)
