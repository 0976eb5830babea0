"""The controls' probabilities, calibrated like the network's own.

Choice: each fold's probabilities are tempered by one number, fitted on what the other folds said
of people they had not seen, as for the network (``models.py``). Reason: without it a control's
calibration error and Brier score show the lack of a temperature and not what the control knows.
Rejected: leaving them uncalibrated beside a calibrated network. With one fold (``--effort quick``)
there is no other fold to learn from: both numbers are then n/a.
"""

import numpy as np
import pandas as pd
from scipy.special import softmax

from bids_harmonize.stats.calibration import fit_temperature

_LEAST_PROBABILITY = 1e-6  # a forest may say 0, which has no logarithm


def calibrated_by_other_folds(predictions: pd.DataFrame) -> pd.DataFrame | None:
    """Out-of-fold predictions whose probabilities are calibrated.

    Parameters
    ----------
    predictions
        One row a scan: site, fold, ``p_<site>`` (rows sum to 1).

    Returns
    -------
    DataFrame or None
        The same rows with other probabilities; no scan's most probable site changes. ``None``
        with fewer than two folds.

    References
    ----------
    Guo et al. 2017, https://proceedings.mlr.press/v70/guo17a.html
    """
    folds = predictions["fold"].to_numpy()
    if len(set(folds)) < 2:
        return None
    columns = [name for name in predictions.columns if name.startswith("p_")]
    sites = [name.removeprefix("p_") for name in columns]
    true = np.array([sites.index(site) for site in predictions["site"]])
    found = predictions[columns].to_numpy(np.float64)
    # The logarithms are the logits but for a constant a scan, which no softmax sees.
    logits = np.log(np.clip(found, _LEAST_PROBABILITY, None))
    tempered = np.empty_like(found)
    for fold in sorted(set(folds)):
        own = folds == fold
        temperature = fit_temperature(logits[~own], true[~own])
        tempered[own] = softmax(logits[own] / temperature, axis=1)
    return predictions.assign(**dict(zip(columns, tempered.T, strict=True)))
