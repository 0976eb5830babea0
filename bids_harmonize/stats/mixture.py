"""Normal distributions that share a covariance, by expectation-maximisation.

scikit-learn has the same model (the tests hold one against the other); a small one takes it 3 ms,
nearly all of it checks, and the nulls ask for thousands. With a shared covariance a step needs
three products: the covariance within is that of everybody less that of the means.
"""

import numpy as np

_N_STEPS = 100
_LEAST_GAIN = 5e-4
"""In log-likelihood a person; a smaller gain ends the steps."""
_RIDGE = 1e-6
"""Of the mean variance, added to the covariance, for people who are all the same."""


def fit_mixture(
    scores: np.ndarray, k: int, *, rng: np.random.Generator, n_starts: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most likely of several mixtures, each begun at people who lie far apart.

    Parameters
    ----------
    scores
        Shape (n, q), finite, n above k.
    k
        Number of distributions, at least 1.
    rng
        Source of the starts.
    n_starts
        How many, at least 1.

    Returns
    -------
    means : np.ndarray
        Shape (k, q).
    covariance : np.ndarray
        Shape (q, q).
    weights : np.ndarray
        Shape (k,), sum 1.

    References
    ----------
    Dempster et al. 1977, doi:10.1111/j.2517-6161.1977.tb01600.x; starts: Arthur and
    Vassilvitskii 2007, https://dl.acm.org/doi/10.5555/1283383.1283494
    """
    center = scores.mean(axis=0)
    away = scores - center
    found = [_maximised(away, _far_apart(away, k, rng)) for _ in range(n_starts if k > 1 else 1)]
    _, means, covariance, weights = max(found, key=lambda one: one[0])
    return means + center, covariance, weights


def _far_apart(away: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """People, (k, q), each drawn by the square of the distance to those before."""
    chosen = [int(rng.integers(len(away)))]
    nearest = ((away - away[chosen[0]]) ** 2).sum(axis=1)
    for _ in range(k - 1):
        reached = np.cumsum(nearest)
        place = int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))
        chosen.append(min(place, len(away) - 1))
        nearest = np.minimum(nearest, ((away - away[chosen[-1]]) ** 2).sum(axis=1))
    starts: np.ndarray = away[chosen]
    return starts


def _maximised(
    away: np.ndarray, means: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Mean log-likelihood, means, covariance and weights after the last step."""
    n, q = away.shape
    total = away.T @ away / n
    ridge = (_RIDGE * np.trace(total) / q + 1e-300) * np.eye(q)
    distances = ((away[:, None] - means[None]) ** 2).sum(axis=2)
    shares = (distances == distances.min(axis=1, keepdims=True)).astype(float)
    shares /= shares.sum(axis=1, keepdims=True)
    likelihood = -np.inf
    for _ in range(_N_STEPS):
        counts = shares.sum(axis=0) + 1e-12
        weights = counts / counts.sum()
        means = shares.T @ away / counts[:, None]
        covariance = total - (means.T * weights) @ means + ridge
        towards = np.linalg.solve(covariance, means.T)  # (q, k)
        joint = away @ towards + np.log(weights) - 0.5 * (means * towards.T).sum(axis=1)
        largest = joint.max(axis=1, keepdims=True)
        shares = np.exp(joint - largest)
        total_share = shares.sum(axis=1, keepdims=True)
        shares /= total_share
        # The quadratic term is the same for all distributions, and its mean a trace.
        constant = q * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1]
        quadratic = np.trace(np.linalg.solve(covariance, total))
        again = float((largest + np.log(total_share)).mean() - 0.5 * (constant + quadratic))
        if again - likelihood < _LEAST_GAIN:
            break
        likelihood = again
    return again, means, covariance, weights
