"""CPU seconds and peak memory of the participant level, one process a scan.

``python -m tests.benchmarks.bench_participant OUT DATASET [DATASET ...] -- --resolution 3``
runs the app once for every scan of every dataset, as a job array would, and prints a row a scan
and the summary. What follows ``--`` is given to the app. Options before it: ``--scans STEM ...``
for some scans only, ``--jobs N`` for several at once (the CPU seconds then include what they lose
to one another).
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Cost:
    """What one process needed, and its exit code; ``said`` is its last line."""

    stem: str
    cpu_s: float
    peak_gb: float
    exit_code: int
    said: str


def find_stems(dataset: Path) -> list[str]:
    """Every participant and session of a dataset, as ``sub-01`` or ``sub-01_ses-A``."""
    images = [*dataset.glob("sub-*/anat/*_T1w.nii*"), *dataset.glob("sub-*/ses-*/anat/*_T1w.nii*")]
    folders = {path.parent.parent.relative_to(dataset) for path in images}
    return sorted("_".join(folder.parts) for folder in folders)


def run_scan(dataset: Path, output_dir: Path, stem: str, options: Sequence[str]) -> Cost:
    """Run the app on one participant (and session) and measure the whole process.

    Parameters
    ----------
    dataset, output_dir
        As the app takes them.
    stem
        From :func:`find_stems`.
    options
        Further words for the app.

    Returns
    -------
    Cost
        User and system time and the largest resident set, imports included.
    """
    participant, _, session = stem.partition("_")
    words = [sys.executable, "-m", "bids_harmonize", str(dataset), str(output_dir), "participant"]
    words += ["--participant-label", participant, "--nprocs", "1", *options]
    if session:
        words += ["--session-label", session]
    log = output_dir / "bench" / f"{stem}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        process = subprocess.Popen(words, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    lines = log.read_text().strip().splitlines() or [""]
    return Cost(
        stem,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1024**2,
        process.returncode,
        lines[-1],
    )


def describe(costs: Sequence[Cost]) -> str:
    """The summary of several runs."""
    cpu, memory = np.array([(cost.cpu_s, cost.peak_gb) for cost in costs]).T
    failed = [cost.stem for cost in costs if cost.exit_code != 0]
    return (
        f"{len(costs)} scans, {len(failed)} failed {failed or ''}\n"
        f"CPU s a scan: median {np.median(cpu):.1f}, mean {cpu.mean():.1f}, "
        f"least {cpu.min():.1f}, most {cpu.max():.1f}\n"
        f"peak GB a scan: median {np.median(memory):.2f}, most {memory.max():.2f}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row a scan and the summary; 1 if a scan failed."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--scans", nargs="+", default=None)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args(words[:cut])
    todo = [
        (dataset, arguments.output_dir / dataset.name, stem, words[cut + 1 :])
        for dataset in arguments.datasets
        for stem in find_stems(dataset)
        if arguments.scans is None or stem in arguments.scans
    ]
    costs = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for cost in pool.map(lambda job: run_scan(*job), todo):
            costs.append(cost)
            sys.stdout.write(
                f"{cost.stem:24s} {cost.cpu_s:7.1f} s {cost.peak_gb:6.2f} GB  "
                f"exit {cost.exit_code}  {cost.said}\n"
            )
            sys.stdout.flush()
    sys.stdout.write(describe(costs) + "\n")
    return int(any(cost.exit_code for cost in costs))


if __name__ == "__main__":
    sys.exit(main())
