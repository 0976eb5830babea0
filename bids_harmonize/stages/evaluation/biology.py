"""Whether age, sex and group can still be read from people after harmonization.

Ridge regression predicts each of them from the features of ``group_features.tsv``, on people whom
the harmonizer has not seen: inside every site by cross-validation, and for every site from all
others. Explained variance and AUC are counted within sites, so that a difference between sites
never helps.

Choice: one model for age and for the two-valued ones (its prediction ranks people for the AUC).
Networks on images (``network_biology``) are scored likewise; they need the people of many sites.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bids_harmonize.training.splits import Split, make_folds

WITHIN, LEAVE_OUT, ACROSS = "within_site", "leave_site_out", "across_sites"
RIDGE, NETWORK = "ridge", "network"
LEAST_PEOPLE: Final = 10
"""People of a site with a known value; fewer, and the site takes no part."""
LEAST_OF_A_KIND: Final = 4
"""Of each of the two values (of sex, of group) at a site."""
N_FOLDS: Final = 5

_PENALTIES = np.logspace(-1, 4, 11)


@dataclass(frozen=True)
class Target:
    """What is to be read.

    Attributes
    ----------
    name
        ``age``, ``sex`` or ``group``.
    values
        Index participant_id; years, or 0 and 1. Only people in whom it is known.
    """

    name: str
    values: pd.Series

    @property
    def metrics(self) -> Mapping[str, "Statistic"]:
        """Name to statistic; a loss is told in the first one, p is that of the last one."""
        return {"mae": _mae, "r2": _r2} if self.name == "age" else {"auc": _auc}


Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
"""Takes truth, prediction and number of the site of each person; NaN where not defined."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Predictions of one target from one method's images, or from the tissue in them.

    ``people`` has the index participant_id and the columns site, truth and predicted.
    """

    method: str
    target: Target
    scheme: str
    people: pd.DataFrame
    model: str = RIDGE

    @cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Truth, prediction and number of the site of each person."""
        truth, predicted = (
            self.people[name].to_numpy(np.float64) for name in ("truth", "predicted")
        )
        return truth, predicted, np.unique(self.people["site"], return_inverse=True)[1]

    def score(self, metric: str, places: np.ndarray | slice = slice(None)) -> float:
        """The metric over all people, or over those at these places, who may come twice."""
        truth, predicted, site = (column[places] for column in self.arrays)
        return self.target.metrics[metric](truth, predicted, site)


def read_targets(
    tissue: pd.DataFrame,
    features: Sequence[str],
    targets: Sequence[Target],
    site_of: Mapping[str, str],
    *,
    seed: int,
) -> tuple[Reading, ...]:
    """Predict every target of everybody, out of fold and out of site.

    Parameters
    ----------
    tissue
        participant_id, site, method and the features, several scans a person allowed. Every
        method holds the same scans.
    features
        What is predicted from.
    targets
        What is predicted.
    site_of
        The people who take part, each with the one site whose scans count.
    seed
        Deals the folds; they are the same for all methods.

    Returns
    -------
    tuple of Reading
        Nothing for a target that no site knows of enough people; nothing out of site where only
        one does.
    """
    own = tissue[tissue["participant_id"].map(site_of) == tissue["site"]]
    means = own.groupby(["method", "participant_id"])[list(features)].mean()
    found = []
    for target in targets:
        people = known_people(target, site_of, sorted(set(own["participant_id"])))
        for method in sorted(set(own["method"])):
            rows = means.loc[method].loc[people.index].to_numpy(dtype=np.float64)
            for scheme, splits in (
                (WITHIN, _within(people, target, seed=seed)),
                (LEAVE_OUT, _leave_out(people)),
            ):
                predicted = _predict(rows, people["truth"].to_numpy(), splits)
                if not np.isnan(predicted).all():
                    found.append(
                        Reading(method, target, scheme, people.assign(predicted=predicted))
                    )
    return tuple(found)


def known_people(target: Target, site_of: Mapping[str, str], there: Sequence[str]) -> pd.DataFrame:
    """Everybody at sites that know of enough people.

    Parameters
    ----------
    target
        What must be known.
    site_of
        Participant to site.
    there
        The participants who were measured.

    Returns
    -------
    DataFrame
        Index participant_id; site and truth.
    """
    known = [person for person in there if person in target.values.index]
    truth = target.values.reindex(known).astype(np.float64)
    frame = pd.DataFrame({"site": [site_of[one] for one in known], "truth": truth}, index=known)
    enough = frame.groupby("site")["truth"].transform("size") >= LEAST_PEOPLE
    if target.name != "age":
        kinds = frame.groupby("site")["truth"]
        enough &= kinds.transform("sum") >= LEAST_OF_A_KIND
        enough &= kinds.transform("size") - kinds.transform("sum") >= LEAST_OF_A_KIND
    return frame[enough]


Splits = Iterator[tuple[np.ndarray, np.ndarray]]
"""Places of the people to train on, and of those to predict."""


def _within(people: pd.DataFrame, target: Target, *, seed: int) -> Splits:
    """Folds inside each site; two-valued targets are spread evenly over them."""
    if people.empty:
        return
    for fold in spread_folds(people, target, seed=seed):
        for site in sorted(set(people["site"])):
            is_own = (people["site"] == site).to_numpy()
            held_out = people.index.isin(fold.validation)
            yield np.flatnonzero(is_own & ~held_out), np.flatnonzero(is_own & held_out)


def spread_folds(people: pd.DataFrame, target: Target, *, seed: int) -> tuple[Split, ...]:
    """Folds over which sites, and both values of a two-valued target, are spread evenly.

    Parameters
    ----------
    people
        What :func:`known_people` returns; not empty.
    target
        What is read.
    seed
        Deals the people.

    Returns
    -------
    tuple of Split
        Up to :data:`N_FOLDS`.
    """
    strata = people["site"].astype(str)
    if target.name != "age":
        strata = strata + "/" + people["truth"].astype(int).astype(str)
    n_folds = min(N_FOLDS, int(strata.value_counts().min()))
    stratum_of = dict(zip(people.index, strata, strict=True))
    return make_folds(stratum_of, n_folds=n_folds, seed=seed)


def _leave_out(people: pd.DataFrame) -> Splits:
    sites = sorted(set(people["site"]))
    for site in sites if len(sites) > 1 else ():
        is_own = (people["site"] == site).to_numpy()
        yield np.flatnonzero(~is_own), np.flatnonzero(is_own)


def _predict(rows: np.ndarray, truth: np.ndarray, splits: Splits) -> np.ndarray:
    predicted = np.full(len(rows), np.nan)
    for seen, unseen in splits:
        model = make_pipeline(StandardScaler(), RidgeCV(alphas=_PENALTIES))
        predicted[unseen] = model.fit(rows[seen], truth[seen]).predict(rows[unseen])
    return predicted


def _mae(truth: np.ndarray, predicted: np.ndarray, _: np.ndarray) -> float:
    return float(np.abs(truth - predicted).mean())


def _r2(truth: np.ndarray, predicted: np.ndarray, sites: np.ndarray) -> float:
    """Share of the variance within sites that is predicted; below 0 it is worse than the mean."""
    counts = np.maximum(np.bincount(sites), 1)
    means = (np.bincount(sites, weights=truth) / counts)[sites]
    spread = ((truth - means) ** 2).sum()
    return float(1 - ((truth - predicted) ** 2).sum() / spread) if spread > 0 else float("nan")


def _auc(truth: np.ndarray, predicted: np.ndarray, sites: np.ndarray) -> float:
    """Share of pairs of unlike people of one site that are ranked rightly."""
    right, pairs = 0.0, 0.0
    for site in np.unique(sites):
        is_own = sites == site
        is_one, ranks = truth[is_own] == 1, rankdata(predicted[is_own])
        n_one, n_zero = int(is_one.sum()), int((~is_one).sum())
        right += float(ranks[is_one].sum()) - n_one * (n_one + 1) / 2
        pairs += n_one * n_zero
    return right / pairs if pairs else float("nan")
