"""How far a scan lies from every group that a classifier was trained on."""

import numpy as np
from sklearn.covariance import LedoitWolf


def shared_precision(features: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the classes, and the inverse of the covariance that they share.

    Parameters
    ----------
    features
        Shape (n_scans, F), finite.
    classes
        Class of each scan, integers from 0; every class has a scan.

    Returns
    -------
    means : np.ndarray
        Shape (n_classes, F).
    precision : np.ndarray
        Shape (F, F); the covariance within classes is shrunk towards a multiple of the identity
        (Ledoit and Wolf), so that it has an inverse with fewer scans than features too.

    References
    ----------
    Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4
    """
    kinds = np.unique(classes)
    means = np.stack([features[classes == kind].mean(axis=0) for kind in kinds])
    within = features - means[np.searchsorted(kinds, classes)]
    return means, np.asarray(LedoitWolf(assume_centered=True).fit(within).precision_)


def mahalanobis_scores(
    features: np.ndarray, means: np.ndarray, precision: np.ndarray
) -> np.ndarray:
    """Distance of each scan to the nearest class.

    Parameters
    ----------
    features
        Shape (n_scans, F).
    means, precision
        From :func:`shared_precision`.

    Returns
    -------
    np.ndarray
        Shape (n_scans,), Mahalanobis distance, at least 0; higher is less like any class.

    References
    ----------
    Lee et al. 2018, https://proceedings.neurips.cc/paper/2018/hash/abdeb6f575ac5c6676b747bca8d09cc2
    """
    away = features[:, None] - means[None]  # (n_scans, n_classes, F)
    squares = np.einsum("ncf,fg,ncg->nc", away, precision, away)
    distances: np.ndarray = np.sqrt(np.clip(squares, 0, None).min(axis=1))
    return distances


def upper_threshold(scores: np.ndarray, *, share: float) -> float:
    """The score that this share of scans does not pass; no scan's score is interpolated.

    Parameters
    ----------
    scores
        Shape (n_scans,), at least one.
    share
        0..1.

    Returns
    -------
    float
        The smallest of the scores that at least ``share`` of them do not pass.
    """
    return float(np.quantile(scores, share, method="inverted_cdf"))
