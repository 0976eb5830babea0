"""What the stage ``disorder`` says where cases do not differ from controls.

``python -m tests.benchmarks.bench_null_groups --folder DIR --repeats 200`` makes tables of 300
people of three sites that shift and stretch the features, with 20, 50 and 80 % cases who do not
differ, asks every arm of the stage, and prints for each: the mean AUC within held-out sites and
its range over repeats, how often p of the AUC, p of a feature's effect, and q of any feature lie
below .05, and whether p of the AUC is uniform (Kolmogorov and Smirnov). A line of JSON a repeat is
kept in DIR, so that a run that ends goes on where it was; repeat r has the seed r.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import stats

from bids_harmonize.stages.case_control.arms import make_arms
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.effects import ALL_SITES, case_control_rows
from bids_harmonize.stages.case_control.prediction import held_out_sites
from bids_harmonize.stages.case_control.refitting import told_by_regression
from tests.stages.disorder_tables import make_cases
from tests.stages.feature_tables import make_feature_context, make_feature_settings, write_tsv

N_PER_SITE = 100
SHARES = (0.2, 0.5, 0.8)
ALPHA = 0.05


def ask(folder: Path, seed: int, *, n_per_site: int = N_PER_SITE) -> dict[str, dict[str, float]]:
    """What each arm says of one table without an effect.

    Parameters
    ----------
    folder
        Where the table is written.
    seed
        Of the table, and of the stage.
    n_per_site
        People at each of the three sites.

    Returns
    -------
    dict
        Arm to ``auc``, ``p`` of it, ``share_p`` (features with p < .05) and ``any_q``.
    """
    frame = make_cases(n_per_site=n_per_site, d=0.0, shares=SHARES, seed=seed)
    path = write_tsv(folder / f"null-{seed}.tsv", frame)
    settings = make_feature_settings(path, group_column="diagnosis")
    (study,) = make_feature_context(folder / "out", settings).studies
    arms = make_arms(make_cohort(study, settings)).arms
    told = {}
    for arm in arms:
        folds = held_out_sites(arm, seed=seed)
        _, rows = told_by_regression(arm, folds, seed=seed)
        pooled = next(row for row in rows if row["held_out_site"] == ALL_SITES)
        effects = pd.DataFrame(case_control_rows(arm))
        told[arm.name] = {
            "auc": float(pooled["auc"]),
            "p": float(pooled["p_permutation"]),
            "share_p": float((effects["p"] < ALPHA).mean()),
            "any_q": float((effects["q"] < ALPHA).any()),
        }
    path.unlink()
    return told


def summary(repeats: Sequence[Mapping[str, Mapping[str, float]]]) -> list[str]:
    """One line an arm."""
    lines = []
    for arm in repeats[0]:
        own = pd.DataFrame([one[arm] for one in repeats])
        uniform = stats.kstest(own["p"], "uniform").pvalue
        lines.append(
            f"{arm}: AUC mean {own['auc'].mean():.3f}, 2.5 to 97.5 % of repeats "
            f"{own['auc'].quantile(0.025):.3f} to {own['auc'].quantile(0.975):.3f}; its p < "
            f"{ALPHA:g} in {(own['p'] < ALPHA).mean():.3f}, uniform: p {uniform:.3f}; features "
            f"with p < {ALPHA:g}: {own['share_p'].mean():.3f}; any q < {ALPHA:g}: "
            f"{own['any_q'].mean():.3f}"
        )
    return lines


def main(words: Sequence[str] | None = None) -> None:
    """Run the repeats that are not there yet, and tell what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=200)
    arguments = parser.parse_args(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kept = arguments.folder / "repeats.jsonl"
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for seed in range(len(found), arguments.repeats):
        found.append(ask(arguments.folder, seed))
        with kept.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(found[-1]) + "\n")
    sys.stdout.write(f"{len(found)} repeats, 3 x {N_PER_SITE} people, {SHARES} cases\n")
    sys.stdout.write("\n".join(summary(found[: arguments.repeats])) + "\n")


if __name__ == "__main__":
    main()
