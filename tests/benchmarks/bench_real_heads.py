"""What the harmonizers reach on real heads under two simulated scanners, by the app's tables.

``python -m tests.benchmarks.bench_real_heads --folder DIR --seeds 1 2 3`` runs the participant
level once on the IXI scans of ``../shared/data/real-t1w`` (kept in DIR), lets the scanners of
:mod:`tests.benchmarks.simulated_scanners` scan each head again (12 people at SiteA, 12 at SiteB, 8
twice at both), runs the stages ``harmonize`` and ``evaluate``, and prints every method towards the
reference (direct) and away from it (reverse). SiteB is blurred, so towards SiteA an image must be
sharpened. The ceiling is a second session at the target. Nobody moved between scans, so the same
is told without the app's registrations too, and how far these are off. ``--condition tone``: the
sites differ by a tone curve alone, and no method may then stand below the best baseline.
``--pictures`` draws travellers; with ``--travellers-only`` no site probe is asked, which takes
half the time. What follows ``--`` is given to the app. The heads were really scanned, the sites
were not: the scanners' effects are simple.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tests.benchmarks.aligned_scores import (
    fitted_methods,
    misplacements_mm,
    read_study,
    score_unmoved,
)
from tests.benchmarks.before_after import draw_travellers
from tests.benchmarks.method_runs import run_methods, say, tell_methods
from tests.benchmarks.real_study import RealDesign, write_real_derivative, write_real_study
from tests.benchmarks.simulated_scanners import CONDITIONS, SITES
from tests.benchmarks.site_runs import run_app

Tables = tuple[pd.DataFrame, pd.DataFrame]
TITLES = ("The app's table, pairs registered by the app:", "Unmoved, as the scans truly lie:")


def make_heads(folder: Path, dataset: Path, *, resolution_mm: float) -> Path:
    """The participant level's derivative of the real scans; what stands is not made again.

    Parameters
    ----------
    folder
        Where the benchmark keeps its data.
    dataset
        Root of the real dataset; its ``sub-ixi*`` are taken, all of one scanner.
    resolution_mm
        Voxel size of the study grid, mm.

    Returns
    -------
    Path
        Root of the derivative.
    """
    labels = sorted(path.name.removeprefix("sub-") for path in dataset.glob("sub-ixi*"))
    output_dir = folder / f"heads-{resolution_mm:g}mm"
    words = [str(dataset), str(output_dir), "participant", "--no-tissue", "--nprocs", "1"]
    words += ["--resolution", f"{resolution_mm:g}", "--participant-label", *labels]
    cost = run_app(words, output_dir.with_suffix(".log"))
    say(f"{len(labels)} real scans: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} s of CPU")
    return output_dir


def bench(words: argparse.Namespace, heads_dir: Path, seed: int) -> Tables:
    """Run one seed; the app's table of methods, and the same without any registration."""
    design = RealDesign(words.condition, words.per_site, words.travelling, seed)
    name = f"real-{words.condition}-{words.resolution:g}mm-seed{seed}"
    bids_dir, output_dir = words.folder / name, words.folder / f"{name}-to-{words.reference}"
    write_real_study(heads_dir, bids_dir, design)
    write_real_derivative(heads_dir, bids_dir, output_dir)
    options = ["--reference-site", words.reference, *words.options]
    table = run_methods(output_dir, options, seed=seed, probes=not words.travellers_only)
    study = read_study(output_dir, words.reference)
    off = misplacements_mm(study)
    for across, rows in off.groupby("across")["rms_mm"]:
        what = "between sites" if across else "within a site"
        say(f"  registrations {what}: off by {rows.median():.2f} mm, most {rows.max():.2f}")
    unmoved = score_unmoved(study, fitted_methods(output_dir, words.reference), seed=seed)
    if words.pictures is not None:
        folder = words.pictures / name
        for path in draw_travellers(output_dir, folder, reference_site=words.reference):
            say(f"  {path}")
    return table, unmoved


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures of all seeds, or why there are none."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--condition", choices=list(CONDITIONS), default="full")
    parser.add_argument("--reference", choices=list(SITES), default="SiteB")
    parser.add_argument("--per-site", type=int, default=12)
    parser.add_argument("--travelling", type=int, default=8)
    parser.add_argument("--resolution", type=float, default=3.0, metavar="MM")
    parser.add_argument("--travellers-only", action="store_true")
    parser.add_argument("--pictures", type=Path, default=None, metavar="DIR")
    arguments = parser.parse_args(words[:cut])
    arguments.options = words[cut + 1 :]
    dataset = arguments.data / "real-t1w"
    if not dataset.is_dir():
        say(f"skipped: real images are not here: {dataset}")
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    heads_dir = make_heads(arguments.folder, dataset, resolution_mm=arguments.resolution)
    tables = [bench(arguments, heads_dir, seed) for seed in arguments.seeds]
    for title, found in zip(TITLES, zip(*tables, strict=True), strict=True):
        say(title)
        tell_methods(pd.concat(found))


if __name__ == "__main__":
    main()
