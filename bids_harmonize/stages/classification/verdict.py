"""Whether the site can be seen, and whether the network decides inside the brain.

The rule, in this order (intervals are the 95 % intervals of the tables; the brain ratio is the
default map's share inside the brain over the brain's share of the head, averaged over a person's
scans, with a bootstrap interval of the mean over people):

1. *site_visible*: **yes** if the network's balanced accuracy on unseen people has an interval
   above chance and, where it is known, a permutation p of at most .01; **no** if the interval
   reaches chance or below or p is larger; **cannot tell** without an interval.
2. *decides_inside_brain* is **cannot tell** unless the site is visible (a decision that does not
   exist lies nowhere), the scans have brain masks (without them there is no inside), the retrained
   controls ``brainonly`` and ``headwithoutbrain`` have intervals, and both checks of the maps have
   passed over all sites together.
3. **yes** if the brain ratio's interval lies above 1, the brain alone names the site (its interval
   above chance), and the head without brain is not clearly better than the brain alone (no gap
   between their intervals).
4. **no** if the head without brain names the site, and either the brain ratio's interval lies
   below 1, or the brain alone is not above chance and clearly worse than the head without brain.
5. **cannot tell** otherwise: maps and retraining disagree, or the intervals are too wide.

Reason for needing both: maps can be wrong, and retraining tells what a network *could* use, not
what this one uses. Absence of evidence is not called an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from bids_harmonize.metrics.siteness import VISIBLE_P
from bids_harmonize.stages.classification.saliency_rows import ALL_SITES
from bids_harmonize.stats import bootstrap_interval
from bids_harmonize.training.saliency import DEFAULT_METHOD

SITE_VISIBLE: Final = "site_visible"
DECIDES_INSIDE_BRAIN: Final = "decides_inside_brain"
CHECKS: Final = ("deletion", "randomisation")
BRAIN_CONTROLS: Final = ("brainonly", "headwithoutbrain")
EVEN_RATIO: Final = 1.0

Row = Mapping[str, Any]
Interval = tuple[float, float, float]  # value, low, high


def site_verdict(
    accuracy: Sequence[Row],
    shares: Sequence[Row],
    checks: Sequence[Row],
    *,
    rng: np.random.Generator,
    has_brain_masks: bool = True,
) -> list[dict[str, Any]]:
    """Rows of group_siteverdict.tsv; the rule stands in the docstring of this module.

    Parameters
    ----------
    accuracy
        Rows of group_siteclassification.tsv on the preprocessed images: model, split,
        balanced_accuracy, balanced_low, balanced_high, chance, p_permutation. A missing row or
        number is allowed.
    shares
        Rows of group_saliency.tsv of single-site participants: participant_id, method,
        brain_ratio.
    checks
        Rows of group_saliencychecks.tsv: check, site, passed.
    rng
        Source of the bootstrap of the brain ratio.
    has_brain_masks
        False in a study that was preprocessed with ``--brain-mask none``.

    Returns
    -------
    list of dict
        question, answer (``yes``, ``no``, ``cannot tell``), value, threshold, reason.
    """
    network = _interval(accuracy, "network")
    chance = _chance(accuracy)
    p = _number(_find(accuracy, "network").get("p_permutation"))
    visible, visible_reason = _visible(network, chance, p)
    ratio = _brain_ratio(shares, rng)
    gap = _missing(visible, accuracy, ratio if has_brain_masks else None, checks)
    if gap is None:
        controls = [_interval(accuracy, name) for name in BRAIN_CONTROLS]
        answer, reason = _inside_brain(ratio, controls[0], controls[1], chance)
    else:
        answer, reason = "cannot tell", gap
    return [
        _row(SITE_VISIBLE, visible, network[0], chance, visible_reason),
        _row(DECIDES_INSIDE_BRAIN, answer, ratio[0], EVEN_RATIO, reason),
    ]


def _visible(network: Interval, chance: float, p: float) -> tuple[str, str]:
    low = network[1]
    if np.isnan([*network, chance]).any():
        return "cannot tell", "the network's balanced accuracy has no interval"
    found = f"balanced accuracy {_words(network, 3)}, chance {chance:.3f}"
    if low <= chance:
        return "no", f"{found}: the interval does not lie above chance"
    if p > VISIBLE_P:
        return "no", f"{found}: permuted sites do as well too often (p {p:.3f})"
    return "yes", f"{found}: the interval lies above chance"


def _missing(
    visible: str, accuracy: Sequence[Row], ratio: Interval | None, checks: Sequence[Row]
) -> str | None:
    """Why the place of the decision cannot be told at all, or ``None`` if it may be."""
    if visible != "yes":
        return "the network was not shown to name the site, so there is no decision to find"
    if ratio is None or np.isnan(ratio).any():
        no_masks = "the scans have no brain masks (--brain-mask none), so the study has no inside"
        too_few = "there are too few saliency maps with a brain mask for an interval"
        return no_masks if ratio is None else too_few
    for name in BRAIN_CONTROLS:
        if np.isnan(_interval(accuracy, name)).any():
            return f"the control {name} was not computed, or has no interval"
    return _failed_check(checks)


def _failed_check(checks: Sequence[Row]) -> str | None:
    """Which check the maps have not passed over all sites, or ``None``."""
    for check in CHECKS:
        outcome = [
            row["passed"] for row in checks if row["check"] == check and row["site"] == ALL_SITES
        ]
        if not outcome or outcome[0] is None:
            return f"the maps were not checked by {check}"
        if not outcome[0]:
            return f"the maps failed the check by {check} over all sites"
    return None


def _inside_brain(
    ratio: Interval, brain: Interval, outside: Interval, chance: float
) -> tuple[str, str]:
    found = (
        f"brain ratio {_words(ratio, 2)}; balanced accuracy of the brain alone "
        f"{_words(brain, 3)}, of the head without brain {_words(outside, 3)}, chance {chance:.3f}"
    )
    brain_names, outside_names = brain[1] > chance, outside[1] > chance
    outside_is_better = outside[1] > brain[2]
    if ratio[1] > EVEN_RATIO and brain_names and not outside_is_better:
        return "yes", f"the maps lie in the brain and the brain alone names the site: {found}"
    if outside_names and ratio[2] < EVEN_RATIO:
        return "no", f"the maps lie outside the brain, which names the site alone: {found}"
    if outside_names and outside_is_better and not brain_names:
        return "no", f"the head without brain names the site, the brain alone does not: {found}"
    return "cannot tell", f"maps and retrained networks do not agree, or are too unsure: {found}"


def _brain_ratio(shares: Sequence[Row], rng: np.random.Generator) -> Interval:
    rows = [row for row in shares if row["method"] == DEFAULT_METHOD]
    if not rows:
        return float("nan"), float("nan"), float("nan")
    frame = pd.DataFrame(rows).dropna(subset=["brain_ratio"])
    people = frame.groupby("participant_id")["brain_ratio"].mean().to_numpy(dtype=np.float64)
    low, high = bootstrap_interval(people, rng=rng)
    return float(people.mean()) if people.size else float("nan"), low, high


def _find(accuracy: Sequence[Row], model: str) -> Row:
    for row in accuracy:
        if row["model"] == model and row["split"] == "validation":
            return row
    return {}


def _interval(accuracy: Sequence[Row], model: str) -> Interval:
    row = _find(accuracy, model)
    names = ("balanced_accuracy", "balanced_low", "balanced_high")
    value, low, high = (_number(row.get(name)) for name in names)
    return value, low, high


def _chance(accuracy: Sequence[Row]) -> float:
    return _number(_find(accuracy, "network").get("chance"))


def _words(interval: Interval, digits: int) -> str:
    value, low, high = (f"{number:.{digits}f}" for number in interval)
    return f"{value} ({low} to {high})"


def _number(cell: Any) -> float:
    return float("nan") if cell is None or pd.isna(cell) else float(cell)


def _row(
    question: str, answer: str, value: float, threshold: float, reason: str
) -> dict[str, Any]:
    return {
        "question": question,
        "answer": answer,
        "value": value,
        "threshold": threshold,
        "reason": reason,
    }
