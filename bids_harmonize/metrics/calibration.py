"""Whether the probabilities of the sites mean what they say."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Rows that miss 1 by more than this are no probabilities; a table keeps fewer digits than a float.
_SUM_TOLERANCE = 1e-3


class ReliabilityBin(NamedTuple):
    """The scans whose most probable site has a probability in ``(bin_low, bin_high]``.

    Attributes
    ----------
    bin_low, bin_high
        Edges of the bin, 0..1.
    n
        Number of scans in it, at least 1.
    confidence
        Mean probability of the most probable site.
    accuracy
        Share of scans of which that site is the true one; equal to ``confidence`` is best.
    """

    bin_low: float
    bin_high: float
    n: int
    confidence: float
    accuracy: float


def expected_calibration_error(
    true: Sequence[str], probabilities: np.ndarray, sites: Sequence[str], *, n_bins: int = 10
) -> float:
    """Mean distance of confidence and accuracy over the scans, in bins of the confidence.

    With few scans it is above 0 even for perfect probabilities: a bin of 4 scans can be right by
    quarters only.

    Parameters
    ----------
    true
        One site name a scan.
    probabilities
        Shape (n_scans, n_sites), rows sum to 1.
    sites
        Site of each column.
    n_bins
        Number of bins of equal width.

    Returns
    -------
    float
        From 0 to 1; lower is better.

    Raises
    ------
    ValueError
        If the shapes do not fit, a row is no distribution, or a true site has no column.

    References
    ----------
    Guo et al. 2017, https://proceedings.mlr.press/v70/guo17a.html

    Examples
    --------
    >>> probabilities = np.array([[0.75, 0.25]] * 4)
    >>> expected_calibration_error(["A", "A", "A", "B"], probabilities, ["A", "B"])
    0.0
    """
    rows = reliability_bins(true, probabilities, sites, n_bins=n_bins)
    return sum(row.n * abs(row.confidence - row.accuracy) for row in rows) / len(true)


def brier_score(true: Sequence[str], probabilities: np.ndarray, sites: Sequence[str]) -> float:
    """Squared distance of the probabilities to the truth, summed over sites, mean over scans.

    Parameters
    ----------
    true
        One site name a scan.
    probabilities
        Shape (n_scans, n_sites), rows sum to 1.
    sites
        Site of each column.

    Returns
    -------
    float
        From 0 to 2; lower is better. Equal probabilities of k sites score 1 - 1/k.

    Raises
    ------
    ValueError
        If the shapes do not fit, a row is no distribution, or a true site has no column.

    References
    ----------
    Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2

    Examples
    --------
    >>> brier_score(["A", "B"], np.array([[1.0, 0.0], [1.0, 0.0]]), ["A", "B"])
    1.0
    """
    columns = _checked(true, probabilities, sites)
    truth = np.eye(len(sites))[columns]  # (n_scans, n_sites)
    return float(np.mean(np.sum((probabilities - truth) ** 2, axis=1)))


def reliability_bins(
    true: Sequence[str], probabilities: np.ndarray, sites: Sequence[str], *, n_bins: int = 10
) -> list[ReliabilityBin]:
    """Confidence against accuracy, the rows of a reliability diagram.

    Parameters
    ----------
    true
        One site name a scan.
    probabilities
        Shape (n_scans, n_sites), rows sum to 1.
    sites
        Site of each column.
    n_bins
        Number of bins of equal width from 0 to 1.

    Returns
    -------
    list of ReliabilityBin
        From low to high; bins without a scan are left out.

    Raises
    ------
    ValueError
        If the shapes do not fit, a row is no distribution, or a true site has no column.

    Examples
    --------
    >>> reliability_bins(["A", "B"], np.array([[0.75, 0.25], [0.75, 0.25]]), ["A", "B"], n_bins=2)
    [ReliabilityBin(bin_low=0.5, bin_high=1.0, n=2, confidence=0.75, accuracy=0.5)]
    """
    columns = _checked(true, probabilities, sites)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == columns
    places = np.clip(np.ceil(confidence * n_bins).astype(int) - 1, 0, n_bins - 1)
    return [
        ReliabilityBin(
            bin_low=float(place / n_bins),
            bin_high=float((place + 1) / n_bins),
            n=int(np.sum(places == place)),
            confidence=float(confidence[places == place].mean()),
            accuracy=float(right[places == place].mean()),
        )
        for place in np.unique(places)
    ]


def _checked(true: Sequence[str], probabilities: np.ndarray, sites: Sequence[str]) -> np.ndarray:
    """The column of each scan's true site."""
    if len(true) == 0 or probabilities.shape != (len(true), len(sites)):
        message = (
            f"need probabilities of shape ({len(true)} labels, {len(sites)} sites), "
            f"found {probabilities.shape}"
        )
        raise ValueError(message)
    off = np.abs(probabilities.sum(axis=1) - 1)
    if not (probabilities >= 0).all() or not (off <= _SUM_TOLERANCE).all():
        message = f"rows of probabilities must be at least 0 and sum to 1, found {off.max()} off"
        raise ValueError(message)
    unknown = sorted(set(true) - set(sites))
    if unknown:
        message = f"no probabilities of the true sites {unknown}; there are {list(sites)}"
        raise ValueError(message)
    return np.array([list(sites).index(site) for site in true])
