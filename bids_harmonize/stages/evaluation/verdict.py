"""The questions that a reader has, answered from the tables: yes, no or cannot tell.

Every question is worded so that "yes" is the good answer. The thresholds stand in the table. An
interval that touches the threshold is no answer; absence of evidence is not called success.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bids_harmonize.bids.judged import JUDGED_PREFIX
from bids_harmonize.stages.evaluation.comparison import (
    AGREEMENT,
    DIRECT,
    IDENTITY,
    best_baseline,
    mean_or_nan,
    person_means,
    primary_kind,
)
from bids_harmonize.stages.evaluation.probe_choice import choose_probe, fresh_rows
from bids_harmonize.stages.evaluation.reidentification import Recognition, recognition
from bids_harmonize.stats import bootstrap_interval

VERDICT_COLUMNS = ("method", "question", "answer", "value", "threshold", "source")

TRAINED_APART = "Was it trained without the people it is judged on?"
CLOSER_THAN_RAW = "Is the image closer to the person's real scan at the target than the raw one?"
CLOSER_THAN_BASELINE = "Is it closer than the best method that needs no training?"
MORE_ALIKE_THAN_RAW = "Are a person's images of two sites more alike than the raw ones?"
MORE_ALIKE_THAN_BASELINE = "Are they more alike than by the best method that needs no training?"
AS_SHARP = "Is it as sharp as the target site's own scans?"
RECOGNISED = "Is a person still recognised among others by the harmonized image?"
SITE_UNREADABLE = "Is the site hidden from a freshly trained probe?"
LESIONS_KEPT = "Are lesions that were put into a scan kept?"

_QUESTIONS = {
    DIRECT: (CLOSER_THAN_RAW, CLOSER_THAN_BASELINE),
    AGREEMENT: (MORE_ALIKE_THAN_RAW, MORE_ALIKE_THAN_BASELINE),
}
SHARPNESS_RANGE = (0.9, 1.1)
LESION_CONTRAST, LESION_VOLUME = (0.8, 1.2), (0.85, 1.15)
_ABOVE_ZERO = "95 % interval of the mean difference above 0 dB"
_AT_CHANCE = (
    "of the probe that names it best, 95 % interval reaches down to chance, while the raw images' "
    "interval does not"
)
"""Probes that are trained anew on harmonized images."""


@dataclass(frozen=True)
class Evidence:
    """Tables that the questions are answered from; without rows where nothing was measured.

    Attributes
    ----------
    travelling, probes
        Rows of group_travelling.tsv and of group_siteprobe.tsv.
    recognised
        What ``Portraits.recognise`` returns.
    lesions
        The frame of ``plant_lesions``.
    seen
        Method to the travelling subjects whom it was trained on; ``None`` where nobody knows.
    """

    travelling: pd.DataFrame
    probes: pd.DataFrame
    recognised: pd.DataFrame
    lesions: pd.DataFrame
    seen: Mapping[str, frozenset[str] | None]


def verdict_table(
    evidence: Evidence,
    *,
    methods: Sequence[str],
    training_free: Sequence[str],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """One row a trained method and question.

    Parameters
    ----------
    evidence
        What was measured.
    methods
        The trained harmonizers, the chosen one first.
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
    kind = primary_kind(evidence.travelling)
    than_raw, than_baseline = _QUESTIONS[kind]
    people = person_means(evidence.travelling)
    ratios = person_means(evidence.travelling, metric="sharpness")
    best = best_baseline(people, training_free)
    rows = []
    for method in methods:
        apart = _trained_apart(evidence, method)
        about_them = [
            _closer(people, method, IDENTITY, kind=kind, question=than_raw, rng=rng),
            _closer(people, method, best, kind=kind, question=than_baseline, rng=rng),
            _recognised(recognition(evidence.recognised, method), method),
        ]
        rows += [
            apart,
            *(row if apart["answer"] == "yes" else _in_doubt(row) for row in about_them),
            _sharp(ratios, method, kind=kind),
            _lesions(evidence.lesions, method),
            _unreadable(evidence.probes, method),
        ]
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))


def _trained_apart(evidence: Evidence, method: str) -> dict[str, object]:
    threshold = "training.tsv names none of the people who travel"
    seen = evidence.seen.get(method)
    n_people = evidence.travelling["participant_id"].nunique()
    if seen is None or not n_people:
        source = "no training.tsv says who trained it" if n_people else "nobody travels"
        return verdict_row(method, TRAINED_APART, "cannot tell", np.nan, threshold, source)
    answer = "no" if seen else "yes"
    source = f"training.tsv: {', '.join(sorted(seen)) or 'none'} of {n_people} people who travel"
    return verdict_row(method, TRAINED_APART, answer, float(len(seen)), threshold, source)


def _in_doubt(row: dict[str, object]) -> dict[str, object]:
    """A good answer about people whom the method may have been trained on is none."""
    if row["answer"] != "yes":
        return row
    source = f"{row['source']}; it may have been trained on them"
    return {**row, "answer": "cannot tell", "source": source}


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
        return verdict_row(method, question, "cannot tell", np.nan, _ABOVE_ZERO, source)
    gains = (people[method] - people[other]).dropna().to_numpy()
    low, high = bootstrap_interval(gains, rng=rng)
    answer = "yes" if low > 0 else "no" if high <= 0 else "cannot tell"
    source = f"group_travelling: brain PSNR, {kind}, against {other}, {gains.size} people"
    return verdict_row(method, question, answer, mean_or_nan(gains), _ABOVE_ZERO, source)


def _sharp(ratios: pd.DataFrame, method: str, *, kind: str) -> dict[str, object]:
    lowest, highest = SHARPNESS_RANGE
    threshold = f"mean ratio from {lowest} to {highest}"
    if method not in ratios.columns:
        source = "group_travelling: nobody was scored for sharpness at the target"
        return verdict_row(method, AS_SHARP, "cannot tell", np.nan, threshold, source)
    values = ratios[method].dropna().to_numpy()
    ratio = mean_or_nan(values)
    answer = "yes" if lowest <= ratio <= highest else "no"
    if ratio < lowest:
        found = "it is blurrier"
    else:
        found = "it is sharper or noisier" if ratio > highest else "it is as sharp"
    source = f"group_travelling: sharpness, {kind}, {values.size} people; {found}"
    return verdict_row(method, AS_SHARP, answer, ratio, threshold, source)


def _recognised(found: Recognition | None, method: str) -> dict[str, object]:
    threshold = "no fewer than on the raw images, 95 % interval above chance"
    if found is None:
        source = "group_reidentification: no travelling subject could be looked for"
        return verdict_row(method, RECOGNISED, "cannot tell", np.nan, threshold, source)
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
    return verdict_row(method, RECOGNISED, answer, found.after / found.n, threshold, source)


def _lesions(rows: pd.DataFrame, method: str) -> dict[str, object]:
    (least, most), (small, large) = LESION_CONTRAST, LESION_VOLUME
    threshold = (
        f"of what was put in, mean contrast {least:g} to {most:g} and mean volume {small:g} to "
        f"{large:g}, dark and bright"
    )
    own = rows[rows["method"] == method]
    if own.empty:
        source = "group_lesions: no lesion could be put into a scan"
        if method.startswith(JUDGED_PREFIX):
            source = "another tool's images cannot be made anew with a lesion in the scan"
        return verdict_row(method, LESIONS_KEPT, "cannot tell", np.nan, threshold, source)
    means = own.groupby("lesion")[["contrast", "volume"]].mean()
    kept = means["contrast"].between(least, most) & means["volume"].between(small, large)
    worst = means["contrast"].iloc[int((means["contrast"] - 1).abs().argmax())]
    told = "; ".join(
        f"{name}: contrast {row['contrast']:.2f}, volume {row['volume']:.2f}"
        for name, row in means.iterrows()
    )
    source = f"group_lesions: {own['participant_id'].nunique()} people; {told}"
    answer = "yes" if kept.all() else "no"
    return verdict_row(method, LESIONS_KEPT, answer, float(worst), threshold, source)


def _unreadable(probes: pd.DataFrame, method: str) -> dict[str, object]:
    chosen = choose_probe(probes, method)
    if chosen is None:
        source = "group_siteprobe: no fresh probe was trained on this method's images"
        return verdict_row(method, SITE_UNREADABLE, "cannot tell", np.nan, _AT_CHANCE, source)
    own = fresh_rows(probes, method)
    leaks = own[own["leak_suspected"].eq(True)]
    if len(leaks):
        least = leaks.sort_values("balanced_accuracy").iloc[0]
        value = float(least["balanced_accuracy"])
        source = f"group_siteprobe: {least['probe']} far below chance: a leak is suspected"
        return verdict_row(method, SITE_UNREADABLE, "no", value, _AT_CHANCE, source)
    value, low, chance = (
        float(chosen.rows[name].mean()) for name in ("balanced_accuracy", "low", "chance")
    )
    raw_low = float(chosen.raw["low"].mean()) if len(chosen.raw) else np.nan
    answer = "no" if low > chance else "yes" if raw_low > chance else "cannot tell"
    n_seeds = len(chosen.rows)
    source = f"group_siteprobe: {chosen.kind}, mean of {n_seeds} seed(s); chance {chance:.3f}"
    return verdict_row(method, SITE_UNREADABLE, answer, value, _AT_CHANCE, source)


def verdict_row(
    method: str, question: str, answer: str, value: float, threshold: str, source: str
) -> dict[str, object]:
    """One line of group_verdict.tsv."""
    cells = (method, question, answer, value, threshold, source)
    return dict(zip(VERDICT_COLUMNS, cells, strict=True))
