"""Whether a person's tissue volumes agree between sites, before and after harmonization.

The first scan of a travelling subject at each site counts, as in the comparison of images; the
second at the same site is the ceiling: what two scans of one scanner differ by.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from bids_harmonize.stages.evaluation.comparison import CEILING, IDENTITY
from bids_harmonize.stages.evaluation.tissue_rows import TISSUES
from bids_harmonize.stats import icc_agreement, limits_of_agreement

RELIABILITY_COLUMNS = (
    "method",
    "feature",
    "source_site",
    "target_site",
    "n",
    "icc",
    "icc_low",
    "icc_high",
    "bias",
    "loa_low",
    "loa_high",
    "difference",
)
ALL_SITES = "all"
# With fewer people an intraclass correlation says nothing.
LEAST_PEOPLE = 3

_PERSON = "participant_id"
_PAIR = 2


@dataclass(frozen=True)
class _Comparison:
    """Two columns of a table of people by sites."""

    method: str
    source: str
    target: str
    values: pd.DataFrame  # index participant_id; columns source, target


def reliability_table(
    rows: pd.DataFrame, features: Sequence[str], *, reference_site: str
) -> pd.DataFrame:
    """Agreement between sites of every feature.

    Parameters
    ----------
    rows
        Tissue of travelling subjects: filename, participant_id, site, method and the features.
    features
        Columns that are compared.
    reference_site
        Stands second in every pair it is in.

    Returns
    -------
    DataFrame
        Columns as in :data:`RELIABILITY_COLUMNS`: a row a method, feature and pair of sites, and
        one over all sites where there are more than two (people who were scanned at all).
        Differences are source minus target in percent of their mean. The ceiling has one row a
        site.
    """
    found = []
    for feature in features:
        for method, own in rows.groupby("method", sort=True):
            people = _scan(own, feature, place=0)
            pairs = _pairs(str(method), people, reference_site)
            found += [{"feature": feature, **_numbers(one)} for one in pairs]
            if people.shape[1] > _PAIR:
                found.append({"feature": feature, **_over_all(str(method), people)})
        found += [{"feature": feature, **_numbers(one)} for one in _rescans(rows, feature)]
    return pd.DataFrame(found, columns=list(RELIABILITY_COLUMNS)).astype({"n": "Int64"})


def person_differences(
    rows: pd.DataFrame, *, reference_site: str, features: Sequence[str] = TISSUES
) -> pd.DataFrame:
    """How far a person's volumes of two sites are apart, mean over features and sites.

    Parameters
    ----------
    rows
        As :func:`reliability_table` takes them.
    reference_site
        The other sites are compared with it; where nobody was scanned there, all with each other.
    features
        What is averaged.

    Returns
    -------
    DataFrame
        Index participant_id, one column a method; percent, never negative.
    """
    parts = []
    for feature in features:
        for method, own in rows.groupby("method"):
            people = _scan(own, feature, place=0)
            pairs = list(_pairs(str(method), people, reference_site))
            direct = [one for one in pairs if one.target == reference_site] or pairs
            for one in direct:
                apart = _percent(one.values).abs().rename("value").reset_index()
                parts.append(apart.assign(method=method))
    if not parts:
        return pd.DataFrame()
    return pd.concat(parts).pivot_table(index=_PERSON, columns="method", values="value")


def _scan(rows: pd.DataFrame, feature: str, *, place: int) -> pd.DataFrame:
    """A person's scan number ``place`` at each site: participant_id by site."""
    ordered = rows.sort_values("filename")
    ordered = ordered[ordered.groupby([_PERSON, "site"]).cumcount() == place]
    return ordered.pivot(index=_PERSON, columns="site", values=feature)


def _pairs(method: str, people: pd.DataFrame, reference_site: str) -> Iterator[_Comparison]:
    """The reference last: it is the target of every pair it is in."""
    sites = sorted(people.columns, key=lambda site: (site == reference_site, site))
    for source, target in combinations(sites, 2):
        values = people[[source, target]].dropna()
        if len(values):
            yield _Comparison(method, source, target, values)


def _rescans(rows: pd.DataFrame, feature: str) -> Iterator[_Comparison]:
    """Second against first scan at a site, unharmonized."""
    raw = rows[rows["method"] == IDENTITY]
    first, second = (_scan(raw, feature, place=place) for place in (0, 1))
    for site in sorted(second.columns):
        values = pd.concat([second[site], first[site]], axis=1, keys=["second", "first"]).dropna()
        if len(values):
            yield _Comparison(CEILING, site, site, values)


def _numbers(one: _Comparison) -> dict[str, object]:
    percent = _percent(one.values).to_numpy()
    limits = limits_of_agreement(percent)
    return {
        "method": one.method,
        "source_site": one.source,
        "target_site": one.target,
        **_icc(one.values),
        "bias": limits.bias,
        "loa_low": limits.low,
        "loa_high": limits.high,
        "difference": float(np.abs(percent).mean()),
    }


def _over_all(method: str, people: pd.DataFrame) -> dict[str, object]:
    shared = {"method": method, "source_site": ALL_SITES, "target_site": ALL_SITES}
    return {**shared, **_icc(people.dropna())}


def _icc(values: pd.DataFrame) -> dict[str, object]:
    table = values.to_numpy(dtype=np.float64)
    found = icc_agreement(table if len(table) >= LEAST_PEOPLE else np.empty((0, 0)))
    return {"n": len(table), "icc": found.value, "icc_low": found.low, "icc_high": found.high}


def _percent(values: pd.DataFrame) -> pd.Series:
    """First minus second column in percent of their mean; 0 where both are 0."""
    first, second = (values.iloc[:, column] for column in (0, 1))
    mean = (first + second) / 2
    return (100 * (first - second) / mean.where(mean > 0)).fillna(0.0)
