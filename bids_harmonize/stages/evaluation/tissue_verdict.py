"""The verdict's questions on tissue: volumes across sites, and biology that is still read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.stages.evaluation.comparison import mean_or_nan
from bids_harmonize.stages.evaluation.verdict import verdict_row
from bids_harmonize.stats import bootstrap_interval

VOLUMES_ALIKE = "Are a person's tissue volumes of two sites more alike than on the raw images?"
BIOLOGY_KEPT = {
    "age": "Is age read as well as on the raw images?",
    "sex": "Is sex read as well as on the raw images?",
    "group": "Are patients and controls told apart as well as on the raw images?",
}
MOST_LOST = {"age": 0.1, "sex": 0.05, "group": 0.05}
"""Of age, how much the mean absolute error may rise, as a share; else how far the AUC may fall."""
READABLE = 0.05
"""Permutation p under which a thing counts as readable."""


def volumes_row(
    differences: pd.DataFrame, *, method: str, why_none: str, rng: np.random.Generator
) -> dict[str, object]:
    """Whether harmonization brings a person's tissue volumes of two sites together.

    Parameters
    ----------
    differences
        Index participant_id, one column a method, percent; empty without travelling subjects.
    method
        The harmonizer.
    why_none
        Why no tissue was measured; empty where it was.
    rng
        Source of the bootstrap.

    Returns
    -------
    dict
        A row of group_verdict.tsv; its value is the fall of the difference, percentage points.
    """
    threshold = "95 % interval of the mean gain above 0 percentage points"
    if method not in differences.columns:
        source = f"group_reliability: {why_none or 'no travelling subject was measured'}"
        return verdict_row(method, VOLUMES_ALIKE, "cannot tell", np.nan, threshold, source)
    gains = (differences["identity"] - differences[method]).dropna().to_numpy()
    low, high = bootstrap_interval(gains, rng=rng)
    answer = "yes" if low > 0 else "no" if high <= 0 else "cannot tell"
    before, after = (differences[name].mean() for name in ("identity", method))
    source = (
        f"group_features: grey, white matter and fluid, {gains.size} people; apart by "
        f"{before:.1f} % before and {after:.1f} % after"
    )
    return verdict_row(
        method,
        VOLUMES_ALIKE,
        answer,
        mean_or_nan(gains),
        threshold,
        source,
    )


def kept_row(
    target: str, facts: Mapping[str, Any] | None, *, method: str, why_none: str
) -> dict[str, object]:
    """Whether age, sex or group is read as well after harmonization as before.

    Parameters
    ----------
    target
        A key of :data:`BIOLOGY_KEPT`.
    facts
        ``value``, ``low`` and ``high`` of the loss, ``p_raw``, ``p_made``, ``n`` and ``model``
        (who read it); ``None`` where nothing was read.
    method
        The harmonizer.
    why_none
        Why no tissue was measured; empty where it was.

    Returns
    -------
    dict
        A row of group_verdict.tsv.
    """
    question, most = BIOLOGY_KEPT[target], MOST_LOST[target]
    lost = "rise of the mean absolute error" if target == "age" else "fall of the AUC"
    unit = f"{100 * most:g} %" if target == "age" else f"{most:g}"
    threshold = f"95 % interval of the {lost} below {unit}, p < {READABLE:g}"
    if facts is None:
        reason = why_none or f"too few people of a site whose {target} is known were measured"
        source = f"group_biology: {reason}"
        return verdict_row(method, question, "cannot tell", np.nan, threshold, source)
    is_read = facts["p_made"] < READABLE
    if facts["p_raw"] >= READABLE:
        answer, found = "cannot tell", "it cannot be read from the raw images"
    elif is_read and facts["high"] < most:
        answer, found = "yes", "it is read from both"
    elif facts["low"] > 0:
        answer, found = "no", "less is left" if is_read else "it can no longer be read"
    else:
        answer, found = "cannot tell", "too few people to tell"
    source = f"group_biology: {facts['model']}, within sites, {facts['n']} people; {found}"
    return verdict_row(method, question, answer, facts["value"], threshold, source)
