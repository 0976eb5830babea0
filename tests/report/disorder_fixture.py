"""The tables of the stage ``disorder``, with invented but plausible numbers."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.report.site_fixture import Rows, write_tsv

ARMS = ("raw", "covariate", "combat")
FEATURES = ("Left-Hippocampus", "lh_insula_thickness", "rh_cuneus_thickness", "Right-Putamen")
SITES = ("Oslo", "Kyoto", "Lund")
COUNTS = {"Oslo": (32, 18), "Kyoto": (20, 30), "Lund": (8, 12)}
N_CASES, N_CONTROLS = 60, 60
HALF = 0.3  # half an interval of d
# d and q of the features: the first differs in every arm, the second in one arm alone
EFFECTS = {
    "raw": ((-0.5, 0.01), (0.1, 0.7), (0.45, 0.04), (0.05, 0.9)),
    "covariate": ((-0.55, 0.004), (0.2, 0.12), (0.1, 0.6), (0.05, 0.9)),
    "combat": ((-0.6, 0.002), (0.4, 0.03), (0.1, 0.6), (0.05, 0.9)),
    "harmonized": ((-0.58, 0.003), (0.3, 0.08), (0.2, 0.3), (0.02, 0.9)),
}
AUCS = {
    "raw": (0.58, 0.47, 0.68, 0.08, 0.71),
    "covariate": (0.62, 0.53, 0.7, 0.004, 0.64),
    "combat": (0.63, 0.54, 0.71, 0.0005, 0.65),
    "harmonized": (0.64, 0.55, 0.72, 0.0005, 0.66),
}
SHARES = {"raw": 0.32, "covariate": 0.32, "combat": 0.023, "harmonized": 0.11}


def write_disorder_tables(
    folder: Path, *, arms: Sequence[str] = ARMS, features: Sequence[str] = FEATURES
) -> Path:
    """Every table that the page reads; effects repeat where there are more than four features."""
    tables = {
        "casecontrol": _effect_rows, "meta": _meta_rows, "siteeffects": _share_rows,
        "normative": _deviation_rows,
    }  # fmt: skip
    for key, make in tables.items():
        rows = [row for arm in arms for row in make(arm, features)]
        write_tsv(folder / f"group_{key}.tsv", rows)
    write_tsv(
        folder / "group_classification.tsv", [row for arm in arms for row in _told_rows(arm)]
    )
    write_tsv(
        folder / "group_comparedmaps.tsv",
        [
            {"arm": arm, "map": "enigma", "n_regions": 14, "r": 0.9, "p_permutation": 0.0005}
            for arm in arms
        ],
    )
    words = "how; controls are HC; well of the column dx; adjusted for age, sex_m, tiv, motion"
    description: Mapping[str, Any] = {"arm": {"Description": words}}
    (folder / "group_casecontrol.json").write_text(json.dumps(description))
    return folder


def _effect(arm: str, place: int) -> tuple[float, float]:
    return EFFECTS[arm][place % len(FEATURES)]


def _effect_rows(arm: str, features: Sequence[str]) -> Rows:
    return [
        {"arm": arm, "feature": name, "d": d, "low": d - HALF, "high": d + HALF, "p": q / 3,
         "q": q, "n_cases": N_CASES, "n_controls": N_CONTROLS}
        for place, name in enumerate(features)
        for d, q in (_effect(arm, place),)
    ]  # fmt: skip


def _meta_rows(arm: str, features: Sequence[str]) -> Rows:
    """Sites' own effects are the same in all arms but harmonized, as they are in truth."""
    rows: Rows = []
    own = arm if arm == "harmonized" else "covariate"
    for place, name in enumerate(features):
        d, q = _effect(own, place)
        for shift, site in zip((-0.2, 0.1, 0.4), SITES, strict=True):
            cases, controls = COUNTS[site]
            rows.append({
                "arm": arm, "feature": name, "site": site, "d": d + shift, "low": d + shift - 0.6,
                "high": d + shift + 0.6, "p": 0.2, "n_cases": cases, "n_controls": controls,
                "n_sites": None, "tau2": None, "i2": None,
            })  # fmt: skip
        rows.append({
            "arm": arm, "feature": name, "site": "all", "d": d, "low": d - 0.4, "high": d + 0.4,
            "p": q / 2, "n_cases": N_CASES, "n_controls": N_CONTROLS, "n_sites": 3, "tau2": 0.013,
            "i2": 0.25,
        })  # fmt: skip
    return rows


def _share_rows(arm: str, features: Sequence[str]) -> Rows:
    return [
        {"arm": arm, "feature": name, "r2_site": SHARES[arm] + 0.008 * (place % 3 - 1),
         "r2_site_chance": 0.018, "r2_group": 0.0009, "r2_group_chance": 0.001,
         "n": N_CASES + N_CONTROLS}
        for place, name in enumerate(features)
    ]  # fmt: skip


def _deviation_rows(arm: str, features: Sequence[str]) -> Rows:
    return [
        {"arm": arm, "feature": name, "group": group, "n": N_CASES, "share_beyond": share,
         "low": share - 0.03, "high": share + 0.04, "mean_deviation": 0.0, "sd_deviation": spread}
        for place, name in enumerate(features)
        for group, share, spread in (
            ("controls", 0.05, 1.0), ("cases", 0.06 + 0.02 * (place % len(FEATURES)), 1.1))
    ]  # fmt: skip


def _told_rows(arm: str) -> Rows:
    auc, low, high, p, whole = AUCS[arm]
    shared = {"arm": arm, "model": "logistic"}
    rows: Rows = [{
        **shared, "held_out_site": "all", "auc": auc, "low": low, "high": high,
        "p_permutation": p, "n_permutations": 199, "n_cases": N_CASES, "n_controls": 30,
        "n_calibration": 30, "auc_global": whole,
    }]  # fmt: skip
    for site in SITES:
        cases, controls = COUNTS[site]
        rows.append({
            **shared, "held_out_site": site, "auc": auc, "low": low - 0.2, "high": high + 0.2,
            "p_permutation": 0.2, "n_permutations": 2000, "n_cases": cases,
            "n_controls": controls // 2, "n_calibration": controls - controls // 2,
            "auc_global": None,
        })  # fmt: skip
    return rows
