"""Methods side by side: means over people, intervals, the gap closed and the primary test.

The primary endpoint was named before anything was computed: brain PSNR of kind ``direct``, per
person averaged over source sites, against the best training-free baseline, which is the one with
the highest mean on the same people. Where nobody was scanned at the reference (it is virtual, or
known by its card), it is the same of kind ``agreement``. Holm's correction runs over the tested
methods. Every other number is descriptive. Rejected: a test in every row, which would invite
picking one.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.stats import bootstrap_interval, holm, wilcoxon_paired

METHODS_COLUMNS = (
    "method",
    "source_site",
    "target_site",
    "kind",
    "mask",
    "metric",
    "n",
    "mean",
    "low",
    "high",
    "gap_closed",
    "p_vs_best_baseline",
)
ALL_SITES = "all"
DIRECT, AGREEMENT = "direct", "agreement"
IDENTITY, CEILING = "identity", "ceiling"
GAP_METRICS = ("psnr", "ssim")
LEAST_GAP_DB = 1.0

_DIRECTION = ["source_site", "target_site", "kind"]
_ROW = ["method", *_DIRECTION, "mask", "metric"]


@dataclass(frozen=True)
class PrimaryTest:
    """The primary comparison of one method with the best training-free baseline.

    Attributes
    ----------
    difference_db
        One value a person: brain PSNR of the method minus that of the baseline.
    p_value
        Two-sided, corrected by Holm over methods.
    """

    method: str
    baseline: str
    difference_db: tuple[float, ...]
    p_value: float


def methods_table(
    travelling: pd.DataFrame, tests: Sequence[PrimaryTest], *, rng: np.random.Generator
) -> pd.DataFrame:
    """One row a method, direction, mask and metric.

    Parameters
    ----------
    travelling
        Rows of group_travelling.tsv.
    tests
        Results of :func:`primary_tests`.
    rng
        Source of the bootstrap.

    Returns
    -------
    DataFrame
        Columns as in :data:`METHODS_COLUMNS`; every n counts people.
    """
    frame = pd.concat([travelling, _over_sources(travelling)], ignore_index=True)
    rows = []
    for key, group in frame.groupby(_ROW, sort=True):
        values = group["value"].to_numpy(dtype=np.float64)
        values = values[~np.isnan(values)]
        low, high = bootstrap_interval(values, rng=rng)
        numbers = {"n": values.size, "mean": mean_or_nan(values), "low": low, "high": high}
        rows.append({**dict(zip(_ROW, key, strict=True)), **numbers})
    table = pd.DataFrame(rows, columns=[*_ROW, "n", "mean", "low", "high"])
    table["gap_closed"] = [_gap_closed(travelling, row) for row in table.to_dict("records")]
    p_values = {test.method: test.p_value for test in tests}
    primary = _is_primary(table)
    table["p_vs_best_baseline"] = table["method"].map(p_values).astype(float).where(primary)
    return table[list(METHODS_COLUMNS)]


def person_means(
    travelling: pd.DataFrame, *, metric: str = "psnr", mask: str = "brain"
) -> pd.DataFrame:
    """One value a person and method: of the primary kind, averaged over source sites.

    Parameters
    ----------
    travelling
        Rows of group_travelling.tsv.
    metric, mask
        Which number.

    Returns
    -------
    DataFrame
        Index participant_id, one column a method, NaN where a method has no value.
    """
    pooled = _over_sources(travelling)
    own = pooled[(pooled["metric"] == metric) & (pooled["mask"] == mask)]
    return own.pivot_table(index="participant_id", columns="method", values="value")


def primary_kind(travelling: pd.DataFrame) -> str:
    """``direct``; ``agreement`` where there are scans of two source sites and none to go to.

    Parameters
    ----------
    travelling
        Rows of group_travelling.tsv.

    Returns
    -------
    str
        What the primary endpoint is taken from.
    """
    kinds = set(travelling["kind"])
    return AGREEMENT if AGREEMENT in kinds and DIRECT not in kinds else DIRECT


def best_baseline(people: pd.DataFrame, training_free: Sequence[str]) -> str | None:
    """The training-free method with the highest mean on the same people.

    Parameters
    ----------
    people
        What :func:`person_means` returns.
    training_free
        Names of the methods that may be it; doing nothing is one of them.

    Returns
    -------
    str or None
        ``None`` without travelling subjects.
    """
    own = people[[name for name in training_free if name in people.columns]].dropna()
    return None if own.empty else str(own.mean().idxmax())


def primary_tests(
    travelling: pd.DataFrame, *, trained: Sequence[str], training_free: Sequence[str]
) -> tuple[PrimaryTest, ...]:
    """The primary endpoint of every trained harmonizer.

    Parameters
    ----------
    travelling
        Rows of group_travelling.tsv.
    trained, training_free
        Names of the methods of each sort.

    Returns
    -------
    tuple of PrimaryTest
        Empty without travelling subjects or brain masks.

    References
    ----------
    Wilcoxon 1945, doi:10.2307/3001968; Holm 1979, https://www.jstor.org/stable/4615733
    """
    people = person_means(travelling)
    baseline = best_baseline(people, training_free)
    if baseline is None:
        return ()
    differences = {
        method: (people[method] - people[baseline]).dropna().to_numpy()
        for method in trained
        if method in people.columns
    }
    raw = [wilcoxon_paired(values, np.zeros_like(values)) for values in differences.values()]
    return tuple(
        PrimaryTest(method, baseline, tuple(float(value) for value in values), float(p_value))
        for (method, values), p_value in zip(differences.items(), holm(raw), strict=True)
    )


def _over_sources(travelling: pd.DataFrame) -> pd.DataFrame:
    """The primary kind, averaged over source sites (pairs of them) within a person."""
    kind = primary_kind(travelling)
    rows = travelling[travelling["kind"] == kind]
    if kind == AGREEMENT:
        rows = rows.assign(target_site=ALL_SITES)
    keys = ["participant_id", "target_site", "kind", "method", "mask", "metric"]
    pooled = rows.groupby(keys, as_index=False)["value"].mean()
    return pooled.assign(source_site=ALL_SITES)


def mean_or_nan(values: np.ndarray) -> float:
    """Mean of what was measured; NaN where nothing was.

    Examples
    --------
    >>> mean_or_nan(np.array([1.0, 2.0])), mean_or_nan(np.array([]))
    (1.5, nan)
    """
    return float(values.mean()) if values.size else np.nan


def _is_primary(table: pd.DataFrame) -> pd.Series:
    return (
        (table["source_site"] == ALL_SITES)
        & (table["mask"] == "brain")
        & (table["metric"] == "psnr")
    )


def _gap_closed(travelling: pd.DataFrame, row: Mapping[Hashable, Any]) -> float:
    """(method - identity) / (ceiling - identity) on the people who have all three."""
    if row["metric"] not in GAP_METRICS or row["source_site"] == ALL_SITES:
        return np.nan
    chosen = np.logical_and.reduce([travelling[key] == row[key] for key in [*_DIRECTION, "mask"]])
    wide = travelling[chosen].pivot_table(
        index="participant_id", columns=["metric", "method"], values="value"
    )
    needed = [
        (m, n) for m in ("psnr", row["metric"]) for n in ("identity", "ceiling", row["method"])
    ]
    if any(column not in wide.columns for column in needed):
        return np.nan
    means = wide[list(dict.fromkeys(needed))].dropna().mean().to_dict()
    if not means["psnr", "ceiling"] - means["psnr", "identity"] > LEAST_GAP_DB:
        return np.nan
    metric = row["metric"]
    gap = means[metric, "ceiling"] - means[metric, "identity"]
    return float((means[metric, row["method"]] - means[metric, "identity"]) / gap)
