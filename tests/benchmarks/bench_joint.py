"""What one model of many sites reaches, at the sites that it was trained on and at one it was not.

``python -m tests.benchmarks.bench_joint --folder DIR --seed 501`` writes a phantom (preset
``default``, 6 sites x 12, 6 travelling, 3 mm, masks from the truth), takes the people of the last
site away, so that nothing of it can be trained on, fits ``--sources joint`` by the app's own
command line, and prints the brain PSNR of every source site and of the unseen one to the
reference, on travelling subjects, beside no harmonization and ``--pairwise`` models of the same
scans, the reference on itself, and the distances of the unseen scans. What follows ``--`` is given
to the app. Seeds on which something was tuned must not be used for figures.
"""

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.names import harmonizer_folder
from bids_harmonize.bids.study import Study, load_study
from bids_harmonize.config import make_settings
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.joint import Joint
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.metrics import load_metric
from bids_harmonize.phantom import StudyDesign
from bids_harmonize.stages.evaluate import method_of
from bids_harmonize.stages.evaluation.pairs import ScanImages, read_scan_images
from bids_harmonize.stages.evaluation.travelling import score_travelling
from bids_harmonize.stats import bootstrap_interval
from bids_harmonize.training.generation import generate
from tests.benchmarks.site_runs import make_derivative, make_study, run_app

REFERENCE = "SiteA"
SOURCE_DB, UNSEEN_DB, ITSELF_SSIM = 4.0, 3.0, 0.99
"""Wanted: gain over no harmonization at each source and at an unseen site; reference on itself."""


def prepare(words: argparse.Namespace) -> tuple[Path, str]:
    """The derivative without the people of the last site, and that site's name."""
    design = StudyDesign(
        n_sites=words.sites,
        n_per_site=words.per_site,
        n_travelling=words.travelling,
        resolution_mm=words.resolution,
        seed=words.seed,
    )
    bids_dir = make_study(words.folder, design)
    output_dir = make_derivative(bids_dir, resolution_mm=words.resolution, own_masks=False)
    letter = chr(ord("A") + words.sites - 1)
    for folder in output_dir.glob(f"sub-{letter}[0-9]*"):
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    return output_dir, f"Site{letter}"


def fit(output_dir: Path, words: argparse.Namespace, *, sources: str) -> Harmonizer:
    """The harmonizer that the app fits; its cost is told."""
    call = ["-", str(output_dir), "group", "--stages", "harmonize", "--sources", sources]
    call += ["--harmonizer", words.harmonizer, "--reference-site", REFERENCE, *words.options]
    cost = run_app(call, output_dir.with_name(f"{output_dir.name}-{sources}.log"))
    say(f"{sources}: {cost.wall_s:.0f} s, {cost.cpu_s:.0f} s of CPU, {cost.peak_gb:.2f} GB")
    return load_harmonizer(harmonizer_folder(output_dir, words.harmonizer, REFERENCE))


def score(
    study: Study, harmonizer: Harmonizer, baseline: Harmonizer, *, work_dir: Path
) -> pd.DataFrame:
    """Brain PSNR to the reference: index participant_id, columns source site and method."""
    methods = [method_of(baseline), method_of(harmonizer)]
    frame = score_travelling(study, methods, levels={}, work_dir=work_dir).frame
    chosen = frame[
        (frame["kind"] == "direct") & (frame["mask"] == "brain") & (frame["metric"] == "psnr")
    ]
    return chosen.pivot_table(
        index="participant_id", columns=["source_site", "method"], values="value"
    )


def tell_gains(table: pd.DataFrame, name: str, *, unseen: str, sources: str) -> None:
    """A line a source site; the unseen one last."""
    rng = np.random.default_rng(0)
    for site in table.columns.get_level_values(0).unique():
        own = table[site]
        if name not in own:
            say(f"  {sources} {site}: refused")
            continue
        gains = (own[name] - own["identity"]).to_numpy()
        low, high = bootstrap_interval(gains, rng=rng)
        wanted, word = (UNSEEN_DB, " (unseen)") if site == unseen else (SOURCE_DB, "")
        say(
            f"  {sources} {site}{word}: {own['identity'].mean():.2f} -> {own[name].mean():.2f} "
            f"dB, gain {gains.mean():+.2f} ({low:+.2f} to {high:+.2f}), n {gains.size}, wanted "
            f"{wanted:g}"
        )


def tell_reference_on_itself(study: Study, joint: Joint) -> None:
    """SSIM in the head of the reference's own scans through the generator and as they are."""
    ssim = load_metric("ssim")
    found = []
    for scan in study.of_site(REFERENCE, participants=study.travelling):
        images = read_scan_images(scan)
        before = images.rescaled(images.volume, study.scaling_mask)
        if joint.generator is None:
            say("  reference on itself: the training diverged")
            return
        made = generate(
            joint.generator,
            _in_units(images),
            head_mask=images.head,
            voxel_size_mm=study.voxel_size_mm,
        )
        found.append(ssim(images.rescaled(made, study.scaling_mask), before, images.head))
    say(f"  reference on itself: SSIM {np.mean(found):.4f}, least {min(found):.4f}, wanted "
        f"{ITSELF_SSIM:g}")  # fmt: skip


def tell_distances(study: Study, joint: Joint, *, unseen: str) -> None:
    """Distances of travelling scans to the training sites: seen ones, and the unseen."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for scan in study.scans:
        if scan.participant_id not in study.travelling:
            continue
        images = read_scan_images(scan)
        distance = joint.distance(_in_units(images), head_mask=images.head)
        found[scan.site == unseen].append(distance)
    for is_unseen, values in found.items():
        word = "unseen site" if is_unseen else "trained sites"
        beyond = np.mean(np.array(values) > joint.usual_distance())
        say(
            f"  distance at {word}: median {np.median(values):.2f}, beyond the farthest training "
            f"scan ({joint.usual_distance():.2f}): {beyond:.0%} of {len(values)}"
        )


def _in_units(images: ScanImages) -> np.ndarray:
    """The scan as every harmonizer gets it; all of these phantoms have brain masks."""
    scaled = p99_scaling(images.volume, images.brain).apply(images.volume)
    return np.where(images.head, scaled, np.float32(0))


def bench(words: argparse.Namespace) -> None:
    """Fit, score and tell."""
    output_dir, unseen = prepare(words)
    settings = make_settings({"site": {"reference_site": REFERENCE}}, source="benchmark")
    study = load_study(output_dir, settings=settings)
    # The judge counts the unseen site among those of which a scan can be compared.
    judged = replace(study, trained_sites=(*study.trained_sites, unseen))
    for sources in ("joint", "pairwise") if words.pairwise else ("joint",):
        harmonizer = fit(output_dir, words, sources=sources)
        baseline = load_harmonizer(harmonizer_folder(output_dir, "identity", REFERENCE))
        baseline.frame = replace(baseline.frame, source_sites=judged.trained_sites[1:])
        # It is asked for the way back too, in whatever unit: scores do not depend on it.
        baseline.high = {unseen: 1.0, **baseline.high}
        table = score(judged, harmonizer, baseline, work_dir=output_dir / ".work")
        tell_gains(table, harmonizer.name, unseen=unseen, sources=sources)
        if isinstance(harmonizer, Joint):
            tell_reference_on_itself(study, harmonizer)
            tell_distances(study, harmonizer, unseen=unseen)


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Print the figures of one seed."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--harmonizer", default="localhistogram")
    parser.add_argument("--sites", type=int, default=6)
    parser.add_argument("--per-site", type=int, default=12)
    parser.add_argument("--travelling", type=int, default=6)
    parser.add_argument("--resolution", type=float, default=3.0, metavar="MM")
    parser.add_argument("--pairwise", action="store_true", help="fit pairwise models too")
    arguments = parser.parse_args(words[:cut])
    arguments.options = words[cut + 1 :]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    bench(arguments)


if __name__ == "__main__":
    main()
