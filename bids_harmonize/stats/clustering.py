"""Clusters of people in a whitened space, and how people who came later are assigned.

Clusters share one covariance: in a space that is whitened by the controls, subtypes are blobs of
about equal width at different places, and clusters of unlike widths are how a mixture describes a
single blob with a tail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp
from sklearn.cluster import KMeans

from bids_harmonize.stats.mixture import fit_mixture
from bids_harmonize.stats.whitening import widest_axes

Method = Literal["kmeans", "mixture"]
METHODS: tuple[Method, ...] = ("kmeans", "mixture")

_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Clusters:
    """Normal clusters that share a covariance, in a few dimensions; the largest first.

    Attributes
    ----------
    means
        Shape (k, q).
    covariance
        Shape (q, q), within clusters; a multiple of the identity for k-means.
    weights
        Shape (k,), shares of people, sum 1; all equal for k-means.
    """

    means: np.ndarray
    covariance: np.ndarray
    weights: np.ndarray

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.means)

    def posterior(self, scores: np.ndarray) -> np.ndarray:
        """Probability of each cluster for each person, (n, k), rows sum to 1."""
        joint = self._joint_log_density(scores)
        probabilities: np.ndarray = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        return probabilities

    def assign(self, scores: np.ndarray) -> np.ndarray:
        """The most probable cluster of each person, (n,), 0 to k - 1."""
        return np.asarray(self._joint_log_density(scores).argmax(axis=1))

    def bic(self, scores: np.ndarray) -> float:
        """Bayesian information criterion on these people; lower is better.

        References
        ----------
        Schwarz 1978, doi:10.1214/aos/1176344136
        """
        n, q = scores.shape
        n_parameters = self.k - 1 + self.k * q + q * (q + 1) // 2
        likelihood = float(logsumexp(self._joint_log_density(scores), axis=1).sum())
        return n_parameters * float(np.log(n)) - 2 * likelihood

    def direction(self, one: int, other: int) -> np.ndarray:
        """The axis that tells two clusters apart best, (q,)."""
        found: np.ndarray = np.linalg.solve(self.covariance, self.means[one] - self.means[other])
        return found

    def _joint_log_density(self, scores: np.ndarray) -> np.ndarray:
        root = np.linalg.cholesky(self.covariance)
        whitened = np.linalg.solve(root, scores.T).T  # (n, q)
        centers = np.linalg.solve(root, self.means.T).T  # (k, q)
        squares = ((whitened[:, None] - centers[None]) ** 2).sum(axis=2)
        constant = len(root) * np.log(2 * np.pi) + 2 * np.log(np.diag(root)).sum()
        density: np.ndarray = np.log(self.weights) - 0.5 * (constant + squares)
        return density


def fit_clusters(
    scores: np.ndarray,
    k: int,
    *,
    method: Method = "mixture",
    rng: np.random.Generator,
    n_starts: int = 5,
) -> Clusters:
    """Clusters of people, the best of several starts.

    Parameters
    ----------
    scores
        Shape (n, q), finite, n at least k + 1.
    k
        Number of clusters, at least 1.
    method
        ``kmeans``, or ``mixture`` of normal distributions that share a covariance.
    rng
        Source of the starts.
    n_starts
        How many.

    Returns
    -------
    Clusters
        By falling weight of their people.

    Raises
    ------
    ValueError
        If the method is unknown, or there are too few people.

    References
    ----------
    Lloyd 1982, doi:10.1109/TIT.1982.1056489; Dempster et al. 1977,
    doi:10.1111/j.2517-6161.1977.tb01600.x
    """
    if method not in METHODS:
        message = f"unknown method {method!r}. Available: {', '.join(METHODS)}"
        raise ValueError(message)
    if not 1 <= k < len(scores):
        message = f"need 1 <= k < {len(scores)} people, found k = {k}"
        raise ValueError(message)
    if k == 1:
        return _one(scores)
    if method == "kmeans":
        return _by_kmeans(scores, k, int(rng.integers(_LARGEST_SEED)), n_starts)
    means, covariance, weights = fit_mixture(scores, k, rng=rng, n_starts=n_starts)
    order = np.argsort(-weights, kind="stable")
    return Clusters(means[order], covariance, weights[order])


@dataclass(frozen=True)
class SubtypeModel:
    """Axes of a whitened space, and clusters along them.

    Attributes
    ----------
    axes
        Shape (p, q).
    clusters
        In q dimensions.
    """

    axes: np.ndarray
    clusters: Clusters

    def scores(self, whitened: np.ndarray) -> np.ndarray:
        """Positions of people along the axes, (n, q), in SD of controls."""
        along: np.ndarray = whitened @ self.axes
        return along

    def assign(self, whitened: np.ndarray) -> np.ndarray:
        """The most probable cluster of each person, (n,)."""
        return self.clusters.assign(self.scores(whitened))

    def posterior(self, whitened: np.ndarray) -> np.ndarray:
        """Probability of each cluster for each person, (n, k)."""
        return self.clusters.posterior(self.scores(whitened))


def fit_subtypes(
    whitened: np.ndarray,
    ks: Sequence[int],
    n_dimensions: int,
    *,
    method: Method = "mixture",
    rng: np.random.Generator,
    n_starts: int = 5,
) -> tuple[SubtypeModel, ...]:
    """A model for each number of clusters, along the widest axes of the same people.

    Parameters
    ----------
    whitened
        Shape (n_cases, p).
    ks
        Numbers of clusters.
    n_dimensions
        Number of axes.
    method, rng, n_starts
        As for :func:`fit_clusters`.

    Returns
    -------
    tuple of SubtypeModel
    """
    axes = widest_axes(whitened, n_dimensions)
    scores = whitened @ axes
    return tuple(
        SubtypeModel(axes, fit_clusters(scores, k, method=method, rng=rng, n_starts=n_starts))
        for k in ks
    )


def renamed(labels: np.ndarray, like: np.ndarray, answers: np.ndarray, k: int) -> np.ndarray:
    """Labels of one clustering in the names of another.

    Parameters
    ----------
    labels, like
        Shape (n,), the same people by both clusterings, 0 to k - 1.
    answers
        Shape (m,), labels of the first clustering.
    k
        Number of clusters.

    Returns
    -------
    np.ndarray
        Shape (m,), each name changed to the one that most of its people share, one to one.

    References
    ----------
    Kuhn 1955, doi:10.1002/nav.3800020109

    Examples
    --------
    >>> first, second = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    >>> renamed(first, second, first, 2)
    array([1, 1, 0, 0])
    """
    shared = np.zeros((k, k))
    np.add.at(shared, (labels, like), 1)
    return np.asarray(linear_sum_assignment(-shared)[1][answers])


def _one(scores: np.ndarray) -> Clusters:
    covariance = np.atleast_2d(np.cov(scores.T, ddof=0))
    return Clusters(scores.mean(axis=0)[None], _positive(covariance), np.ones(1))


def _by_kmeans(scores: np.ndarray, k: int, seed: int, n_starts: int) -> Clusters:
    fitted = KMeans(k, n_init=n_starts, random_state=seed).fit(scores)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=k), kind="stable")
    variance = fitted.inertia_ / scores.size
    covariance = _positive(variance * np.eye(scores.shape[1]))
    return Clusters(fitted.cluster_centers_[order], covariance, np.full(k, 1 / k))


def _positive(covariance: np.ndarray) -> np.ndarray:
    """Kept away from 0, which people who are all the same would make it."""
    return np.asarray(covariance + 1e-9 * np.eye(len(covariance)))
