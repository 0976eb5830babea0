"""How much of the site is left: from predictions, or from features of two sites."""

from collections.abc import Sequence
from typing import Final

import numpy as np

VISIBLE_P: Final = 0.01
"""A site effect is claimed at a permutation p of at most this."""
SHORTCUTS: Final = ("covariates", "metadata", "headmask", "headwithoutbrain", "histogram")
"""Controls that see no brain anatomy; brain only is none of them."""
SHORTCUT_LIMIT: Final = 0.8
"""Balanced accuracy of a shortcut beyond which the network's own says little."""


def accuracy(true: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of labels that were predicted correctly.

    Parameters
    ----------
    true, predicted
        One site name a scan, in the same order.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the lengths differ or there is no label.
    """
    first, second = _labels(true, predicted)
    return float(np.mean(first == second))


def balanced_accuracy(true: Sequence[str], predicted: Sequence[str]) -> float:
    """Mean over the true sites of the share that was predicted correctly.

    Chance is one divided by the number of sites among the true labels.

    Parameters
    ----------
    true, predicted
        One site name a scan, in the same order.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If the lengths differ or there is no label.

    References
    ----------
    Brodersen et al. 2010, doi:10.1109/ICPR.2010.764

    Examples
    --------
    >>> balanced_accuracy(["A", "A", "A", "B"], ["A", "A", "A", "A"])
    0.5
    """
    first, second = _labels(true, predicted)
    recalls = [np.mean(second[first == site] == site) for site in np.unique(first)]
    return float(np.mean(recalls))


def mmd(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy between two samples of features.

    Parameters
    ----------
    first, second
        Features, shapes (n, d) and (m, d), finite; n and m at least 2.

    Returns
    -------
    float
        About 0 (it may be slightly negative) for samples of one distribution; lower is better.

    Raises
    ------
    ValueError
        If a sample has fewer than two rows or the numbers of features differ.

    References
    ----------
    Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html
    """
    n, m = len(first), len(second)
    if n < 2 or m < 2 or first.shape[1:] != second.shape[1:]:
        message = f"need two samples of two or more rows, found {first.shape} and {second.shape}"
        raise ValueError(message)
    pooled = np.concatenate([first, second]).astype(np.float64)
    squared = np.sum((pooled[:, None, :] - pooled[None, :, :]) ** 2, axis=-1)
    median = float(np.median(squared[np.triu_indices(n + m, k=1)]))
    kernel = np.exp(-squared / median) if median > 0 else np.ones_like(squared)
    np.fill_diagonal(kernel, 0.0)
    within_first = kernel[:n, :n].sum() / (n * (n - 1))
    within_second = kernel[n:, n:].sum() / (m * (m - 1))
    return float(within_first + within_second - 2 * kernel[:n, n:].mean())


def _labels(true: Sequence[str], predicted: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    if len(true) != len(predicted) or len(true) == 0:
        message = f"need as many predictions as labels, found {len(predicted)} and {len(true)}"
        raise ValueError(message)
    return np.asarray(true, dtype=object), np.asarray(predicted, dtype=object)
