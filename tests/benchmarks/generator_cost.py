"""Seconds and memory of one 192x224x192 scan through each generator, one process a case.

``python -m tests.benchmarks.generator_cost --threads 2`` measures all cases one after the other on
this machine and prints a line a case, then the ratios. Every case goes the way of a real scan
(``training.generation.generate``): coarse copy, prediction, full resolution. Weights are random,
for they cost what trained ones cost. Seconds of CPU stand beside those of the clock, for on a busy
machine only the first mean something. Memory is told twice: the peak of the whole process, and
what the scan added to the process with PyTorch loaded.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bids_harmonize.networks.generators import GeneratorPlan, make_generator
from bids_harmonize.training.generation import generate
from tests.benchmarks.own_process import measure_alone, say
from tests.benchmarks.site_speed import OwnMemory

MODULE = "tests.benchmarks.generator_cost"
SHAPE = (192, 224, 192)
# name -> (generator, voxel size that it is trained at (mm), learns sharpening weights)
CASES = {
    "bilateral": ("bilateral", 3.0, None),
    "bilateral with kernel": ("bilateral", 1.0, 1.0),
    "bilateral, 3 mm grid, 1 mm kernel": ("bilateral", 3.0, 1.0),
    "residual": ("residual", 1.0, None),
    "residual, 3 mm change": ("residual", 3.0, None),
}
_RATIOS = (
    ("residual", "bilateral"),
    ("residual", "bilateral with kernel"),
    ("residual, 3 mm change", "bilateral"),
)


def measure(case: str, *, threads: int, repeats: int) -> dict[str, float]:
    """Seconds and memory of one case.

    Parameters
    ----------
    case
        A name of ``CASES``.
    threads
        Of PyTorch.
    repeats
        Scans that are generated after a first one that does not count; their median is told.

    Returns
    -------
    dict
        ``seconds``, ``cpu_s``, ``peak_gb``, ``added_gb`` and ``weights``. With no repeats the
        first scan counts.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)  # as the app does
    name, voxel_size_mm, sharpened_mm = CASES[case]
    plan = GeneratorPlan(
        voxel_size_mm=voxel_size_mm, sharpened_mm=sharpened_mm, width=32, n_blocks=7
    )
    torch.manual_seed(0)
    generator = make_generator(name, plan).eval().requires_grad_(False)
    torch.nn.init.normal_(generator.head.weight, std=0.01)
    volume = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    head = np.ones(SHAPE, dtype=bool)
    loaded_gb = _resident_gb()
    memory = OwnMemory()
    memory.start()
    took = []
    for _ in range(1 + repeats):
        wall, cpu = time.monotonic(), time.process_time()
        generate(generator, volume, head_mask=head, voxel_size_mm=1.0)
        took.append((time.monotonic() - wall, time.process_time() - cpu))
    peak_gb = memory.end()
    seconds, cpu_s = np.median(took[1:] or took, axis=0)
    return {
        "seconds": float(seconds),
        "cpu_s": float(cpu_s),
        "peak_gb": peak_gb,
        "added_gb": peak_gb - loaded_gb,
        "weights": sum(weight.numel() for weight in generator.parameters()),
    }


def tell(threads: int, repeats: int) -> None:
    """Every case in a process of its own, and the ratios between them."""
    found = {}
    for case in CASES:
        words = ["--case", case, "--threads", str(threads), "--repeats", str(repeats)]
        one = found[case] = measure_alone(MODULE, words)
        say(
            f"{case}, {one['weights']} weights, {threads} threads: {one['cpu_s']:.2f} s of CPU, "
            f"{one['seconds']:.2f} s by the clock; peak {one['peak_gb']:.2f} GB, of which the "
            f"scan added {one['added_gb']:.2f}"
        )
    for first, second in _RATIOS:
        ratio = {key: found[first][key] / found[second][key] for key in ("cpu_s", "peak_gb")}
        say(
            f"{first} over {second}: {ratio['cpu_s']:.1f} times the CPU, "
            f"{ratio['peak_gb']:.1f} times the memory"
        )


def _resident_gb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024**2


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one case, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=tuple(CASES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="scans after the first")
    words = parser.parse_args(argv)
    if words.case is None:
        tell(words.threads, words.repeats)
        return
    found = measure(words.case, threads=words.threads, repeats=words.repeats)
    say(json.dumps(found))


if __name__ == "__main__":
    main()
