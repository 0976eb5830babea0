"""Speed and memory of the site classifier on random volumes, one process a case.

``python -m tests.benchmarks.site_speed 4 24 2`` trains the default network on 24 volumes of 4 mm
with 2 threads and asks it about them. The volumes lie in a memory-mapped array, as a study's do.
It prints one line of JSON. Memory is told twice: the process' own, and with the mapped pages of
the array, which the system may take away at any time.
"""

import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from bids_harmonize.config import ResourceSettings, make_settings
from bids_harmonize.imaging.grid import study_shape
from bids_harmonize.training import classifier_fit
from bids_harmonize.training.classifier import TrainingPlan, predict, train_classifier
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.sources import (
    BRAIN_BIT,
    HEAD_BIT,
    INDEX_NAME,
    MASKS_NAME,
    VOLUMES_NAME,
    MappedVolumes,
    ScanFiles,
)

SITES = ("A", "B")
_SAMPLE_S = 0.02


class OwnMemory(threading.Thread):
    """The largest memory of this process alone while the thread runs, GB in ``peak_gb``."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_gb = 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        """Look every 20 ms."""
        while not self._ended.wait(_SAMPLE_S):
            status = Path("/proc/self/status").read_text(encoding="utf-8")
            line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
            self.peak_gb = max(self.peak_gb, int(line.split()[1]) / 1024**2)

    def end(self) -> float:
        """Stop looking; returns the peak."""
        self._ended.set()
        self.join()
        return self.peak_gb


def random_volumes(folder: Path, *, resolution_mm: float, n_scans: int) -> MappedVolumes:
    """A mapped array of noise, scan by scan, in the form of ``volumes.map_volumes``.

    Parameters
    ----------
    folder
        Empty; the arrays go there.
    resolution_mm
        Voxel size, mm.
    n_scans
        Sites take turns.

    Returns
    -------
    MappedVolumes
        Of as many participants.
    """
    rng = np.random.default_rng(0)
    shape = study_shape(resolution_mm)
    volumes, masks = (
        open_memmap(folder / name, mode="w+", dtype=kind, shape=(n_scans, *shape))
        for name, kind in ((VOLUMES_NAME, np.float32), (MASKS_NAME, np.uint8))
    )
    for index in range(n_scans):
        volumes[index] = rng.random(shape, dtype=np.float32)
        masks[index] = HEAD_BIT | BRAIN_BIT
    volumes.flush()
    masks.flush()
    table = {"content": "noise", "voxel_size_mm": resolution_mm, "high": [1.0] * n_scans}
    (folder / INDEX_NAME).write_text(json.dumps(table), encoding="utf-8")
    names = [f"sub-{index:04d}" for index in range(n_scans)]
    scans = [
        ScanFiles(name, name, SITES[index % 2], Path(), Path(), None)
        for index, name in enumerate(names)
    ]
    return MappedVolumes(scans, folder)


def measure(source: MappedVolumes, *, nprocs: int, n_epochs: int = 2) -> dict[str, float]:
    """Scans per second and peak memory.

    Parameters
    ----------
    source
        From :func:`random_volumes`.
    nprocs
        Number of threads.
    n_epochs
        How many epochs the speed of training is taken from.

    Returns
    -------
    dict
        Training's speed is that of further epochs: start, warm-up and end do not count.
    """
    sites = [scan.site for scan in source.scans]
    runtime = make_runtime(ResourceSettings(device="cpu", nprocs=nprocs))
    classifier_fit._LEAST_ITERATIONS = 1  # a benchmark's epochs are few
    memory = OwnMemory()
    memory.start()
    took = []
    for n in (1, 1, 1 + n_epochs):
        settings = make_settings({"classifier": {"n_epochs": n}}, source="benchmark")
        plan = TrainingPlan(runtime=runtime, seed=0, name="speed")
        start = time.monotonic()
        trained = train_classifier(
            source, sites, sites=SITES, settings=settings.classifier, plan=plan
        )
        took.append(time.monotonic() - start)
    start = time.monotonic()
    predict(trained, source)
    asked_s = time.monotonic() - start
    return {
        "resolution_mm": source.voxel_size_mm,
        "n": len(source),
        "threads": nprocs,
        "training_scans_per_s": n_epochs * len(source) / max(took[2] - took[1], 1e-9),
        "inference_scans_per_s": len(source) / asked_s,
        "own_memory_gb": memory.end(),
        "with_mapped_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one case: voxel size in mm, scans, threads."""
    words = list(sys.argv[1:] if argv is None else argv)
    with tempfile.TemporaryDirectory() as folder:
        source = random_volumes(Path(folder), resolution_mm=float(words[0]), n_scans=int(words[1]))
        found = measure(source, nprocs=int(words[2]))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
