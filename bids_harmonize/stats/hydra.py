"""Subtypes as facets of a max-margin polytope around the controls (HYDRA), a comparator.

Each subtype is a hyperplane that parts its patients from all controls, and a patient belongs to
the hyperplane that he is farthest beyond. It always gives as many subtypes as it is asked for:
whether there are any is not its question.

The loss is the squared hinge, which is solved in the values themselves (p of them) and needs no
random order of people; Varol's is the hinge.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import SpectralClustering
from sklearn.svm import LinearSVC

_LARGEST_SEED = 2**31 - 1
_CANDIDATES_PER_FACET = 20
_N_ITERATIONS = 50


@dataclass(frozen=True)
class Polytope:
    """Hyperplanes with the controls on one side of all of them.

    Attributes
    ----------
    normals
        Shape (k, p), from the controls towards the patients.
    offsets
        Shape (k,).
    """

    normals: np.ndarray
    offsets: np.ndarray

    def margins(self, values: np.ndarray) -> np.ndarray:
        """How far people are beyond each facet, (n, k); under 0 on the side of the controls."""
        beyond: np.ndarray = values @ self.normals.T + self.offsets
        return beyond

    def assign(self, values: np.ndarray) -> np.ndarray:
        """The facet that each person is farthest beyond, (n,), 0 to k - 1."""
        return np.asarray(self.margins(values).argmax(axis=1))


def fit_hydra(
    values: np.ndarray,
    is_case: np.ndarray,
    k: int,
    *,
    rng: np.random.Generator,
    n_runs: int = 10,
    penalty: float = 0.25,
) -> Polytope:
    """The polytope on which several runs agree.

    Parameters
    ----------
    values
        Shape (n, p), finite, of about the same spread; covariates and site taken out.
    is_case
        Shape (n,), true for patients.
    k
        Number of subtypes, at least 1.
    rng
        Source of the starts.
    n_runs
        Number of starts; their assignments are put together by spectral clustering.
    penalty
        Of patients and controls on the wrong side, above 0.

    Returns
    -------
    Polytope
        The facet of the most patients first.

    Raises
    ------
    ValueError
        If there are fewer patients than subtypes, or no controls.

    References
    ----------
    Varol et al. 2017, doi:10.1016/j.neuroimage.2016.02.041
    """
    controls, patients = values[~is_case], values[is_case]
    if not 1 <= k <= len(patients) or len(controls) == 0:
        message = (
            f"need controls and 1 <= k <= patients, found k = {k}, {len(patients)} patients and "
            f"{len(controls)} controls"
        )
        raise ValueError(message)
    together = np.zeros((len(patients), len(patients)))
    for _ in range(n_runs if k > 1 else 1):
        start = patients @ _unlike_directions(controls, patients, k, rng).T
        labels = _alternate(controls, patients, start.argmax(axis=1), k, penalty).assign(patients)
        together += labels[:, None] == labels[None]
    labels = np.zeros(len(patients), dtype=int)
    if k > 1:
        seed = int(rng.integers(_LARGEST_SEED))
        agreed = SpectralClustering(k, affinity="precomputed", random_state=seed)
        labels = agreed.fit_predict(together / n_runs + 1e-3)
    found = _alternate(controls, patients, labels, k, penalty)
    order = np.argsort(-np.bincount(found.assign(patients), minlength=k), kind="stable")
    return Polytope(found.normals[order], found.offsets[order])


def _unlike_directions(
    controls: np.ndarray, patients: np.ndarray, k: int, rng: np.random.Generator
) -> np.ndarray:
    """Differences of a patient and a control, drawn so that they span much, (k, p), length 1.

    Each is drawn with a probability that is the square of what the former ones leave of it: the
    volume sampling by which a determinantal point process is drawn, over random candidates.
    """
    n = _CANDIDATES_PER_FACET * k
    pairs = patients[rng.integers(len(patients), size=n)]
    directions = pairs - controls[rng.integers(len(controls), size=n)]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True) + 1e-12
    left, chosen = directions.copy(), []
    for _ in range(k):
        squares = (left**2).sum(axis=1) + 1e-12
        chosen.append(int(rng.choice(n, p=squares / squares.sum())))
        axis = left[chosen[-1]] / (np.linalg.norm(left[chosen[-1]]) + 1e-12)
        left = left - np.outer(left @ axis, axis)
    return directions[chosen]


def _alternate(
    controls: np.ndarray, patients: np.ndarray, labels: np.ndarray, k: int, penalty: float
) -> Polytope:
    """Hyperplanes for the assignment, the assignment for the hyperplanes, until it stays."""
    values = np.concatenate([controls, patients])
    side = np.repeat([-1, 1], [len(controls), len(patients)])
    normals, offsets = np.zeros((k, values.shape[1])), np.full(k, -np.inf)
    for _ in range(_N_ITERATIONS):
        for facet in range(k):
            own = labels == facet
            if not own.any():
                offsets[facet] = -np.inf
                continue
            # Each side of a facet weighs as much as the other, however few its patients are.
            weights = np.r_[np.full(len(controls), own.sum() / len(controls)), own.astype(float)]
            kept = weights > 0
            machine = LinearSVC(C=penalty, dual=False)
            machine.fit(values[kept], side[kept], sample_weight=weights[kept])
            normals[facet], offsets[facet] = machine.coef_[0], machine.intercept_[0]
        found = Polytope(normals.copy(), offsets.copy())
        again = found.assign(patients)
        if np.array_equal(again, labels):
            break
        labels = again
    return found
