"""How well age, sex and group are read: intervals, p-values, and what harmonization costs."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd

from bids_harmonize.stages.evaluation.biology import Reading
from bids_harmonize.stats import permutation_p_value

BIOLOGY_COLUMNS = (
    "method",
    "target",
    "model",
    "scheme",
    "metric",
    "value",
    "low",
    "high",
    "p_permutation",
    "n",
)
N_PERMUTATIONS: Final = 1000

_N_RESAMPLES = 1000


def biology_table(readings: Sequence[Reading], *, rng: np.random.Generator) -> pd.DataFrame:
    """One row a reading and metric.

    Parameters
    ----------
    readings
        From :func:`read_targets` and ``network_readings``.
    rng
        Source of the bootstrap and of the permutations.

    Returns
    -------
    DataFrame
        Columns as in :data:`BIOLOGY_COLUMNS`.
    """
    rows = []
    for reading in readings:
        for metric in reading.target.metrics:
            drawn = [reading.score(metric, places) for places in _resampled(reading, rng)]
            low, high = np.nanquantile(drawn, [0.025, 0.975])
            rows.append(
                {
                    "method": reading.method,
                    "target": reading.target.name,
                    "model": reading.model,
                    "scheme": reading.scheme,
                    "metric": metric,
                    "value": reading.score(metric),
                    "low": float(low),
                    "high": float(high),
                    "p_permutation": permutation_p(reading, metric, rng=rng),
                    "n": len(reading.people),
                }
            )
    return pd.DataFrame(rows, columns=list(BIOLOGY_COLUMNS)).astype({"n": "Int64"})


def permutation_p(reading: Reading, metric: str, *, rng: np.random.Generator) -> float:
    """How often values dealt anew within sites fit the predictions as well as the true ones.

    Parameters
    ----------
    reading
        Predictions; they stay fixed.
    metric
        Which number.
    rng
        Source of the permutations.

    Returns
    -------
    float
        From 1 / 1001 to 1.
    """
    truth, predicted, sites = reading.arrays
    statistic = reading.target.metrics[metric]
    sign = -1.0 if metric == "mae" else 1.0

    def score(true: np.ndarray, answers: np.ndarray) -> float:
        return sign * statistic(true.astype(float), answers.astype(float), sites)

    return permutation_p_value(
        list(truth),
        list(predicted),
        list(sites),
        score,
        rng=rng,
        n=N_PERMUTATIONS,
    )


def loss_interval(
    raw: Reading, harmonized: Reading, *, rng: np.random.Generator
) -> tuple[float, float, float]:
    """How much worse the same people's values are read after harmonization.

    Parameters
    ----------
    raw, harmonized
        Readings of one target and scheme, of the same people.
    rng
        Source of the bootstrap, which draws people within sites.

    Returns
    -------
    value, low, high : float
        Of age the rise of the mean absolute error as a share of the raw one; of the others the
        fall of the AUC. Above 0 it is worse.
    """
    metric = next(iter(raw.target.metrics))

    def loss(places: np.ndarray | slice = slice(None)) -> float:
        before, after = (reading.score(metric, places) for reading in (raw, harmonized))
        return after / before - 1 if metric == "mae" else before - after

    drawn = [loss(places) for places in _resampled(raw, rng)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return loss(), float(low), float(high)


def _resampled(reading: Reading, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Places of people drawn with replacement within their sites."""
    sites = reading.arrays[2]
    members = [np.flatnonzero(sites == site) for site in np.unique(sites)]
    for _ in range(_N_RESAMPLES):
        yield np.concatenate([own[rng.integers(len(own), size=len(own))] for own in members])
