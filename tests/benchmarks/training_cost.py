"""What an iteration of ``cyclegan`` costs: whole volumes at 3 mm, boxes of 1 mm, whole at 1 mm.

``python -m tests.benchmarks.training_cost --threads 2`` measures all cases one after the other,
each in a process of its own, on noise (64x80x64 voxels of 3 mm, 192x224x192 of 1 mm), and prints
ratios. Half of the iterations have the identity term; medians are over pairs of them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from bids_harmonize.config import ResourceSettings
from bids_harmonize.harmonizers import check_harmonizer_settings
from bids_harmonize.training.pair_data import REFERENCE, SOURCE, PairData, PairSettings
from bids_harmonize.training.pair_training import PairTraining
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.volumes import MappedVolumes
from tests.benchmarks.own_process import measure_alone, say
from tests.benchmarks.site_speed import OwnMemory, random_volumes

MODULE = "tests.benchmarks.training_cost"
COARSE_MM, FINE_MM = 3.0, 1.0
# name -> (voxel size of the network's grid, of the boxes; mm)
CASES: Final[dict[str, tuple[float, float | None]]] = {
    "whole, 3 mm": (COARSE_MM, None),
    "boxes of 1 mm": (COARSE_MM, FINE_MM),
    "whole, 1 mm": (FINE_MM, None),
}
_RATIOS = (("whole, 1 mm", "boxes of 1 mm"), ("boxes of 1 mm", "whole, 3 mm"))
_PEOPLE = {SOURCE: (0,), REFERENCE: (1,)}  # they train and watch: what is learnt does not matter


def measure(case: str, *, device: str, threads: int, pairs: int) -> dict[str, float]:
    """Seconds and memory of an iteration.

    Parameters
    ----------
    case
        A name of ``CASES``.
    device
        ``cpu`` or ``cuda``.
    threads
        Of PyTorch.
    pairs
        Pairs of iterations, of which the first does not count.

    Returns
    -------
    dict
        ``seconds`` and ``cpu_s`` of an iteration, ``peak_gb`` of the process, and ``device_gb``,
        the most that was allocated on a GPU.
    """
    runtime = make_runtime(ResourceSettings(device=device, nprocs=threads))
    network_mm, fine_mm = CASES[case]
    with tempfile.TemporaryDirectory() as name:
        volumes = _volumes(Path(name) / "network", network_mm)
        fine = None if fine_mm is None else _volumes(Path(name) / "fine", fine_mm)
        data = PairData(volumes, _PEOPLE, _PEOPLE, fine=fine)
        settings = PairSettings(**check_harmonizer_settings("cyclegan", {}))
        memory = OwnMemory()
        memory.start()
        training = PairTraining(data, settings, runtime=runtime, seed=0, sharpens=True)
        took = []
        for pair in range(pairs):
            wall, cpu = time.monotonic(), time.process_time()
            for iteration in (2 * pair, 2 * pair + 1):
                training.step(iteration)  # it reads its losses, so the device has finished
            took.append(((time.monotonic() - wall) / 2, (time.process_time() - cpu) / 2))
        seconds, cpu_s = np.median(took[1:], axis=0)
        is_gpu = runtime.device.type == "cuda"
        return {
            "seconds": float(seconds),
            "cpu_s": float(cpu_s),
            "peak_gb": memory.end(),
            "device_gb": torch.cuda.max_memory_allocated() / 1024**3 if is_gpu else 0.0,
        }


def _volumes(folder: Path, resolution_mm: float) -> MappedVolumes:
    folder.mkdir()
    return random_volumes(folder, resolution_mm=resolution_mm, n_scans=2)


def tell(words: argparse.Namespace) -> None:
    """Every case in a process of its own, and the ratios between them."""
    options = ["--device", words.device, "--threads", str(words.threads)]
    options += ["--pairs", str(words.pairs)]
    found = {}
    for case in CASES:
        one = found[case] = measure_alone(
            "tests.benchmarks.training_cost", ["--case", case, *options]
        )
        say(
            f"{case}: {one['cpu_s']:.2f} s of CPU an iteration, {one['seconds']:.2f} s by the "
            f"clock; peak {one['peak_gb']:.2f} GB, on the device {one['device_gb']:.2f} GB"
        )
    for first, second in _RATIOS:
        ratio = {key: found[first][key] / found[second][key] for key in ("seconds", "peak_gb")}
        say(
            f"{first} over {second}: {ratio['seconds']:.1f} times the time, "
            f"{ratio['peak_gb']:.1f} times the memory"
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one case, or all of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=tuple(CASES))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--pairs", type=int, default=4, help="of iterations; the first is left out"
    )
    words = parser.parse_args(argv)
    if words.case is None:
        tell(words)
        return
    found = measure(words.case, device=words.device, threads=words.threads, pairs=words.pairs)
    say(json.dumps(found))


if __name__ == "__main__":
    main()
