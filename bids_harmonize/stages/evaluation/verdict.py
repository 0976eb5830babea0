"""The questions that a reader has, answered from the tables: yes, no or cannot tell.

Every question is worded so that "yes" is the good answer. The thresholds stand in the table. An
interval that touches the threshold is no answer; absence of evidence is not called success.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.stages.evaluation.comparison import (
    AGREEMENT,
    DIRECT,
    best_baseline,
    person_means,
    primary_kind,
)
from bids_harmonize.stages.evaluation.reidentification import Recognition
from bids_harmonize.stats import bootstrap_interval

VERDICT_COLUMNS = ("method", "question", "answer", "value", "threshold", "source")

CLOSER_THAN_RAW = "Is the image closer to the person's real scan at the target than the raw one?"
CLOSER_THAN_BASELINE = "Is it closer than the best method that needs no training?"
MORE_ALIKE_THAN_RAW = "Are a person's images of two sites more alike than the raw ones?"
MORE_ALIKE_THAN_BASELINE = "Are they more alike than by the best method that needs no training?"
AS_SHARP = "Is it as sharp as the target site's own scans?"
RECOGNISED = "Is a person still recognised among others by the harmonized image?"
SITE_UNREADABLE = "Is the site hidden from a freshly trained probe?"
VOLUMES_ALIKE = "Are a person's tissue volumes of two sites more alike than on the raw images?"
BIOLOGY_KEPT = {
    "age": "Is age read from tissue as well as on the raw images?",
    "sex": "Is sex read from tissue as well as on the raw images?",
    "group": "Are patients and controls told apart by tissue as well as on the raw images?",
}

_QUESTIONS = {
    DIRECT: (CLOSER_THAN_RAW, CLOSER_THAN_BASELINE),
    AGREEMENT: (MORE_ALIKE_THAN_RAW, MORE_ALIKE_THAN_BASELINE),
}
SHARPNESS_RANGE = (0.9, 1.1)
_ABOVE_ZERO = "95 % interval of the mean difference above 0 dB"
MOST_LOST = {"age": 0.1, "sex": 0.05, "group": 0.05}
"""Of age, how much the mean absolute error may rise, as a share; else how far the AUC may fall."""
READABLE = 0.05
"""Permutation p under which a thing counts as readable."""
_AT_CHANCE = "95 % interval reaches down to chance, while the raw images' interval does not"


def verdict_table(
    travelling: pd.DataFrame,
    probes: pd.DataFrame,
    recognised: Mapping[str, Recognition | None],
    *,
    training_free: Sequence[str],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """One row a trained method and question.

    Parameters
    ----------
    travelling
        Rows of group_travelling.tsv, none without travelling subjects.
    probes
        Rows of group_siteprobe.tsv.
    recognised
        The trained harmonizers, the chosen one first, each with who is recognised; ``None`` where
        nobody was looked for.
    training_free
        Methods of which the best is the one to beat.
    rng
        Source of the bootstrap.

    Returns
    -------
    DataFrame
        Columns as in :data:`VERDICT_COLUMNS`. Where nobody was scanned at the target, the first
        two questions are how alike a person's images of two sites are.
    """
    kind = primary_kind(travelling)
    than_raw, than_baseline = _QUESTIONS[kind]
    people = person_means(travelling)
    ratios = person_means(travelling, metric="sharpness")
    best = best_baseline(people, training_free)
    rows = []
    for method, found in recognised.items():
        rows += [
            _closer(people, method, "identity", kind=kind, question=than_raw, rng=rng),
            _closer(people, method, best, kind=kind, question=than_baseline, rng=rng),
            _sharp(ratios, method, kind=kind),
            _recognised(found, method),
            _unreadable(probes, method),
        ]
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


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
        return _row(method, VOLUMES_ALIKE, "cannot tell", np.nan, threshold, source)
    gains = (differences["identity"] - differences[method]).dropna().to_numpy()
    low, high = bootstrap_interval(gains, rng=rng)
    answer = "yes" if low > 0 else "no" if high <= 0 else "cannot tell"
    before, after = (differences[name].mean() for name in ("identity", method))
    source = (
        f"group_features: grey, white matter and fluid, {gains.size} people; apart by "
        f"{before:.1f} % before and {after:.1f} % after"
    )
    return _row(method, VOLUMES_ALIKE, answer, _mean(gains), threshold, source)


def kept_row(
    target: str, facts: Mapping[str, Any] | None, *, method: str, why_none: str
) -> dict[str, object]:
    """Whether age, sex or group is read as well after harmonization as before.

    Parameters
    ----------
    target
        A key of :data:`BIOLOGY_KEPT`.
    facts
        ``value``, ``low`` and ``high`` of the loss, ``p_raw``, ``p_made`` and ``n``; ``None``
        where nothing was read.
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
        return _row(method, question, "cannot tell", np.nan, threshold, source)
    is_read = facts["p_made"] < READABLE
    if facts["p_raw"] >= READABLE:
        answer, found = "cannot tell", "it cannot be read from the raw images"
    elif is_read and facts["high"] < most:
        answer, found = "yes", "it is read from both"
    elif facts["low"] > 0:
        answer, found = "no", "less is left" if is_read else "it can no longer be read"
    else:
        answer, found = "cannot tell", "too few people to tell"
    source = f"group_biology: within sites, {facts['n']} people; {found}"
    return _row(method, question, answer, facts["value"], threshold, source)


def _closer(
    people: pd.DataFrame,
    method: str,
    other: str | None,
    *,
    kind: str,
    question: str,
    rng: np.random.Generator,
) -> dict[str, object]:
    if other is None or method not in people.columns or other not in people.columns:
        source = "group_travelling: no travelling subject was scored"
        return _row(method, question, "cannot tell", np.nan, _ABOVE_ZERO, source)
    gains = (people[method] - people[other]).dropna().to_numpy()
    low, high = bootstrap_interval(gains, rng=rng)
    answer = "yes" if low > 0 else "no" if high <= 0 else "cannot tell"
    source = f"group_travelling: brain PSNR, {kind}, against {other}, {gains.size} people"
    return _row(method, question, answer, _mean(gains), _ABOVE_ZERO, source)


def _sharp(ratios: pd.DataFrame, method: str, *, kind: str) -> dict[str, object]:
    lowest, highest = SHARPNESS_RANGE
    threshold = f"mean ratio from {lowest} to {highest}"
    if method not in ratios.columns:
        source = "group_travelling: no sharpness is known at the target"
        return _row(method, AS_SHARP, "cannot tell", np.nan, threshold, source)
    values = ratios[method].dropna().to_numpy()
    ratio = _mean(values)
    answer = "yes" if lowest <= ratio <= highest else "no"
    if ratio < lowest:
        found = "it is blurrier"
    else:
        found = "it is sharper or noisier" if ratio > highest else "it is as sharp"
    source = f"group_travelling: sharpness, {kind}, {values.size} people; {found}"
    return _row(method, AS_SHARP, answer, ratio, threshold, source)


def _recognised(found: Recognition | None, method: str) -> dict[str, object]:
    threshold = "no fewer than on the raw images, 95 % interval above chance"
    if found is None:
        source = "group_reidentification: no travelling subject could be looked for"
        return _row(method, RECOGNISED, "cannot tell", np.nan, threshold, source)
    chance, (low, high) = 1 / found.gallery, found.interval
    if found.fall[0] > 0 or (found.lost and low <= chance <= high):
        answer = "no"
    elif found.after >= found.before and low > chance:
        answer = "yes"
    else:
        answer = "cannot tell"
    source = (
        f"group_reidentification: {found.n} people, each among {found.gallery}; "
        f"{found.before:.3g} by the raw image, {found.after:.3g} by the harmonized one"
    )
    return _row(method, RECOGNISED, answer, found.after / found.n, threshold, source)


def _unreadable(probes: pd.DataFrame, method: str) -> dict[str, object]:
    fresh = probes[probes["probe"] == "reseeded"].dropna(subset=["balanced_accuracy"])
    own, raw = (fresh[fresh["method"] == name] for name in (method, "identity"))
    if own.empty:
        source = "group_siteprobe: no fresh probe was trained on this method's images"
        return _row(method, SITE_UNREADABLE, "cannot tell", np.nan, _AT_CHANCE, source)
    value, low, chance = (
        float(own[name].mean()) for name in ("balanced_accuracy", "low", "chance")
    )
    raw_low = float(raw["low"].mean()) if len(raw) else np.nan
    answer = "no" if low > chance else "yes" if raw_low > chance else "cannot tell"
    source = f"group_siteprobe: reseeded, mean of {len(own)} seed(s); chance {chance:.3f}"
    return _row(method, SITE_UNREADABLE, answer, value, _AT_CHANCE, source)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else np.nan


def _row(
    method: str, question: str, answer: str, value: float, threshold: str, source: str
) -> dict[str, object]:
    cells = (method, question, answer, value, threshold, source)
    return dict(zip(VERDICT_COLUMNS, cells, strict=True))
