"""Which freshly trained site probe speaks for a method: the kind that names the site best."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from bids_harmonize.stages.evaluation.comparison import IDENTITY

FRESH_PROBES: Final = ("reseeded", "converged", "forest")


@dataclass(frozen=True, eq=False)
class ChosenProbe:
    """The probe of a method, and what raw images give.

    Attributes
    ----------
    kind
        One of ``FRESH_PROBES``.
    rows
        Its rows of group_siteprobe.tsv for the method, one a seed.
    raw
        Those for raw images by the same kind, or, where it was not asked of them, by the kind that
        names their site best: a network is not trained long where short trainings name everybody.
        Empty where raw images were not probed.
    """

    kind: str
    rows: pd.DataFrame
    raw: pd.DataFrame


def choose_probe(probes: pd.DataFrame, method: str) -> ChosenProbe | None:
    """The freshly trained probe, asked for all sites, that names a method's site best.

    Parameters
    ----------
    probes
        Rows of group_siteprobe.tsv.
    method
        Whose images.

    Returns
    -------
    ChosenProbe or None
        ``None`` where no probe was trained afresh on its images.
    """
    own, raw = (fresh_rows(probes, name) for name in (method, IDENTITY))
    if own.empty:
        return None
    kind = _best_kind(own)
    if not raw.empty:
        raw = raw[raw["probe"] == (kind if kind in set(raw["probe"]) else _best_kind(raw))]
    return ChosenProbe(kind, own[own["probe"] == kind], raw)


def fresh_rows(probes: pd.DataFrame, method: str) -> pd.DataFrame:
    """Rows of group_siteprobe.tsv of the probes trained afresh on a method's images, all sites."""
    is_fresh = probes["probe"].isin(FRESH_PROBES) & (probes["sites"] == "all")
    return probes[is_fresh & (probes["method"] == method)].dropna(subset=["balanced_accuracy"])


def _best_kind(rows: pd.DataFrame) -> str:
    return str(rows.groupby("probe")["balanced_accuracy"].mean().idxmax())
