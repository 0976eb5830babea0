"""What the harmonizers reach on phantoms, by the app's own command line and tables.

``python -m tests.benchmarks.bench_harmonizer --folder DIR --seeds 401 402 403`` writes a phantom
a seed (preset ``default``, 2 sites x 20, 8 travelling, 3 mm, masks from the truth), runs the
stages ``harmonize`` and ``evaluate`` on it, and prints every method in both directions, how far
the trained ones stand from the best training-free baseline, what a lesion becomes
(:mod:`tests.benchmarks.harmonizer_structure`), how far intensity and texture tell the sites
apart, and for each trained harmonizer the verdict line by line
(:mod:`tests.benchmarks.harmonizer_targets`). ``--ceiling`` trains the same generator on true
pairs (:mod:`tests.benchmarks.pair_ceiling`); ``--probe`` runs ``classify`` too, for the old probe
of the chosen harmonizer. What follows ``--`` is given to the app. Seeds on which something was
tuned must not be used for figures.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.bids.study import Study, load_study
from bids_harmonize.config import ResourceSettings, make_settings
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.phantom import StudyDesign
from bids_harmonize.training.runtime import make_runtime
from tests.benchmarks.harmonizer_findings import (
    feature_findings,
    over_seeds,
    probe_findings,
    structure_findings,
    table_findings,
)
from tests.benchmarks.harmonizer_structure import structure_of
from tests.benchmarks.harmonizer_targets import verdicts
from tests.benchmarks.method_runs import METRICS, say, tell_methods
from tests.benchmarks.pair_ceiling import gap_to_ceiling, pair_harmonizer, score_ceiling
from tests.benchmarks.site_runs import make_derivative, make_study, read_table, run_app


@dataclass(frozen=True)
class SeedRun:
    """One seed, run by the app.

    Attributes
    ----------
    seed
        Of the phantom.
    bids_dir, output_dir
        The phantom and its derivative.
    methods, probes
        group_methods.tsv and group_siteprobe.tsv.
    gaps
        Share of the gap to the pair-trained generator; ``None`` without it.
    """

    seed: int
    bids_dir: Path
    output_dir: Path
    methods: pd.DataFrame
    probes: pd.DataFrame
    gaps: pd.DataFrame | None


def bench(words: argparse.Namespace, seed: int) -> SeedRun:
    """Run one seed."""
    design = StudyDesign(
        preset=words.preset,
        n_sites=words.sites,
        n_per_site=words.per_site,
        n_travelling=words.travelling,
        resolution_mm=words.resolution,
        seed=seed,
    )
    bids_dir = make_study(words.folder, design)
    output_dir = make_derivative(
        bids_dir, resolution_mm=words.resolution, own_masks=words.own_masks
    )
    stages = [*(["classify"] if words.probe else []), "harmonize", "evaluate"]
    # Alone, harmonize fits no models of the halves: two thirds of the training.
    for call in [[stage] for stage in stages] if words.travellers_only else [stages]:
        named = ["-", str(output_dir), "group", "--stages", *call, *words.options]
        cost = run_app(named, output_dir.with_suffix(f".{call[0]}.log"))
        say(
            f"seed {seed}, {' '.join(call)}: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} s of CPU, "
            f"{cost.peak_gb:.2f} GB"
        )
    methods = read_table(output_dir, "group_methods")
    probes = read_table(output_dir, "group_siteprobe")
    gaps = measure_gaps(design, output_dir, methods) if words.ceiling else None
    return SeedRun(seed, bids_dir, output_dir, methods, probes, gaps)


def measure_gaps(design: StudyDesign, output_dir: Path, methods: pd.DataFrame) -> pd.DataFrame:
    """Train the same generator on true pairs and say how much of its gain each method reaches."""
    harmonizer = next(harmonizer for _, harmonizer in fitted(output_dir))
    ceiling = pair_harmonizer(
        design,
        harmonizer.frame,
        runtime=make_runtime(ResourceSettings(device="cpu")),
        high=harmonizer.high,
        n_iterations=int(harmonizer.settings["n_iterations"]),
    )
    study = study_of(output_dir, harmonizer)
    scores = score_ceiling(
        study, ceiling, work_dir=output_dir.with_name(f"{output_dir.name}-pairs")
    )
    gaps = gap_to_ceiling(methods, scores)
    for row in gaps[(gaps["mask"] == "brain")].to_dict("records"):
        if row["method"] in HARMONIZERS and HARMONIZERS[row["method"]].trained:
            say(
                f"  {row['kind']} {row['source_site']} {row['method']}: gap to the pair-trained "
                f"generator closed, {row['metric']} {row['gap_to_pair_trained']:.2f}"
            )
    return gaps


def fitted(output_dir: Path) -> Iterator[tuple[str, Harmonizer]]:
    """Every trained harmonizer that the app fitted, with its name."""
    for name, row in HARMONIZERS.items():
        for folder in sorted((output_dir / "models").glob(f"{name}_to-*")) if row.trained else ():
            reference = folder.name.removeprefix(f"{name}_to-")
            yield name, load_harmonizer(harmonizer_folder(output_dir, name, reference))


def study_of(output_dir: Path, harmonizer: Harmonizer) -> Study:
    """The derivative as the app saw it."""
    wanted = {"site": {"reference_site": harmonizer.frame.reference_site}}
    return load_study(output_dir, settings=make_settings(wanted, source="benchmark"))


def tell_findings(run: SeedRun) -> dict[str, dict[str, float]]:
    """Print what becomes of a lesion and of features; all numbers by harmonizer and source."""
    found: dict[str, dict[str, float]] = {}
    for name, harmonizer in fitted(run.output_dir):
        study = study_of(run.output_dir, harmonizer)
        reference = harmonizer.frame.reference_site
        for site in harmonizer.frame.source_sites:
            structure = list(
                structure_of(harmonizer, run.bids_dir, run.output_dir, source_site=site)
            )
            table = pd.DataFrame(structure)
            means = ", ".join(
                f"{column} {table[column].mean():.3f} "
                f"({table[column].min():.3f} to {table[column].max():.3f})"
                for column in table
            )
            say(f"  {name} {site} to {reference}, n {len(table)}: {means}")
            features = feature_findings(study, harmonizer, source_site=site)
            say(
                f"  {name} {site} to {reference}: median feature d raw "
                f"{features['feature_raw']:.2f}, harmonized {features['feature_harmonized']:.2f}, "
                f"rescanned {features['feature_floor']:.2f}"
            )
            found[f"{name} {site} to {reference}"] = {
                **table_findings(run.methods, method=name, source_site=site, gaps=run.gaps),
                **structure_findings(structure),
                **probe_findings(run.probes, method=name),
                **features,
            }
    return found


def tell_verdicts(found: Sequence[Mapping[str, Mapping[str, float]]]) -> None:
    """What was wanted and what was found, mean over seeds, for every trained harmonizer."""
    for which in dict.fromkeys(name for seed in found for name in seed):
        say(f"{which}, {len(found)} seed(s):")
        for line in verdicts(over_seeds(seed[which] for seed in found if which in seed)):
            say(f"  {line}")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures of all seeds."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--sites", type=int, default=2)
    parser.add_argument("--per-site", type=int, default=20)
    parser.add_argument("--travelling", type=int, default=8)
    parser.add_argument("--resolution", type=float, default=3.0, metavar="MM")
    parser.add_argument("--own-masks", action="store_true")
    parser.add_argument("--travellers-only", action="store_true", help="no fresh site probes")
    parser.add_argument("--ceiling", action="store_true", help="train on true pairs too")
    parser.add_argument("--probe", action="store_true", help="run classify, for the old probe")
    arguments = parser.parse_args(words[:cut])
    arguments.options = words[cut + 1 :]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    tables, found = [], []
    for seed in arguments.seeds:
        run = bench(arguments, seed)
        table = run.methods
        table = table[(table["source_site"] != "all") & table["metric"].isin(METRICS)]
        tables.append(table.assign(seed=seed))
        found.append(tell_findings(run))
    tell_methods(pd.concat(tables))
    tell_verdicts(found)


if __name__ == "__main__":
    main()
