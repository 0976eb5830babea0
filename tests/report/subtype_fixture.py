"""The tables of the stage ``subtypes``, with invented but plausible numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.report.site_fixture import Rows, write_tsv

FEATURES = ("lh_insula_thickness", "rh_cuneus_thickness", "Left-Hippocampus", "Right-Putamen")
SITES = ("Oslo", "Kyoto")
MOST = 4
DISCRETE: Mapping[str, Any] = {
    "verdict": "discrete", "k": 2, "n_dimensions": 1, "p_null_full": 0.01,
    "p_null_subspace": 0.002, "bootstrap_ari": 0.93, "splithalf_ari": 0.81, "leavesite_ari": 0.7,
    "v_site": 0.12, "v_sex": 0.05, "eta2_age": 0.03, "eta2_quality": 0.04,
}  # fmt: skip
UNCERTAIN: Mapping[str, Any] = {**DISCRETE, "verdict": "uncertain", "splithalf_ari": 0.42}
DIMENSIONAL: Mapping[str, Any] = {
    **DISCRETE, "verdict": "dimensional", "k": 3, "p_null_full": 0.4, "p_null_subspace": 0.6,
}  # fmt: skip
BY_DEGREE: Mapping[str, Any] = {"verdict": "dimensional", "k": 1, "n_dimensions": 2}
NONE: Mapping[str, Any] = {"verdict": "none", "k": 1, "n_dimensions": 0}
SIZES = {1: (60,), 2: (38, 22), 3: (30, 26, 4)}


def write_subtype_tables(
    folder: Path,
    arms: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    features: Sequence[str] = FEATURES,
) -> Path:
    """All tables of the stage; an arm of three clusters has one that is too small for a map."""
    arms = arms or {"raw": NONE, "covariate": DISCRETE, "combat": DISCRETE}
    several = {arm: chosen for arm, chosen in arms.items() if chosen["k"] > 1}
    tables = {
        "subtypevalidity": [row for arm in arms for row in _validity_rows(arm, arms[arm])],
        "subtypes": [row for arm in arms for row in _people_rows(arm, int(arms[arm]["k"]))],
        "subtypenulls": [
            row for arm in several for row in _null_rows(arm, int(several[arm]["k"]))
        ],
        "subtypemaps": [
            row for arm in several for row in _map_rows(arm, int(several[arm]["k"]), features)
        ],
        "subtypeassociations": [row for arm in several for row in _association_rows(arm)],
    }
    for key, rows in tables.items():
        if rows:
            write_tsv(folder / f"group_{key}.tsv", rows)
    return folder


def _validity_rows(arm: str, chosen: Mapping[str, Any]) -> Rows:
    rows: Rows = []
    for k in range(1, MOST + 1):
        row = {
            "arm": arm, "method": "mixture", "k": k, "chosen": int(k == chosen["k"]),
            "n_dimensions": chosen["n_dimensions"], "bic": 900.0 + k, "bootstrap_ari": 1 / k,
            "splithalf_ari": 0.9 / k, "leavesite_ari": 0.8 / k, "separation": 0.02,
            "p_null_full": None, "p_null_subspace": None, "v_site": None if k == 1 else 0.2,
            "v_sex": None if k == 1 else 0.1, "eta2_age": None if k == 1 else 0.01,
            "agreement": None, "verdict": None, "eta2_quality": None,
        }  # fmt: skip
        rows.append(row | dict(chosen) if k == chosen["k"] else row)
    agreement = 0.31 if chosen["k"] > 1 else None
    for method, k in (("hydra", max(2, int(chosen["k"]))), ("som", 6)):
        rows.append({
            "arm": arm, "method": method, "k": k, "v_site": 0.24, "v_sex": 0.1, "eta2_age": 0.02,
            "agreement": agreement,
        })  # fmt: skip
    return rows


def _people_rows(arm: str, k: int) -> Rows:
    labels = [label for label, size in enumerate(SIZES[k], start=1) for _ in range(size)]
    return [
        {"participant_id": f"sub-{i:03d}", "arm": arm, "site": SITES[i % 2], "subtype": label,
         "posterior": 0.9, "stability": 0.95, "hydra": 1, "som": 2}
        for i, label in enumerate(labels)
    ]  # fmt: skip


def _null_rows(arm: str, k: int) -> Rows:
    """The cases first, then draws that are all less far apart."""
    return [
        {"arm": arm, "null": null, "k": k, "draw": draw,
         "separation": 0.05 if draw == 0 else 0.01 + 0.0005 * draw}
        for null in ("full", "subspace")
        for draw in range(40)
    ]  # fmt: skip


def _map_rows(arm: str, k: int, features: Sequence[str]) -> Rows:
    """The second feature is low in both subtypes, the first in the first alone."""
    effects = {1: (-1.2, -1.5, -0.3, 0.1), 2: (0.1, -1.4, 0.4, 0.0)}
    return [
        {"arm": arm, "subtype": label, "feature": name, "d": d, "low": d - 0.3, "high": d + 0.3,
         "p": 0.01, "q": 0.02, "n_cases": SIZES[k][label - 1], "n_controls": 60}
        for label, own in effects.items()
        for place, name in enumerate(features)
        for d in (own[place % len(own)],)
    ]  # fmt: skip


def _association_rows(arm: str) -> Rows:
    return [
        {"arm": arm, "variable": "medicated", "kind": "words", "strength": 0.11, "p": 0.3,
         "n": 55, "q": 0.3},
        {"arm": arm, "variable": "score", "kind": "numbers", "strength": 0.48, "p": 0.0001,
         "n": 60, "q": 0.0002},
    ]  # fmt: skip
