"""Does the disorder's map survive scanners and harmonization, from images to the last table?

``python -m tests.benchmarks.bench_disorder_images planted --folder DIR --seed 71`` makes a phantom
of 3 sites x (36 controls + 24 cases) at 3 mm, two atrophy patterns, four to one at the first and
third site and one to four at the second, takes it through both levels by the app's own command
line, and holds each arm's map of d against that of the true volumes of the same people's parcels,
which go through the same stage as a table. Wanted: correlation in the harmonized arm at least .80
and not below raw by more than .02; at least .80 of the planted d kept (the slope through zero of
the arm's d on the true one: noise of the arm does not lower it). ARI of the subtypes in every arm
is told. ``--disorder zero`` asks the same of a study without an effect: nothing must be claimed.

``... permuted --folder DIR --seed 72`` takes 3 sites x (12 controls + 8 cases) at 4 mm without an
effect, deals the groups anew within sites, fits the harmonizer again on the controls of that deal
and compares its cases with them, 20 times. Wanted: no region with q < .05 in at least 17 deals,
in every arm. A line of JSON a deal is kept in DIR; what stands there is not computed again. With
``--keep --deals 0 10`` and ``--keep --deals 10 20`` two processes share them; the study must stand
by then (``--deals 0 0`` makes it). Of the raw arm all rows are measured in the first deal alone.

Both ask both measures of the parcels, the density that the app takes by default and the volume:
the stages disorder and subtypes run for each, and each map is held against that of either truth.
Of true volumes much is who was drawn (the size of a parcel); true densities show what was planted.

``--true-masks`` takes head and brain from the phantom's truth instead of looking for them.
``--keep`` takes the outputs of an earlier run. What follows ``--`` is given to the app.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.phantom import StudyDesign
from tests.benchmarks.disorder_truth import true_table
from tests.benchmarks.planted_study import say
from tests.benchmarks.site_runs import make_study, read_table, run_app
from tests.benchmarks.true_derivative import write_derivative

ARMS = ("raw", "covariate", "combat", "harmonized")
TRUE_ARM = "covariate"  # sites do not differ in truth; the term costs what it costs every arm
GROUPS = ("--group-column", "group", "--control-label", "control")
MEASURES = ("density", "volume_ml")
ALPHA = 0.05
N_DEALS, N_QUIET = 20, 17
WANTED_CORRELATION, WANTED_KEPT, BELOW_RAW = 0.80, 0.80, 0.02


def effect_maps(output_dir: Path) -> pd.DataFrame:
    """Adjusted d of every parcel, a row by the parcel's name, a column an arm."""
    table = read_table(output_dir, "group_casecontrol")
    table["feature"] = table["feature"].str.removesuffix("_density").str.removesuffix("_volume_ml")
    return table.pivot_table(index="feature", columns="arm", values="d").astype(float)


def n_claimed(output_dir: Path, arm: str) -> int:
    """Features of an arm with q < .05."""
    table = read_table(output_dir, "group_casecontrol")
    return int((table.loc[table["arm"] == arm, "q"].astype(float) < ALPHA).sum())


def kept_share(found: np.ndarray, true: np.ndarray) -> float:
    """Slope through zero of the d that was found on the true one."""
    return float(found @ true / (true @ true))


def make_derivative(words: argparse.Namespace, design: StudyDesign) -> Path:
    """The study as the participant level leaves it; unchanged scans are not done again."""
    bids_dir = make_study(words.folder / design.disorder, design)
    output_dir = bids_dir.with_name(
        f"{bids_dir.name}-{'true' if words.true_masks else 'own'}-masks"
    )
    if words.true_masks:
        if not (output_dir / "participants.tsv").is_file():
            write_derivative(bids_dir, output_dir, resolution_mm=design.resolution_mm)
        return output_dir
    if words.keep and (output_dir / "participants.tsv").is_file():
        return output_dir
    given = ("--resolution", f"{design.resolution_mm:g}", "--nprocs", str(words.nprocs))
    run_app(
        [str(bids_dir), str(output_dir), "participant", *given], output_dir.with_suffix(".log")
    )
    return output_dir


def run_group(
    words: argparse.Namespace, output_dir: Path, stages: Sequence[str], *given: str
) -> None:
    """Run stages by the app; tells what they cost."""
    cost = run_app(
        [
            *("-", str(output_dir), "group", "--stages", *stages, *GROUPS),
            *("--nprocs", str(words.nprocs), *given, *words.options),
        ],
        output_dir.with_suffix(".group.log"),
    )
    say(f"{' '.join(stages)}: {cost.cpu_s:.0f} s of CPU, {cost.peak_gb:.2f} GB")


def planted(words: argparse.Namespace) -> None:
    """Print the figures of one study."""
    design = _design(words, n_per_site=36, n_cases=24, resolution_mm=words.resolution or 3.0)
    output_dir = make_derivative(words, design)
    if not (words.keep and (output_dir / "group_features.tsv").is_file()):
        run_group(words, output_dir, ("harmonize", "features"))
    truth_dir = output_dir.with_name(f"{output_dir.name}-truth")
    people, table = true_table(design, folder=truth_dir, n_procs=words.nprocs, keep=words.keep)
    true = {}
    for measure in MEASURES:
        given = ("--features", str(table), *columns_of(measure))
        run_group(words, truth_dir / "out", ("disorder",), *given)
        true[measure] = effect_maps(truth_dir / "out")[TRUE_ARM]
    for measure in MEASURES:
        run_group(words, output_dir, ("disorder", "subtypes"), *columns_of(measure))
        maps = effect_maps(output_dir)
        for kind, effects in true.items():
            say(f"--- {measure} against the true {kind}")
            tell_maps(maps, effects.loc[maps.index].to_numpy())
        tell_people(output_dir, people)


def columns_of(measure: str) -> tuple[str, str]:
    """The option that chooses one measure of the parcels."""
    return "--feature-columns", f"parcel_*_{measure}"


def tell_people(output_dir: Path, people: pd.DataFrame) -> None:
    """How well cases are told from controls, and their patterns from each other."""
    told = read_table(output_dir, "group_classification")
    told = told[told["held_out_site"] == "all"].set_index("arm")["auc"].astype(float)
    subtypes = read_table(output_dir, "group_subtypes").set_index("participant_id")
    validity = read_table(output_dir, "group_subtypevalidity")
    for arm in ARMS:
        own = subtypes[subtypes["arm"] == arm]
        given = people.loc[own.index, "pattern"]
        ari = {way: adjusted_rand_score(given, own[way]) for way in ("subtype", "hydra", "som")}
        words = ", ".join(f"{way} {value:.2f}" for way, value in ari.items())
        verdict = validity.loc[validity["arm"] == arm, "verdict"].dropna().unique()
        say(f"{arm}: ARI with the planted patterns: {words}; verdict {', '.join(verdict)}")
        n = n_claimed(output_dir, arm)
        say(f"{arm}: features with q < {ALPHA:g}: {n}; AUC {told[arm]:.3f}")


def tell_maps(maps: pd.DataFrame, true: np.ndarray) -> None:
    """How near each arm's map is to the true one."""
    near = {arm: float(np.corrcoef(maps[arm], true)[0, 1]) for arm in ARMS}
    kept = {arm: kept_share(maps[arm].to_numpy(), true) for arm in ARMS}
    say(f"{len(maps)} parcels; true d from {true.min():+.2f} to {true.max():+.2f}")
    for arm in ARMS:
        say(f"{arm}: correlation with the true d {near[arm]:.3f}, share kept {kept[arm]:.2f}")
    good = near["harmonized"] >= max(WANTED_CORRELATION, near["raw"] - BELOW_RAW)
    good &= kept["harmonized"] >= WANTED_KEPT
    say(f"wanted of harmonized: at least {WANTED_CORRELATION}, raw less {BELOW_RAW}, and "
        f"{WANTED_KEPT} kept: {'ok' if good else 'misses'}")  # fmt: skip


def permuted(words: argparse.Namespace) -> None:
    """Print in how many deals of the groups nothing is claimed."""
    words.disorder = "zero"
    design = _design(words, n_per_site=12, n_cases=8, resolution_mm=words.resolution or 4.0)
    base = make_derivative(words, design)
    path = words.folder / f"permuted-seed{design.seed}.jsonl"
    for deal in range(*words.deals):
        if deal not in _read_deals(path):
            row = {"deal": deal, **_deal_anew(words, base, deal)}
            with path.open("a", encoding="utf-8") as stream:
                stream.write(f"{json.dumps(row)}\n")
    rows = _read_deals(path).values()
    for name in (f"{measure} {arm}" for measure in MEASURES for arm in ARMS):
        quiet = sum(row[name] == 0 for row in rows)
        told = f"{name}: nothing below q .05 in {quiet} of {len(rows)} deals"
        if len(rows) == N_DEALS:
            told += f", wanted {N_QUIET}: {'ok' if quiet >= N_QUIET else 'misses'}"
        say(told)


def _read_deals(path: Path) -> dict[int, dict[str, int]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {row["deal"]: row for row in map(json.loads, lines)}


def _deal_anew(words: argparse.Namespace, base: Path, deal: int) -> dict[str, int]:
    """Features with q < .05 in each arm after one deal; the copy of the study is removed."""
    output_dir = base.with_name(f"{base.name}-deal{deal}")
    shutil.rmtree(output_dir, ignore_errors=True)
    shutil.copytree(base, output_dir, ignore=shutil.ignore_patterns("group_*", "models"))
    people = read_table(output_dir, "participants")
    rng = np.random.default_rng([words.seed, deal])
    people["group"] = people.groupby("site")["group"].transform(rng.permutation)
    people.to_csv(output_dir / "participants.tsv", sep="\t", index=False, na_rep="n/a")
    run_group(words, output_dir, ("harmonize", "features"))
    found = {}
    for measure in MEASURES:
        run_group(words, output_dir, ("disorder",), *columns_of(measure))
        found |= {f"{measure} {arm}": n_claimed(output_dir, arm) for arm in ARMS}
    say(f"deal {deal}: " + ", ".join(f"{name} {n}" for name, n in found.items()))
    _keep_raw_rows(output_dir, base)
    shutil.rmtree(output_dir)
    return found


def _keep_raw_rows(output_dir: Path, base: Path) -> None:
    """Put what was measured of the raw scans beside the study, from where every deal is copied."""
    kept = base / ".work" / "features"
    kept.mkdir(parents=True, exist_ok=True)
    for path in sorted((output_dir / ".work" / "features").glob("*_raw.*")):
        if not (kept / path.name).exists():
            shutil.copy2(path, kept)


def _design(words: argparse.Namespace, **counts: float) -> StudyDesign:
    return StudyDesign(
        preset="default",
        n_sites=3,
        n_travelling=0,
        disorder=words.disorder,
        seed=words.seed,
        **{**counts, **{name: value for name, value in _asked(words).items() if value}},
    )


def _asked(words: argparse.Namespace) -> dict[str, int | None]:
    return {"n_per_site": words.controls, "n_cases": words.cases}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("planted", "permuted"))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--disorder", choices=("confounded", "zero"), default="confounded")
    parser.add_argument("--controls", type=int, metavar="N", help="per site")
    parser.add_argument("--cases", type=int, metavar="N", help="per site")
    parser.add_argument("--resolution", type=float, metavar="MM")
    parser.add_argument("--true-masks", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--nprocs", type=int, default=2)
    parser.add_argument(
        "--deals", type=int, nargs=2, default=(0, N_DEALS), metavar=("FIRST", "STOP")
    )
    parser.add_argument("options", nargs="*")
    words = parser.parse_args(arguments)
    words.folder.mkdir(parents=True, exist_ok=True)
    {"planted": planted, "permuted": permuted}[words.what](words)


if __name__ == "__main__":
    sys.exit(main())
