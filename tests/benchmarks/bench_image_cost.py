"""What a harmonized image costs, and how much of it is reading and writing.

``python -m tests.benchmarks.bench_image_cost --derivative OUT --model MODEL_FOLDER
--site SiteB`` makes the images of all scans of a finished participant level by the
group level's own function, in one process and one thread, and prints seconds of CPU a scan: read
(image and masks), fingerprints, the harmonizer, write (gzip and disk). Then it compresses the
images that came out at several levels: CPU, size, and the time to read them again.

Found (20 heads of IXI at 1 mm, bilateral generators of 3 mm): 2.8 s of CPU a scan, of which
reading takes 7 %, writing 18 %, together 25 %. gzip 1, 5 and 9 take .36, .43 and .66 s for 13.15,
12.98 and 12.97 MB: 5 stays.
"""

import argparse
import gzip
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import nibabel as nb
import numpy as np

from bids_harmonize.bids.derived_scans import DerivedScan, derived_scan
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.stages.harmonization import image_jobs, image_sidecars, images
from bids_harmonize.stages.harmonization.image_sidecars import ImageMaker
from tests.benchmarks.planted_study import say

PARTS = {
    "read": ("read_image", "read_mask"),
    "fingerprints": ("file_sha256",),
    "model": ("harmonize_image", "image_distance"),
    "write": ("write_image", "write_json"),
}
"""Part to the functions of ``images`` and ``image_jobs`` that it is made of."""

LEVELS = (1, 3, 5, 6, 9)


def find_scans(output_dir: Path, site: str) -> list[DerivedScan]:
    """All preprocessed scans of a derivative, as if taken at one site."""
    ending = "_desc-preproc_T1w.nii.gz"
    stems = sorted(path.name.removesuffix(ending) for path in output_dir.rglob(f"*{ending}"))
    return [
        derived_scan(output_dir, stem, site=(site, "benchmark"), usable=True) for stem in stems
    ]


def measure(
    output_dir: Path, model_dir: Path, *, site: str, folder: Path
) -> tuple[dict[str, list[float]], list[Path]]:
    """Make the images, and add up what each part of it took.

    Parameters
    ----------
    output_dir
        Root of a derivative that the participant level finished.
    model_dir
        Folder of a fitted harmonizer.
    site
        Which of its sites the scans are taken for.
    folder
        Where the images go.

    Returns
    -------
    parts : dict
        Part to seconds of CPU, one a scan; ``rest`` is what none of the functions took.
    made : list of Path
        The images.
    """
    scans = find_scans(output_dir, site)
    maker = ImageMaker(
        output_dir, load_harmonizer(model_dir), model_dir.name,
        read_json(model_dir / "model.json"), None,
    )  # fmt: skip
    parts: dict[str, list[float]] = defaultdict(list)
    made = []
    for scan in scans:
        took = dict.fromkeys(PARTS, 0.0)
        started = time.process_time()
        with (
            mock.patch.multiple(images, **_timed(images, took)),
            mock.patch.multiple(image_jobs, **_timed(image_jobs, took)),
            mock.patch.multiple(image_sidecars, **_timed(image_sidecars, took)),
        ):
            written = images.write_images(maker, [scan], new=folder, resume=False)
        total = time.process_time() - started
        if written.failures:
            raise RuntimeError(written.failures[0])
        made.append(written.waiting[0])
        for name, seconds in {**took, "rest": total - sum(took.values())}.items():
            parts[name].append(seconds)
    return dict(parts), made


def _timed(module: Any, took: dict[str, float]) -> dict[str, Callable[..., Any]]:
    return {
        name: _timer(getattr(module, name), took, part)
        for part, names in PARTS.items()
        for name in names
        if hasattr(module, name)
    }


def _timer(function: Callable[..., Any], took: dict[str, float], part: str) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            took[part] += time.process_time() - started

    return timed


def compress(made: Sequence[Path]) -> dict[int, tuple[float, float, float]]:
    """Level to seconds of CPU to write, megabytes, and seconds to read again: means of images."""
    rows: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for path in made:
        with gzip.open(path) as stream:
            content = stream.read()
        for level in LEVELS:
            started = time.process_time()
            packed = gzip.compress(content, compresslevel=level, mtime=0)
            written = time.process_time()
            gzip.decompress(packed)
            read = time.process_time()
            rows[level].append((written - started, len(packed) / 1e6, read - written))
    return {level: tuple(np.mean(values, axis=0).tolist()) for level, values in rows.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--derivative", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--site", required=True)
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        parts, made = measure(
            arguments.derivative, arguments.model, site=arguments.site, folder=Path(folder)
        )
        levels = compress(made)
        shape = nb.load(made[0]).shape
    total = np.sum(list(parts.values()))
    say(f"{len(made)} scans, the first {shape}: {total / len(made):.2f} s of CPU each")
    for name, seconds in parts.items():
        share = 100 * np.sum(seconds) / total
        say(f"  {name:14s}{np.mean(seconds):6.2f} s  {share:5.1f} %")
    say(f"reading and writing: {100 * (np.sum(parts['read'] + parts['write'])) / total:.1f} %")
    for level, (write_s, size_mb, read_s) in levels.items():
        say(f"  gzip {level}: {write_s:5.2f} s, {size_mb:6.2f} MB, read again in {read_s:.2f} s")


if __name__ == "__main__":
    main()
