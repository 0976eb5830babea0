"""Harmonizers of a derivative dataset, fitted and judged by the app; its table in a few lines."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.harmonizers import HARMONIZERS, baselines
from tests.benchmarks.own_process import say
from tests.benchmarks.site_runs import read_table, run_app

METRICS = ("psnr", "ssim", "sharpness")
"""Those that are told."""


def run_methods(
    output_dir: Path, options: Sequence[str], *, seed: int, probes: bool = True
) -> pd.DataFrame:
    """Run the stages ``harmonize`` and ``evaluate``, and tell what they cost.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    options
        Further words for the app.
    seed
        Of the study.
    probes
        Fit the models of the halves too, without which no site probe is asked; they are two
        thirds of the training and have no part in this table.

    Returns
    -------
    DataFrame
        Rows of group_methods.tsv site by site, of the metrics that are told, with the seed.
    """
    for stages in [["harmonize", "evaluate"]] if probes else [["harmonize"], ["evaluate"]]:
        words = ["-", str(output_dir), "group", "--stages", *stages, *options]
        cost = run_app(words, output_dir.with_suffix(f".{stages[0]}.log"))
        say(
            f"seed {seed}, {' and '.join(stages)}: {cost.wall_s:.0f} s, "
            f"{cost.cpu_s:.0f} s of CPU, {cost.peak_gb:.2f} GB"
        )
    table = read_table(output_dir, "group_methods")
    table = table[(table["source_site"] != "all") & table["metric"].isin(METRICS)]
    return table.assign(seed=seed)


def tell_methods(table: pd.DataFrame) -> None:
    """Mean over seeds with the spread, a line a method and direction; then the distances."""
    keys = ["kind", "mask", "method", "metric"]
    over = table.groupby(keys)["mean"].agg(["mean", "std"])
    gaps = table.groupby(keys)["gap_closed"].mean()
    for (kind, mask), _ in table.groupby(["kind", "mask"]):
        for method in sorted(table["method"].unique()):
            parts = [
                f"{metric} {over.loc[kind, mask, method, metric]['mean']:.3f} "
                f"(sd {over.loc[kind, mask, method, metric]['std']:.3f})"
                for metric in METRICS
                if (kind, mask, method, metric) in over.index
            ]
            gap = gaps.get((kind, mask, method, "ssim"), np.nan)
            if parts:
                say(f"{kind} {mask} {method}: {', '.join(parts)}, ssim gap closed {gap:.2f}")
    tell_distances(table)


def tell_distances(table: pd.DataFrame) -> None:
    """Trained methods against the best training-free one of each seed, brain PSNR, dB."""
    psnr = table[(table["mask"] == "brain") & (table["metric"] == "psnr")]
    for kind, rows in psnr.groupby("kind"):
        by_seed = rows.pivot_table(index="seed", columns="method", values="mean")
        rivals = [name for name in baselines() if name in by_seed]
        for name in (n for n, row in HARMONIZERS.items() if row.trained and n in by_seed):
            ahead = by_seed[name] - by_seed[rivals].max(axis=1)
            each = ", ".join(f"{value:+.2f}" for value in ahead)
            say(f"{kind}: {name} over the best baseline {ahead.mean():+.2f} dB (seeds: {each})")
