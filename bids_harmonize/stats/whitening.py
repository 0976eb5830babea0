"""Deviations of people in units of the controls' own, and the axes along which some vary most.

What varies in everybody (a thick cortex as a whole, a noisy region, a site that was not taken out)
varies by 1 in every direction once deviations are divided by the covariance of the controls, and
finds no clusters: k-means of the regions' raw values finds sites.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

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
