"""What the site classifier reaches on phantoms, by the app's own command line and tables.

``python -m tests.benchmarks.bench_site WHAT --folder DIR`` with WHAT one of

* ``default``, ``hard``: accuracy of the network and its controls (6 sites x 50, 8 travelling);
* ``null``: five names over one null phantom of 100 scans: as shipped by the whole stage, then
  dealt at random ``--deals`` - 1 times, by its folds alone;
* ``visible``: accuracy with a part of the volume visible (preset ``hard``);
* ``cue``: where the saliency maps' maxima lie (preset ``cue``, 2 sites x 30, 60 epochs: with 20
  the network learns so small a difference in some folds only);
* ``speed``: scans per second at 4, 2 and 1 mm, and memory at 100 and 1,000 scans.

Masks are the phantom's truth unless ``--own-masks``. Studies and outputs stay in DIR and studies
are used again; what follows ``--`` is given to the app. One line a figure.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bids_harmonize.phantom import StudyDesign
from bids_harmonize.stats import wilson_interval
from tests.benchmarks.site_deals import dealt_predictions
from tests.benchmarks.site_maps import map_everybody
from tests.benchmarks.site_runs import (
    cue_distances,
    describe_row,
    fold_seconds,
    make_derivative,
    make_study,
    permutation_p,
    read_table,
    run_classify,
)

SCAN_MM, MEAN_MM = 12.0, 8.0
"""A scan's maximum, and the site mean's, count as hits within these distances of the patch."""

CUE_EPOCHS = 60

_SHAPES = {
    "default": (6, 50, 8),
    "hard": (6, 50, 8),
    "visible": (6, 50, 8),
    "null": (5, 20, 0),
    "cue": (2, 30, 0),
}
_CASES = ((4.0, 48), (2.0, 12), (1.0, 6))
_MEMORY_CASES = ((4.0, 100), (4.0, 1000))


def classify(words: argparse.Namespace) -> tuple[Path, Path]:
    """Run the stage on the study that was asked for and tell what it cost.

    Returns
    -------
    tuple
        Raw dataset and derivative.
    """
    bids_dir, output_dir = prepare(words)
    cost = run_classify(output_dir, *words.options)
    log = output_dir.with_suffix(".log").read_text(encoding="utf-8")
    say(
        f"cost: {cost.wall_s:.0f} s, of which the folds {fold_seconds(log):.0f} s; "
        f"{cost.cpu_s:.0f} s of CPU, {cost.peak_gb:.2f} GB"
    )
    return bids_dir, output_dir


def prepare(words: argparse.Namespace) -> tuple[Path, Path]:
    """Raw phantom and derivative of the study that was asked for."""
    n_sites, n_per_site, n_travelling = _SHAPES[words.what]
    design = StudyDesign(
        preset="hard" if words.what == "visible" else words.what,
        n_sites=words.sites or n_sites,
        n_per_site=words.per_site or n_per_site,
        n_travelling=n_travelling if words.travelling is None else words.travelling,
        resolution_mm=words.resolution,
        seed=words.seed,
    )
    bids_dir = make_study(words.folder, design)
    output_dir = make_derivative(
        bids_dir, resolution_mm=words.resolution, own_masks=words.own_masks
    )
    return bids_dir, output_dir


def tell_accuracy(words: argparse.Namespace) -> None:
    """Every row of the table of models."""
    _, output_dir = classify(words)
    tell_rows(output_dir, "group_siteclassification")


def tell_visible(words: argparse.Namespace) -> None:
    """Every row of the table of visible fractions."""
    _, output_dir = classify(words)
    tell_rows(output_dir, "group_sitevisibility")


def tell_cue(words: argparse.Namespace) -> None:
    """Distances of the maxima from the patch, and the checks of the maps."""
    longer = words.folder / "cue.toml"
    longer.write_text(f"[classifier]\nn_epochs = {CUE_EPOCHS}\n", encoding="utf-8")
    words.options = ["--config-file", str(longer), *words.options]
    bids_dir, output_dir = classify(words)
    say(f"maps of all {map_everybody(output_dir, n_processors=words.nprocs)} scans")
    distances, mean_mm = cue_distances(bids_dir, output_dir)
    n_scans = len(distances)
    if n_scans:
        n_hits = sum(distance <= SCAN_MM for distance in distances.values())
        low, high = wilson_interval(n_hits, n_scans)
        say(
            f"maximum within {SCAN_MM:g} mm: {n_hits / n_scans:.3f} ({low:.3f} to {high:.3f}) "
            f"of n {n_scans}; median {np.median(list(distances.values())):.1f} mm"
        )
    say(f"maximum of the site's mean map: {mean_mm:.1f} mm away, wanted {MEAN_MM:g}")
    for stem, distance in distances.items():
        say(f"  {stem} {distance:.1f} mm")
    for output in ("group_siteclassification", "group_saliencydeletion", "group_saliencychecks"):
        tell_rows(output_dir, output)


def tell_null(words: argparse.Namespace) -> None:
    """The shipped names by the whole stage; then dealt names, by the folds alone."""
    _, output_dir = classify(words)
    models = read_table(output_dir, "group_siteclassification")
    row = models[(models["model"] == "network") & (models["split"] == "validation")].iloc[0]
    say(f"names as shipped: {describe_row(row.to_dict())}")
    for claim in read_table(output_dir, "group_siteverdict").to_dict("records"):
        say(f"  on the page: {claim['question']}: {claim['answer']} ({claim['reason']})")
    accuracies = [float(row["balanced_accuracy"])]
    people = read_table(output_dir, "participants")
    names = people["site"].to_numpy()
    for deal in range(1, words.deals):
        rng = np.random.default_rng([words.seed, deal])
        dealt = dict(zip(people["participant_id"], rng.permutation(names), strict=True))
        found = dealt_predictions(
            output_dir, dealt, n_processors=words.nprocs, seed=words.seed + deal
        )
        right = found["predicted"] == found["site"]
        accuracies.append(float(right.groupby(found["site"]).mean().mean()))
        p_value = permutation_p(found, rng=rng)
        say(f"deal {deal}: balanced accuracy {accuracies[-1]:.3f}; permutation p {p_value:.3f}")
    spread = np.std(accuracies, ddof=1) if len(accuracies) > 1 else float("nan")
    say(
        f"mean balanced accuracy over {len(accuracies)} deals {np.mean(accuracies):.3f} "
        f"(sd {spread:.3f}), chance {row['chance']:.3f}"
    )


def tell_speed(words: argparse.Namespace) -> None:
    """Scans per second, and memory for ten times as many scans; a process a case."""
    grown = []
    for resolution_mm, n_scans in (*_CASES, *_MEMORY_CASES):
        case = [f"{resolution_mm:g}", str(n_scans), str(words.nprocs)]
        finished = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.site_speed", *case],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = json.loads(finished.stdout.splitlines()[-1])
        grown.append(found["own_memory_gb"])
        say(
            f"{resolution_mm:g} mm, n {n_scans}, {words.nprocs} threads: "
            f"{found['training_scans_per_s']:.2f} scans/s in training, "
            f"{found['inference_scans_per_s']:.2f} in inference; own memory "
            f"{found['own_memory_gb']:.2f} GB, with mapped volumes {found['with_mapped_gb']:.2f}"
        )
    few, many = grown[-2:]
    say(f"own memory with 1,000 scans over that with 100: {many / few:.3f}")


def tell_rows(output_dir: Path, output: str) -> None:
    """Every row of a table, or that there is none."""
    table = read_table(output_dir, output)
    if table.empty:
        say(f"{output}: not written by this version")
    for row in table.to_dict("records"):
        say(describe_row({str(name): value for name, value in row.items()}))


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


WHAT: dict[str, Callable[[argparse.Namespace], None]] = {
    "default": tell_accuracy,
    "hard": tell_accuracy,
    "null": tell_null,
    "visible": tell_visible,
    "cue": tell_cue,
    "speed": tell_speed,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures of one show."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=tuple(WHAT))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sites", type=int)
    parser.add_argument("--per-site", type=int)
    parser.add_argument("--travelling", type=int)
    parser.add_argument("--resolution", type=float, default=4.0, metavar="MM")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--own-masks", action="store_true")
    parser.add_argument("--deals", type=int, default=10)
    parser.add_argument("--nprocs", type=int, default=2, help="threads in speed and null")
    arguments = parser.parse_args(words[:cut])
    arguments.options = words[cut + 1 :]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    WHAT[arguments.what](arguments)


if __name__ == "__main__":
    main()
