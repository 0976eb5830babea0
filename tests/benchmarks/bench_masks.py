"""Head and brain masks against truth, and on real images.

``python -m tests.benchmarks.bench_masks phantom --resolution 3 --people 30`` and the like; see
``--help``. Prints one line a scan, the worst cases, and whether the app itself flagged them.
"""

import argparse
import json
import multiprocessing
import resource
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from scipy import ndimage

from bids_harmonize.bids.images import read_image
from bids_harmonize.imaging.grid import Grid, resample_mask
from bids_harmonize.phantom import (
    PRESETS,
    draw_session,
    make_person,
    make_scanners,
    simulate,
    truth_on_grid,
)
from bids_harmonize.phantom.seeds import named_generator
from tests.benchmarks.mask_cases import Row, measure_case
from tests.benchmarks.synthetic_shell import draw_shell, put_in_shell

TARGETS = {1.0: (0.94, 0.95), 3.0: (0.92, 0.93)}  # head, brain
SHELL_TARGET, STRIPPED_TARGET = 0.92, 0.96
LITRES = (0.9, 2.0)
COLUMNS = "head   missed | brain  missed | litres edge | conf  conf | s head+brain | case"
Job = tuple[Callable[..., Row], tuple]


def phantom_case(preset: str, seed: int, person_name: str, site: int, resolution: float) -> Row:
    """One phantom scan: person and scanner of a study of that seed."""
    person = make_person(seed, person_name, base_mm=1.0 if resolution < 2 else 2.0)
    scanner = make_scanners(
        PRESETS[preset], n_sites=site + 1, resolution_mm=resolution, seed=seed
    )[site]
    rng = named_generator(seed, "bench-masks", person_name, scanner.name)
    scan = simulate(person, scanner, draw_session(rng))

    def truth(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        masks = truth_on_grid(person, grid.shape, grid.affine, scan.to_person)
        return masks.head, masks.brain

    name = f"{preset}-{person_name}-{scanner.name}-{resolution:g}mm"
    return measure_case(name, scan.volume, scan.affine, resolution_mm=resolution, truth=truth)[0]


def shell_case(path: Path, draw: int, resolution: float) -> Row:
    """A real stripped brain inside a synthetic skull and scalp."""
    brain, affine = read_image(path)
    rng = named_generator(0, "shell", path.name, draw)
    volume, inside, own = put_in_shell(brain, affine, draw_shell(rng), rng)

    def truth(grid: Grid) -> tuple[None, np.ndarray]:
        return None, resample_mask(inside, own.affine, grid)

    name = f"shell-{path.name.split('_')[0]}-{draw}"
    return measure_case(name, volume, own.affine, resolution_mm=resolution, truth=truth)[0]


def real_case(
    path: Path, resolution: float, *, save: Path | None = None, ignore_stripped: bool = False
) -> Row:
    """A real image; where it is a brain alone, its voxels that are not 0 are the truth."""
    volume, affine = read_image(path)
    shape = volume.shape

    def truth(grid: Grid) -> tuple[np.ndarray | None, np.ndarray | None]:
        if "skullstripped" not in str(path):
            return None, None
        inside = resample_mask(ndimage.binary_fill_holes(volume != 0), affine, grid)
        return inside, inside

    name = path.name.removesuffix("_T1w.nii.gz")
    row, masks = measure_case(
        f"{name}-{'x'.join(map(str, shape))}", volume, affine, resolution_mm=resolution,
        truth=truth, ignore_stripped=ignore_stripped,
    )  # fmt: skip
    if save is not None and masks:
        save.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(save / f"{name}.npz", **masks)
    return row


def jobs_of(options: argparse.Namespace) -> Iterator[Job]:
    """What is to be done, in a fixed order."""
    stripped = sorted((options.data / "real-skullstripped").rglob("*_T1w.nii.gz"))
    if options.suite == "phantom":
        yield from _phantom_jobs(options)
    elif options.suite == "shell":
        for path, draw in product(stripped, range(options.people)):
            yield shell_case, (path, draw, options.resolution)
    elif options.suite == "stripped":
        function = partial(real_case, ignore_stripped=options.ignore_stripped)
        for path in stripped:
            yield function, (path, options.resolution)
    else:
        for path in sorted(options.data.rglob("*_T1w.nii.gz")):
            if not options.names or any(name in path.name for name in options.names):
                yield partial(real_case, save=options.save), (path, options.resolution)


def _phantom_jobs(options: argparse.Namespace) -> Iterator[Job]:
    for preset, n, site in product(options.presets, range(options.people), range(options.sites)):
        yield phantom_case, (preset, options.seed, f"bench{n:02d}", site, options.resolution)


def _run(job: Job) -> Row:
    function, arguments = job
    return function(*arguments)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_row(row: Row) -> None:
    """One line of the table."""
    mark = "FLAG " if row.brain_flagged else ""
    edge = "EDGE" if row.at_edge else "    "
    _say(
        f"{row.head:.4f} {row.head_missed:.3f}  | {row.brain:.4f} {row.brain_missed:.3f}  | "
        f"{row.litres:.2f}   {edge} | {row.head_confidence:.2f}  {row.brain_confidence:.2f}  | "
        f"{row.head_s:5.1f} + {row.brain_s:5.1f} | {row.case} {mark}{row.flags}"
    )


def summarise(rows: list[Row], *, head_target: float, brain_target: float) -> int:
    """Print means, worst cases and what was missed; returns the number of unflagged misses."""
    _say(f"\n{len(rows)} scans")
    n_missed = _summarise_dice(rows, "head", head_target)
    n_missed += _summarise_dice(rows, "brain", brain_target)
    odd = [r for r in rows if r.at_edge or not LITRES[0] <= r.litres <= LITRES[1]]
    silent = [r for r in odd if not r.brain_flagged]
    n_flagged = sum(r.brain_flagged for r in rows)
    _say(f"edge or volume: {len(odd)} odd, {len(silent)} not flagged; flagged: {n_flagged} scans")
    head_s, brain_s = max(r.head_s for r in rows), max(r.brain_s for r in rows)
    peak = max(_peak_gb(resource.RUSAGE_SELF), _peak_gb(resource.RUSAGE_CHILDREN))
    _say(f"at most: head {head_s:.1f}, brain {brain_s:.1f} CPU s; peak memory {peak:.2f} GB")
    return n_missed + len(silent)


def _summarise_dice(rows: list[Row], name: str, target: float) -> int:
    known = [r for r in rows if np.isfinite(getattr(r, name))]
    if not known:
        return 0
    ranked = sorted(known, key=lambda r: getattr(r, name))
    low = [r for r in ranked if getattr(r, name) < target]
    n_silent = sum(not getattr(r, f"{name}_flagged") for r in low)
    mean = float(np.mean([getattr(r, name) for r in known]))
    _say(
        f"{name}: mean {mean:.4f}, least {getattr(ranked[0], name):.4f}; "
        f"{len(low)} under {target}, of these {n_silent} not flagged"
    )
    for row in ranked[:3]:
        flagged = "flagged" if getattr(row, f"{name}_flagged") else "not flagged"
        _say(f"  {getattr(row, name):.4f} {row.case}: {flagged} {row.flags}")
    return n_silent


def _peak_gb(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024**2


def run(jobs: Iterable[Job], *, n_jobs: int = 1) -> list[Row]:
    """All rows, printed as they come."""
    _say(COLUMNS)
    rows = []
    if n_jobs == 1:
        results: Iterable[Row] = map(_run, jobs)
        for row in results:
            print_row(row)
            rows.append(row)
        return rows
    with multiprocessing.get_context("spawn").Pool(n_jobs) as pool:
        for row in pool.imap(_run, jobs):
            print_row(row)
            rows.append(row)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """0 where every case reached its target or was flagged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", choices=["phantom", "shell", "stripped", "real"])
    parser.add_argument("--resolution", type=float, default=3.0, help="mm; also of the phantoms")
    parser.add_argument("--people", type=int, default=4, help="phantoms, or shells a brain")
    parser.add_argument("--sites", type=int, default=6)
    parser.add_argument("--presets", nargs="+", default=["default"], choices=sorted(PRESETS))
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--names", nargs="*", help="of real images; all by default")
    parser.add_argument("--save", type=Path, help="folder for the masks of real images")
    parser.add_argument("--ignore-stripped", action="store_true", help="as if not known stripped")
    parser.add_argument("--json", type=Path, help="file for the rows")
    options = parser.parse_args(arguments)
    rows = run(jobs_of(options), n_jobs=options.jobs)
    head, brain = TARGETS[min(TARGETS, key=lambda r: abs(r - options.resolution))]
    if options.suite in ("shell", "stripped"):
        head, brain = 0.0, SHELL_TARGET if options.suite == "shell" else STRIPPED_TARGET
    n_missed = summarise(rows, head_target=head, brain_target=brain)
    if options.json:
        options.json.write_text(json.dumps([row.as_dict() for row in rows], indent=1))
    return int(n_missed > 0)


if __name__ == "__main__":
    sys.exit(main())
