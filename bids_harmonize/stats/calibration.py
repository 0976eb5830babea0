"""One temperature that makes a classifier's probabilities mean what they say."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 10.0


def fit_temperature(logits: np.ndarray, classes: np.ndarray) -> float:
    """The temperature whose ``softmax(logits / temperature)`` is most likely, given the truth.

    When every scan is named rightly, plain likelihood asks for a temperature of 0, that is for
    certainty. Here the truth of ``n`` scans is taken as ``1 - 1 / (n + 2)`` (Laplace's rule of
    succession: what ``n`` right answers of ``n`` allow to expect), the rest shared by the other
    classes; so the temperature stays finite, and few scans never give great confidence.

    Parameters
    ----------
    logits
        Shape (n_scans, n_classes), of scans that the classifier was not trained on.
    classes
        True column of each scan, integers.

    Returns
    -------
    float
        Between 0.1 and 10; above 1 the classifier was too sure, below 1 not sure enough. 1 where
        there is no scan, or where logits do not differ.

    References
    ----------
    Guo et al. 2017, https://proceedings.mlr.press/v70/guo17a.html

    Examples
    --------
    >>> logits = np.log([[0.9, 0.1]] * 100)
    >>> round(fit_temperature(logits, np.array([0] * 90 + [1] * 10)), 1)
    1.0
    """
    n_scans, n_classes = logits.shape
    if n_scans == 0 or np.ptp(logits, axis=1).max() == 0:
        return 1.0
    doubt = 1 / (n_scans + 2)
    targets = np.full(logits.shape, doubt / (n_classes - 1))
    targets[np.arange(n_scans), classes] = 1 - doubt

    def loss(log_temperature: float) -> float:
        tempered = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(np.mean(np.sum(targets * tempered, axis=1)))

    bounds = (np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
