"""The tables of the stage ``classify``, with invented but plausible numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Rows = list[dict[str, Any]]
REGIONS = ("Right cerebellum", "Left temporal pole", "Brain stem", "Left frontal pole")
ACCURACY = {
    "network": 0.97, "brainonly": 0.93, "headwithoutbrain": 0.74, "headmask": 0.86,
    "histogram": 0.78, "metadata": 0.52, "covariates": 0.38, "shuffled": 0.31,
    "withoutmaskblock": 0.95, "withoutkeepblock": 0.96, "withoutblocks": 0.94,
}  # fmt: skip
METHODS = {"integrated_gradients": 1.25, "hirescam": 1.1, "occlusion": 1.4}


def write_tsv(path: Path, rows: Rows) -> None:
    """Write rows as a TSV file with n/a for what is missing."""
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False, na_rep="n/a")


def change(output_dir: Path, name: str, where: dict[str, Any], **cells: object) -> None:
    """Set cells in the rows of a group table that match."""
    path = output_dir / f"group_{name}.tsv"
    table = pd.read_csv(path, sep="\t", keep_default_na=False).astype(object)
    chosen = pd.Series(data=True, index=table.index)
    for column, value in where.items():
        chosen &= table[column] == value
    assert chosen.any()
    for column, value in cells.items():
        table.loc[chosen, column] = value
    write_tsv(path, table.to_dict("records"))


def write_site_tables(output_dir: Path, *, sites: Sequence[str], per_site: int = 6) -> None:
    """Every table of the stage but group_sitepredictions.tsv; all of the network before harm.

    Parameters
    ----------
    output_dir
        Where to write.
    sites
        Names, in any letters.
    per_site
        Participants at each.
    """
    n = per_site * len(sites)
    tables = {
        "siteclassification": accuracy_rows(n=n, chance=1 / len(sites)),
        "siterecall": _recall_rows(sites, per_site),
        "sitecalibration": _calibration_rows(n),
        "sitevisibility": _visibility_rows(n),
        "siteconfounding": [
            {"variable": "age", "statistic": "correlation_ratio", "value": 0.41, "p": 0.0004,
             "n": n, "warning": "true"},
            {"variable": "sex", "statistic": "cramers_v", "value": 0.08, "p": 0.61, "n": n,
             "warning": "false"},
        ],
        "siteverdict": [
            {"question": "site_visible", "answer": "yes", "value": 0.97,
             "threshold": 1 / len(sites), "reason": "the interval lies above chance"},
            {"question": "decides_inside_brain", "answer": "yes", "value": 1.25,
             "threshold": 1.0, "reason": "the maps lie in the brain and the brain alone names "
             "the site: brain ratio 1.25 (1.21 to 1.29)"},
        ],
        "saliency": [
            {"filename": f"{place}_{scan}.nii.gz", "participant_id": f"sub-{place}{scan}",
             "site": site, "method": method, "in_brain": 0.48 * ratio, "brain_ratio": ratio}
            for place, site in enumerate(sites)
            for scan in range(4)
            for method, ratio in METHODS.items()
        ],
        "saliencyregions": [
            {"site": site, "method": method, "rank": rank, "region": region,
             "share": 0.2 / rank, "ratio": 3.1 / rank, "x_mm": 10 * rank, "y_mm": -40, "z_mm": -12}
            for site in sites
            for method in METHODS
            for rank, region in enumerate(REGIONS, start=1)
        ],
        "saliencydeletion": _deletion_rows(sites),
        "saliencychecks": _check_rows(sites),
    }  # fmt: skip
    for name, rows in tables.items():
        write_tsv(output_dir / f"group_{name}.tsv", rows)


def accuracy_rows(*, n: int, chance: float, images: str = "preproc") -> Rows:
    """Rows of group_siteclassification.tsv for the network and every control."""
    rows: Rows = []
    for model, value in ACCURACY.items():
        low, high = max(value - 0.1, 0), min(value + 0.03, 1)
        rows.append({
            "model": model, "images": images, "split": "validation", "n": n,
            "accuracy": value, "accuracy_low": low, "accuracy_high": high,
            "balanced_accuracy": value, "balanced_low": low, "balanced_high": high,
            "chance": chance, "p_permutation": 0.001 if value > 0.4 else 0.4,
            "calibration_error": 0.021, "brier": 0.05, "effort": "full",
        })  # fmt: skip
    train = {**rows[0], "split": "train", "accuracy": 1.0, "accuracy_low": 0.95}
    return [rows[0], train, *rows[1:]]


def _recall_rows(sites: Sequence[str], per_site: int) -> Rows:
    return [
        {"model": model, "images": "preproc", "site": site, "n": per_site,
         "recall": value, "low": max(value - 0.3, 0), "high": min(value + 0.1, 1)}
        for model in ("network", "headmask", "shuffled")
        for site, value in zip(sites, np.linspace(ACCURACY[model], 0.9, len(sites)), strict=True)
    ]  # fmt: skip


def _calibration_rows(n: int) -> Rows:
    edges = np.linspace(0, 1, 11)
    counts = [0, 0, 0, 0, 1, 1, 1, 2, 3, n - 8]
    return [
        {"model": "network", "images": "preproc", "bin_low": low, "bin_high": low + 0.1,
         "n": count, "confidence": low + 0.06 if count else None,
         "accuracy": min(low + 0.02, 0.97) if count else None}
        for low, count in zip(edges[:-1], counts, strict=True)
    ]  # fmt: skip


def _visibility_rows(n: int) -> Rows:
    last = {"network": 0.81, "withoutmaskblock": 0.76, "withoutkeepblock": 0.6,
            "withoutblocks": 0.52}  # fmt: skip
    rows: Rows = []
    for model, end in last.items():
        for step, fraction in enumerate((1, 0.5, 0.25, 0.125)):
            value = 0.97 - (0.97 - end) * step / 3
            gain = None if model == "withoutblocks" else (end - last["withoutblocks"]) * step / 3
            rows.append({
                "model": model, "visible_fraction": fraction, "n": n, "accuracy": value,
                "accuracy_low": value - 0.08, "accuracy_high": min(value + 0.05, 1),
                "difference": gain,
                "difference_low": None if gain is None else gain - 0.06,
                "difference_high": None if gain is None else gain + 0.06, "effort": "full",
            })  # fmt: skip
    return rows


def _deletion_rows(sites: Sequence[str]) -> Rows:
    return [
        {"site": site, "order": order, "removed_fraction": step / 10, "n": 6,
         "log_odds": 4 - fall * step, "log_odds_low": 3.6 - fall * step,
         "log_odds_high": 4.4 - fall * step}
        for site in sites
        for order, fall in (("saliency", 1.1), ("random", 0.35))
        for step in range(6)
    ]  # fmt: skip


def _check_rows(sites: Sequence[str]) -> Rows:
    return [
        {"check": check, "site": site, "method": "integrated_gradients", "n": 6, "value": value,
         "low": value - 0.1, "high": value + 0.1,
         "passed": "false" if check == "randomisation" and place == 2 else "true"}
        for check, value in (("deletion", 1.9), ("randomisation", 0.12))
        for place, site in enumerate(("all", *sites))
    ]  # fmt: skip
