"""What the harmonizers reach on phantoms, by the app's own command line and tables.

``python -m tests.benchmarks.bench_harmonizer --folder DIR --seeds 401 402 403`` writes a phantom
a seed (preset ``default``, 2 sites x 20, 8 travelling, 3 mm, masks from the truth), runs the
stages ``harmonize`` and ``evaluate`` on it, and prints every method in both directions, how far
the trained ones stand from the best training-free baseline, and what a lesion becomes
(:mod:`tests.benchmarks.harmonizer_structure`). What follows ``--`` is given to the app.
Seeds on which something was tuned must not be used for figures.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.harmonizers import HARMONIZERS
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.phantom import StudyDesign
from tests.benchmarks.harmonizer_structure import structure_of
from tests.benchmarks.method_runs import run_methods, say, tell_methods
from tests.benchmarks.site_runs import make_derivative, make_study


def bench(words: argparse.Namespace, seed: int) -> pd.DataFrame:
    """Run one seed; the rows of the table of methods that are printed, with the seed."""
    design = StudyDesign(
        preset=words.preset,
        n_sites=2,
        n_per_site=words.per_site,
        n_travelling=words.travelling,
        resolution_mm=words.resolution,
        seed=seed,
    )
    bids_dir = make_study(words.folder, design)
    output_dir = make_derivative(
        bids_dir, resolution_mm=words.resolution, own_masks=words.own_masks
    )
    table = run_methods(output_dir, words.options, seed=seed)
    tell_structure(bids_dir, output_dir)
    return table


def tell_structure(bids_dir: Path, output_dir: Path) -> None:
    """What becomes of a lesion, for every trained harmonizer that was fitted."""
    for name, row in HARMONIZERS.items():
        for folder in sorted((output_dir / "models").glob(f"{name}_to-*")):
            if not row.trained:
                continue
            reference = folder.name.removeprefix(f"{name}_to-")
            harmonizer = load_harmonizer(harmonizer_folder(output_dir, name, reference))
            for site in harmonizer.frame.source_sites:
                found = pd.DataFrame(
                    structure_of(harmonizer, bids_dir, output_dir, source_site=site)
                )
                means = ", ".join(
                    f"{column} {found[column].mean():.3f} "
                    f"({found[column].min():.3f} to {found[column].max():.3f})"
                    for column in found
                )
                say(f"  {name} {site} to {reference}, n {len(found)}: {means}")


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
    parser.add_argument("--per-site", type=int, default=20)
    parser.add_argument("--travelling", type=int, default=8)
    parser.add_argument("--resolution", type=float, default=3.0, metavar="MM")
    parser.add_argument("--own-masks", action="store_true")
    arguments = parser.parse_args(words[:cut])
    arguments.options = words[cut + 1 :]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    tell_methods(pd.concat([bench(arguments, seed) for seed in arguments.seeds]))


if __name__ == "__main__":
    main()
