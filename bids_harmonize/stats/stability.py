"""Whether clusters come again in other people: bootstrap, halves, and sites left out.

The axes are found anew with the clusters each time, so that a split which only the axes of these
people show is not stable.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.stats.clustering import Method, SubtypeModel, fit_subtypes, renamed


@dataclass(frozen=True)
class Stability:
    """How well a number of clusters comes again; adjusted Rand indices, 1 is the same, 0 chance.

    Attributes
    ----------
    bootstrap_ari
        Everybody's labels against those of models of resampled people, mean.
    split_half_ari
        Labels of one half by its own model against those by the other half's, mean.
    leave_site_out_ari
        Everybody's labels against those of a model that never saw one of the sites, the lowest
        over sites, so that a cluster which is one site shows; NaN with one site.
    per_person
        Shape (n,), share of the bootstrap models that give the person the same cluster, 0 to 1.
    """

    bootstrap_ari: float
    split_half_ari: float
    leave_site_out_ari: float
    per_person: np.ndarray


def measure_stability(
    whitened: np.ndarray,
    sites: Sequence[str],
    models: Sequence[SubtypeModel],
    *,
    method: Method,
    n_resamples: int,
    rng: np.random.Generator,
) -> tuple[Stability, ...]:
    """How well each model's clusters come again.

    Parameters
    ----------
    whitened
        Shape (n_cases, p).
    sites
        One name a patient.
    models
        Fitted to these people, with numbers of clusters that differ.
    method
        As they were fitted.
    n_resamples
        Number of bootstrap samples, and of halvings.
    rng
        Source of both.

    Returns
    -------
    tuple of Stability
        In the order of the models.

    References
    ----------
    Hubert and Arabie 1985, doi:10.1007/BF01908075; Hennig 2007, doi:10.1016/j.csda.2006.11.025
    """
    refit = _Refit(models, method, rng)
    labels = [model.assign(whitened) for model in models]
    again, same = _bootstrap(whitened, labels, refit, n_resamples)
    halves = _halves(whitened, refit, n_resamples)
    apart = _without_sites(whitened, np.asarray(sites, dtype=object), labels, refit)
    return tuple(
        Stability(bootstrap, split_half, left_out, own)
        for bootstrap, split_half, left_out, own in zip(again, halves, apart, same, strict=True)
    )


@dataclass(frozen=True)
class _Refit:
    """Fits all models again to other people."""

    models: Sequence[SubtypeModel]
    method: Method
    rng: np.random.Generator

    def __call__(self, people: np.ndarray) -> tuple[SubtypeModel, ...]:
        n_dimensions = self.models[0].axes.shape[1]
        ks = [model.clusters.k for model in self.models]
        return fit_subtypes(people, ks, n_dimensions, method=self.method, rng=self.rng, n_starts=2)


def _bootstrap(
    whitened: np.ndarray, labels: list[np.ndarray], refit: _Refit, n: int
) -> tuple[list[float], list[np.ndarray]]:
    """Mean index, and share of resamples that agree on each person."""
    size = len(whitened)
    found: list[list[float]] = [[] for _ in labels]
    same = [np.zeros(size) for _ in labels]
    for _ in range(n):
        again = refit(whitened[refit.rng.integers(size, size=size)])
        for i, (own, model) in enumerate(zip(labels, again, strict=True)):
            other = model.assign(whitened)
            found[i].append(adjusted_rand_score(own, other))
            same[i] += own == renamed(other, own, other, model.clusters.k)
    return [_mean(values) for values in found], [total / n for total in same]


def _halves(whitened: np.ndarray, refit: _Refit, n: int) -> list[float]:
    found: list[list[float]] = [[] for _ in refit.models]
    for _ in range(n):
        first, second = np.array_split(refit.rng.permutation(len(whitened)), 2)
        pairs = zip(refit(whitened[first]), refit(whitened[second]), strict=True)
        for values, (one, other) in zip(found, pairs, strict=True):
            values += [
                adjusted_rand_score(one.assign(whitened[half]), other.assign(whitened[half]))
                for half in (first, second)
            ]
    return [_mean(values) for values in found]


def _without_sites(
    whitened: np.ndarray, sites: np.ndarray, labels: list[np.ndarray], refit: _Refit
) -> list[float]:
    """The lowest index over sites, NaN where too few people are left."""
    names, counts = np.unique(sites, return_counts=True)
    largest_k = max(model.clusters.k for model in refit.models)
    if len(names) < 2 or len(whitened) - counts.max() <= largest_k:
        return [float("nan")] * len(labels)
    lowest = [1.0] * len(labels)
    for name in names:
        again = refit(whitened[sites != name])
        for i, (own, model) in enumerate(zip(labels, again, strict=True)):
            lowest[i] = min(lowest[i], float(adjusted_rand_score(own, model.assign(whitened))))
    return lowest


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
