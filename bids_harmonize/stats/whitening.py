"""The few directions in which patients vary more than controls do.

People's deviations are divided by the covariance of the controls, so that what varies in everybody
(a thick cortex as a whole, a noisy region, a site that was not taken out) varies by 1 in every
direction and finds no clusters. The patients' covariance is then wide where the disorder makes
them differ, and its widest axes are the subspace.

How many of them count is asked of the controls: again and again one half of them plays the
controls, and the other half and as many patients are both held out. A covariance that was
estimated on few people is too narrow for anybody whom it has not seen, patient or control, and so
is a site mean; both are in the null, and neither makes a dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

MAX_DIMENSIONS = 5
_SMALLEST = 4


@dataclass(frozen=True)
class Whitening:
    """Center and matrix that make the covariance of controls the identity.

    Attributes
    ----------
    center
        Shape (p,), mean of the controls, in the unit of the deviations.
    matrix
        Shape (p, p), inverse square root of their covariance.
    """

    center: np.ndarray
    matrix: np.ndarray

    def apply(self, deviations: np.ndarray) -> np.ndarray:
        """Whitened deviations.

        Parameters
        ----------
        deviations
            Shape (n, p).

        Returns
        -------
        np.ndarray
            Shape (n, p), in SD of controls.
        """
        whitened: np.ndarray = (deviations - self.center) @ self.matrix
        return whitened

    def undo(self, whitened: np.ndarray) -> np.ndarray:
        """Deviations, (n, p), of whitened ones, (n, p); the inverse of :meth:`apply`."""
        deviations: np.ndarray = whitened @ np.linalg.pinv(self.matrix) + self.center
        return deviations


def fit_whitening(controls: np.ndarray) -> Whitening:
    """What makes the covariance of these people the identity.

    Their covariance is shrunk towards that of unrelated values of their own variances, so that
    there is an inverse with fewer people than values too.

    Parameters
    ----------
    controls
        Shape (n, p), finite, n at least 4.

    Returns
    -------
    Whitening
        A value that is the same for all controls is left as it is, times 0.

    Raises
    ------
    ValueError
        If there are too few people, or values that are not finite.

    References
    ----------
    Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4

    Examples
    --------
    >>> people = np.random.default_rng(0).standard_normal((4000, 2)) @ np.array([[3, 0], [3, 1]])
    >>> np.cov(fit_whitening(people).apply(people).T).round(1) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """
    values = np.asarray(controls, dtype=np.float64)
    if values.ndim != 2 or len(values) < _SMALLEST or not np.isfinite(values).all():
        message = f"need finite values (n >= {_SMALLEST}, p) of controls, found {values.shape}"
        raise ValueError(message)
    center = values.mean(axis=0)
    spread = values.std(axis=0)
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    covariance, _ = ledoit_wolf((values - center) * inverse, assume_centered=True)
    sizes, axes = np.linalg.eigh(covariance)
    root = (axes / np.sqrt(np.maximum(sizes, 1e-12))) @ axes.T
    return Whitening(center, inverse[:, None] * root)


def widest_axes(whitened: np.ndarray, n: int) -> np.ndarray:
    """The axes along which people vary most about their own mean.

    Parameters
    ----------
    whitened
        Shape (n_people, p).
    n
        Number of axes, 1 to p.

    Returns
    -------
    np.ndarray
        Shape (p, n), orthonormal, widest first; the entry of each that is farthest from 0 is
        above 0, so that the sign is not the library's.
    """
    axes = np.linalg.eigh(np.cov(whitened.T))[1][:, ::-1][:, :n]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    signed: np.ndarray = axes * np.sign(largest)
    return signed


@dataclass(frozen=True)
class Split:
    """One way to halve the controls, and who is compared by it.

    Attributes
    ----------
    whitening
        Fitted on the first half.
    shifts
        Shape (n_cases, p), site means of the first half, to be taken from each patient.
    cases
        Indices of the patients that are compared, as many as there are held-out controls.
    widest_control
        Variance of the held-out controls along their own widest axis.
    """

    whitening: Whitening
    shifts: np.ndarray
    cases: np.ndarray
    widest_control: float


def split_controls(
    controls: np.ndarray,
    control_sites: Sequence[str],
    case_sites: Sequence[str],
    *,
    rng: np.random.Generator,
    n_splits: int = 20,
) -> tuple[Split, ...]:
    """Halves of the controls, once for all sets of patients that are held against them.

    Parameters
    ----------
    controls
        Shape (n, p).
    control_sites, case_sites
        One name a person; equal names for all leave the sites where they are.
    rng
        Source of the halves.
    n_splits
        How many.

    Returns
    -------
    tuple of Split
        Patients beyond the number of held-out controls are left out of the comparison at
        random, and the other way round, since the widest of few people is wider.
    """
    splits = []
    n_cases = len(case_sites)
    sites = np.asarray(control_sites, dtype=object)
    for _ in range(n_splits):
        order = rng.permutation(len(controls))
        first, second = np.array_split(order, 2)
        cases = rng.permutation(n_cases)[: len(second)]
        second = second[: len(cases)]
        own, theirs = _site_means(controls[first], sites[first], control_sites, case_sites)
        whitening = fit_whitening(controls[first] - own[first])
        widest = _variances(whitening.apply(controls[second] - own[second]))[0]
        splits.append(Split(whitening, theirs, cases, float(widest)))
    return tuple(splits)


@dataclass(frozen=True)
class Excess:
    """How much wider patients are than held-out controls, axis by axis.

    Attributes
    ----------
    variances
        Shape (d,), patients' variances along their widest axes, median over splits; 1 is that
        of controls in whom the covariance was estimated.
    limit
        What held-out controls reach along their widest axis, at the level asked for. It holds
        for the second axis too: behind one real dimension the next is the widest of chance.
    n_dimensions
        How many axes are beyond the limit, 0 to d.
    """

    variances: np.ndarray
    limit: float
    n_dimensions: int


def find_excess(cases: np.ndarray, splits: Sequence[Split], *, level: float = 0.95) -> Excess:
    """The dimensions in which patients vary more than held-out controls do.

    Parameters
    ----------
    cases
        Shape (n_cases, p), deviations in the unit of the controls'.
    splits
        Of :func:`split_controls`.
    level
        Quantile over the splits of the controls' variances that the patients' median must pass.

    Returns
    -------
    Excess
    """
    measured = np.stack(
        [_variances(s.whitening.apply(cases[s.cases] - s.shifts[s.cases])) for s in splits]
    )
    variances = np.median(measured, axis=0)
    limit = float(np.quantile([s.widest_control for s in splits], level))
    return Excess(variances, limit, int(np.sum(variances > limit)))


def _site_means(values: np.ndarray, sites: np.ndarray, *asked: Sequence[str]) -> list[np.ndarray]:
    """Means at the sites asked for, (n, p) each; that of everybody at sites without values."""
    everybody = values.mean(axis=0)
    means = {name: values[sites == name].mean(axis=0) for name in np.unique(sites)}
    return [np.stack([means.get(name, everybody) for name in names]) for names in asked]


def _variances(whitened: np.ndarray) -> np.ndarray:
    """Variances along the widest axes, (d,), by the smaller of the two matrices."""
    away = whitened - whitened.mean(axis=0)
    small = away.T @ away if away.shape[1] <= away.shape[0] else away @ away.T
    sizes = np.linalg.eigvalsh(small)[::-1] / (len(away) - 1)
    found: np.ndarray = sizes[: min(MAX_DIMENSIONS, away.shape[1], len(away) - 1)]
    return found
