"""One participant of a thousand costs what one participant costs."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from bids_harmonize.bids.index import index_scans
from bids_harmonize.config import SelectionSettings
from bids_harmonize.phantom import write_study
from tests.app.conftest import RESOLUTION_MM, run_app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

N_PEOPLE = 1000
LIMIT_S = 5.0
"""Processor time until the first node; wall-clock time is the same on a machine that is free."""


def write_dataset(folder: Path, labels: Iterable[str], *, like: Path) -> Path:
    """People with two sessions each; their files are hard links to one scan's."""
    folder.mkdir()
    os.link(like / "dataset_description.json", folder / "dataset_description.json")
    image = next(like.glob("sub-A*/anat/*_T1w.nii.gz"))
    sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
    rows = ["participant_id\tsite\tage"]
    for number, label in enumerate(labels):
        rows.append(f"sub-{label}\tSite{'AB'[number % 2]}\t{20 + number % 50}")
        for session in ("ses-A", "ses-B"):
            stem = f"sub-{label}_{session}"
            anat = folder / f"sub-{label}" / session / "anat"
            anat.mkdir(parents=True)
            os.link(image, anat / f"{stem}_T1w.nii.gz")
            os.link(sidecar, anat / f"{stem}_T1w.json")
            func = anat.with_name("func")
            func.mkdir()
            for run in (1, 2, 3):
                os.link(sidecar, func / f"{stem}_task-rest_run-{run}_bold.json")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset of one participant, and one of a thousand."""
    folder = tmp_path_factory.mktemp("big")
    like = folder / "like"
    write_study(like, n_sites=2, n_per_site=1, n_travelling=0, resolution_mm=RESOLUTION_MM, seed=3)
    labels = [f"{number:04d}" for number in range(N_PEOPLE)]
    small = write_dataset(folder / "small", labels[7:8], like=like)
    return small, write_dataset(folder / "large", labels, like=like)


def until_first_node(bids_dir: Path, folder: Path) -> tuple[float, float]:
    """Processor time (s) and peak memory (GB) of a run until its first node has begun."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = folder / "work"
    words = (bids_dir, folder / "out", "participant", "--participant-label", "0007", "-w", work)
    options = ("--resolution", str(RESOLUTION_MM), "--nprocs", "1")
    command = [sys.executable, "-m", "bids_harmonize", *map(str, words), *options]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
        end = time.monotonic() + 120
        while not has_begun(work) and time.monotonic() < end:
            assert run.poll() is None
            time.sleep(0.01)
        peak_gb = peak_memory_gb(run.pid)
        run.kill()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, peak_gb


def has_begun(work: Path) -> bool:
    return next(work.glob("participant/*/*/participants/*/conform"), None) is not None


def peak_memory_gb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = [row for row in status.splitlines() if row.startswith("VmHWM")]
    return int(line.split()[1]) / 1e6


def test_one_participant_of_a_thousand_starts_as_soon_as_one_alone(
    datasets: tuple[Path, Path], tmp_path: Path
):
    small, large = datasets
    alone, memory_alone = until_first_node(small, tmp_path / "small")
    among, memory_among = until_first_node(large, tmp_path / "large")

    assert among < LIMIT_S
    assert among < 1.3 * alone + 0.5
    assert memory_among < 1.1 * memory_alone + 0.02
    assert memory_among < 0.5


def test_all_of_a_thousand_are_found_in_a_dry_run(datasets: tuple[Path, Path], tmp_path: Path):
    _, large = datasets
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = run_app(large, tmp_path / "out", "participant", "--dry-run")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run.returncode == 0
    assert "2000 scans of 1000 participants; sites: SiteA (1000), SiteB (1000)" in run.stderr
    assert run.stdout.count("_desc-preproc_T1w.nii.gz") == 2000
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert spent < 30


def test_the_index_of_all_holds_each_once(datasets: tuple[Path, Path]):
    _, large = datasets
    stems = [scan.stem for scan in index_scans(large, selection=SelectionSettings())]
    assert len(stems) == len(set(stems)) == 2 * N_PEOPLE
    assert stems == sorted(stems)
