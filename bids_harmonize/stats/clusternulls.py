"""How far apart clusters of a single normal blob come out, by the same search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from sklearn.covariance import ledoit_wolf

from bids_harmonize.stats.clustering import Clusters, Method, fit_clusters
from bids_harmonize.stats.excess import Split, find_excess
from bids_harmonize.stats.unimodality import dip
from bids_harmonize.stats.whitening import Whitening, widest_axes

_FEWEST = 4
_ENOUGH = 10
"""A null that was reached so often is given up: its p is beyond 0.1 whatever else is drawn."""


def separation(scores: np.ndarray, clusters: Clusters) -> float:
    """Gap between the two clusters that are the least apart: the dip along their axis.

    A gap, not the fit of a mixture, because a mixture also describes one blob with a tail: of
    people who differ in severity only, most of them mildly ill, two normal clusters fit far
    better than one, and no gap lies between them.

    Parameters
    ----------
    scores
        Shape (n, q).
    clusters
        Of these people.

    Returns
    -------
    float
        0 to 0.25, higher is more apart; 0 with one cluster, or one that has under 4 people.
    """
    labels = clusters.assign(scores)
    if clusters.k == 1 or np.bincount(labels, minlength=clusters.k).min() < _FEWEST:
        return 0.0
    return min(
        dip(scores[(labels == one) | (labels == other)] @ clusters.direction(one, other))
        for one, other in combinations(range(clusters.k), 2)
    )


@dataclass(frozen=True, eq=False)
class Null:
    """Gap between the patients' clusters, and those of clusters of drawn blobs.

    Attributes
    ----------
    observed
        Of the patients, by the same search as the draws; NaN where nothing was drawn.
    draws
        Shape (n_drawn,), one gap a blob, in the order in which they were drawn.
    """

    observed: float
    draws: np.ndarray

    @property
    def p(self) -> float:
        """``(1 + number that are as far apart) / (n_drawn + 1)``; NaN where nothing was drawn."""
        if not len(self.draws):
            return float("nan")
        n_reached = int((self.draws >= self.observed).sum())
        return (1 + n_reached) / (len(self.draws) + 1)


NOT_DRAWN = Null(float("nan"), np.empty(0))
"""Where a null was not asked for."""


@dataclass(frozen=True)
class Search:
    """All of the pipeline but the patients, so that it is done again with drawn ones.

    Attributes
    ----------
    whitening
        Of all controls.
    splits
        Of the controls.
    method
        How clusters are found.
    n_starts
        Starts of a clustering.
    """

    whitening: Whitening
    splits: Sequence[Split]
    method: Method
    n_starts: int = 2

    def separation(self, cases: np.ndarray, k: int, rng: np.random.Generator) -> float:
        """Gap between k clusters of these patients, (n_cases, p), in a subspace of their own."""
        n_dimensions = max(1, find_excess(cases, self.splits).n_dimensions)
        whitened = self.whitening.apply(cases)
        return self.separation_along(whitened @ widest_axes(whitened, n_dimensions), k, rng)

    def separation_along(self, scores: np.ndarray, k: int, rng: np.random.Generator) -> float:
        """Gap between k clusters of these scores, (n_cases, q)."""
        clusters = fit_clusters(scores, k, method=self.method, rng=rng, n_starts=self.n_starts)
        return separation(scores, clusters)


def full_space_null(
    cases: np.ndarray, k: int, search: Search, *, rng: np.random.Generator, n_null: int
) -> Null:
    """How far apart clusters of one normal blob of all values come out of the whole pipeline.

    Parameters
    ----------
    cases
        Shape (n_cases, p), deviations; the blob has their mean and their covariance, shrunk.
    k
        Number of clusters.
    search
        The pipeline.
    rng
        Source of the blobs and of starts.
    n_null
        Number of blobs.

    Returns
    -------
    Null
        Of ``n_null`` draws, or fewer where 10 have been as far apart as the patients already
        (Besag and Clifford's stop).

    References
    ----------
    Liu et al. 2008, doi:10.1198/016214508000000454; Besag and Clifford 1991,
    doi:10.1093/biomet/78.2.301
    """
    whitened = search.whitening.apply(cases)
    center = whitened.mean(axis=0)
    root = _root(ledoit_wolf(whitened - center, assume_centered=True)[0])

    def draw() -> float:
        blob = center + rng.standard_normal(whitened.shape) @ root
        return search.separation(search.whitening.undo(blob), k, rng)

    observed = search.separation(cases, k, rng)
    return _drawn(observed, draw, n_null)


def subspace_null(
    scores: np.ndarray, k: int, search: Search, *, rng: np.random.Generator, n_null: int
) -> Null:
    """How far apart clusters of one normal blob come out in the subspace that was chosen.

    Parameters
    ----------
    scores
        Shape (n_cases, q); the blob has their mean and covariance.
    k, search, rng, n_null
        As for :func:`full_space_null`.

    Returns
    -------
    Null
        As of :func:`full_space_null`.
    """
    root = _root(np.atleast_2d(np.cov(scores.T)))

    def draw() -> float:
        blob = scores.mean(axis=0) + rng.standard_normal(scores.shape) @ root
        return search.separation_along(blob, k, rng)

    observed = search.separation_along(scores, k, rng)
    return _drawn(observed, draw, n_null)


def _drawn(observed: float, draw: Callable[[], float], n_null: int) -> Null:
    draws: list[float] = []
    n_reached = 0
    while len(draws) < n_null and n_reached < _ENOUGH:
        draws.append(draw())
        n_reached += draws[-1] >= observed
    return Null(observed, np.array(draws))


def _root(covariance: np.ndarray) -> np.ndarray:
    sizes, axes = np.linalg.eigh(covariance)
    root: np.ndarray = (axes * np.sqrt(np.maximum(sizes, 0.0))) @ axes.T
    return root
