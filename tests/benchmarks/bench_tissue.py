"""Tissue maps against the phantom's truth: Dice, volumes, repeatability, CPU seconds.

``python -m tests.benchmarks.bench_tissue --heads 2 --resolution 2 --seed 201`` makes heads of the
seeds 201 and 202, scans each on six scanners of each preset, finds head and brain as the app
does, and prints a row a scan and the summary. The phantom's deep grey matter is what the
template's own maps call grey there; ``deep`` is the Dice of grey matter in a box around it.
"""

import argparse
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_harmonize.atlases import load_template
from bids_harmonize.imaging.brainmask import find_brain
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import place_grid, resample, resample_mask
from bids_harmonize.imaging.headmask import find_head
from bids_harmonize.imaging.tissue import TissueResult, find_tissue
from bids_harmonize.phantom import (
    PRESETS,
    Person,
    Scanner,
    draw_session,
    make_person,
    make_scanners,
    simulate,
    truth_on_grid,
)
from bids_harmonize.phantom.seeds import named_generator
from bids_harmonize.phantom.study import StudyDesign
from bids_harmonize.phantom.tissues import TISSUE_INDEX, TISSUES

NAMES = ("csf", "gm", "wm")
DEEP_MM = ((5.0, 34.0), (-32.0, 24.0), (-10.0, 18.0))  # |x|, y, z in the template's world


@dataclass(frozen=True)
class Row:
    """One scan: Dice of CSF, GM, WM, of grey matter deep in the brain, of the brain; volumes."""

    scanner: str
    seed: int
    dice: tuple[float, ...]
    deep: float
    brain: float
    found_ml: tuple[float, ...]
    true_ml: tuple[float, ...]
    jacobian: tuple[float, float]
    correlation: float
    cpu_s: float
    flags: tuple[str, ...]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks, 0 to 1."""
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))


def measure(
    person: Person, scanner: Scanner, *, seed: int, preset: str, resolution_mm: float
) -> Row:
    """One scan of a person, taken through head, brain and tissue."""
    session = draw_session(named_generator(seed, "session", "bench", scanner.name, 1))
    scan = simulate(person, scanner, session)
    head = find_head(scan.volume, scan.affine)
    grid = place_grid(head.mask, scan.affine, resolution_mm=resolution_mm)
    head_mask = resample_mask(head.mask, scan.affine, grid)
    volume = resample(scan.volume, scan.affine, grid)
    volume[~head_mask] = 0
    brain = find_brain(scan.volume, scan.affine, head.mask, load_template())
    mask = resample_mask(brain.mask, scan.affine, grid) & head_mask
    start = time.process_time()
    tissue = find_tissue(
        volume, grid.affine, mask, load_template(), to_template=brain.template_affine
    )
    cpu_s = time.process_time() - start
    truth = truth_on_grid(person, grid.shape, grid.affine, scan.to_person)
    labels = np.where(truth.brain, truth.labels, 0)
    shares = np.stack([tissue.csf, tissue.gm, tissue.wm])
    found = np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0)
    values = [TISSUES[TISSUE_INDEX[name]].label for name in NAMES]
    deep = _deep(grid, brain.template_affine)
    return Row(
        scanner=f"{preset} {scanner.name}",
        seed=seed,
        dice=tuple(dice(found == n + 1, labels == value) for n, value in enumerate(values)),
        deep=dice(deep & (found == 2), deep & (labels == values[1])),
        brain=dice(mask, truth.brain),
        found_ml=tuple(tissue.volumes_ml[name] for name in NAMES),
        true_ml=_true_ml(person),
        jacobian=tissue.deformation.jacobian_range,
        correlation=tissue.deformation.correlation,
        cpu_s=cpu_s,
        flags=(*brain.flags, *_words(tissue)),
    )


def _words(tissue: TissueResult) -> tuple[str, ...]:
    return tissue.flags


def _true_ml(person: Person) -> tuple[float, ...]:
    """Volumes of the tissues' fractions in the head at rest, mL."""
    voxel_ml = abs(float(np.linalg.det(person.affine[:3, :3]))) / 1e3
    parts = [person.fractions[TISSUE_INDEX[name]].sum(dtype=np.float64) for name in NAMES]
    return tuple(float(part) * voxel_ml for part in parts)


def _deep(grid: Grid, to_template: np.ndarray) -> np.ndarray:
    """Box around thalamus and basal ganglia of both sides."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"))
    matrix = to_template @ grid.affine
    x, y, z = np.tensordot(matrix[:3, :3], index, axes=1) + matrix[:3, 3, None, None, None]
    inside = np.ones(grid.shape, bool)
    for place, (low, high) in zip((np.abs(x), y, z), DEEP_MM, strict=True):
        inside &= (place >= low) & (place <= high)
    return inside


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=1)
    parser.add_argument("--resolution", type=float, default=2.0, metavar="MM")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--presets", nargs="+", default=["default", "mixed"])
    arguments = parser.parse_args(argv)
    rows = []
    for seed in range(arguments.seed, arguments.seed + arguments.heads):
        for preset in arguments.presets:
            design = StudyDesign(
                preset=preset,
                n_sites=6,
                n_per_site=1,
                resolution_mm=arguments.resolution,
                seed=seed,
            )
            person = make_person(seed, "bench", base_mm=design.base_mm)
            for scanner in make_scanners(
                PRESETS[preset], n_sites=6, resolution_mm=arguments.resolution, seed=seed
            ):
                row = measure(
                    person, scanner, seed=seed, preset=preset, resolution_mm=arguments.resolution
                )
                rows.append(row)
                _say(row)
    _summarise(rows)


def _say(row: Row) -> None:
    bias = [100 * (a / b - 1) for a, b in zip(row.found_ml, row.true_ml, strict=True)]
    sys.stdout.write(
        f"{row.scanner:14s} head {row.seed}  dice csf/gm/wm "
        + " ".join(f"{value:.3f}" for value in row.dice)
        + f"  deep {row.deep:.3f}  brain {row.brain:.3f}  volume bias % "
        + " ".join(f"{value:+.1f}" for value in bias)
        + f"  jacobian {row.jacobian[0]:.2f}-{row.jacobian[1]:.2f}  r {row.correlation:.2f}"
        + f"  {row.cpu_s:.1f} s  {'; '.join(row.flags)}\n"
    )
    sys.stdout.flush()


def _summarise(rows: list[Row]) -> None:
    scores = np.array([row.dice for row in rows])
    found, true = (
        np.array([getattr(row, name) for row in rows]) for name in ("found_ml", "true_ml")
    )
    bias = 100 * (found / true - 1)
    deviations = []
    for preset, seed in sorted({(row.scanner.split()[0], row.seed) for row in rows}):
        same = [row.scanner.startswith(preset) and row.seed == seed for row in rows]
        deviations.append(100 * found[same].std(axis=0, ddof=1) / found[same].mean(axis=0))
    lines = {
        "lowest dice of any scan": scores.min(axis=0),
        "mean dice": scores.mean(axis=0),
        "mean volume bias, %": bias.mean(axis=0),
        "largest volume bias, %": np.abs(bias).max(axis=0),
        "largest CV over six scanners, %": np.max(deviations, axis=0),
        "mean CV over six scanners, %": np.mean(deviations, axis=0),
    }
    sys.stdout.write(f"\n{'':34s}" + "".join(f"{name:>8s}" for name in NAMES) + "\n")
    for name, values in lines.items():
        sys.stdout.write(f"{name:34s}" + "".join(f"{value:8.3f}" for value in values) + "\n")
    by_scanner = sorted({row.scanner for row in rows})
    for scanner in by_scanner:
        least = np.min([row.dice for row in rows if row.scanner == scanner], axis=0)
        sys.stdout.write(
            f"{'lowest dice, ' + scanner:34s}" + "".join(f"{value:8.3f}" for value in least) + "\n"
        )
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(
        f"CPU of find_tissue {np.mean([row.cpu_s for row in rows]):.1f} s a scan, at most"
        f" {max(row.cpu_s for row in rows):.1f} s; this process, phantom included, at most"
        f" {peak_gb:.2f} GB\n"
    )


if __name__ == "__main__":
    main()
