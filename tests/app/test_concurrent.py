"""Twenty jobs into one output, jobs that are killed at any moment, and what a second run does."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
import SimpleITK as sitk

from bids_harmonize.phantom import write_study
from tests.app.conftest import FAST, RESOLUTION_MM, run_app
from tests.app.processes import children, is_running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]

N_PER_SITE = 10


@pytest.fixture(scope="module")
def bids_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("concurrent") / "bids"
    write_study(
        folder,
        n_sites=2,
        n_per_site=N_PER_SITE,
        n_travelling=0,
        resolution_mm=RESOLUTION_MM,
        seed=11,
    )
    return folder


@pytest.fixture(scope="module")
def serial(bids_dir: Path) -> Path:
    """The output of one process that did one scan after the other."""
    output_dir = bids_dir.with_name("serial")
    run = run_app(*arguments(bids_dir, output_dir))
    assert run.returncode == 0, run.stderr
    return output_dir


@pytest.fixture(scope="module")
def parallel(bids_dir: Path) -> Path:
    """The output of twenty processes at once, one participant each, one work directory."""
    output_dir = bids_dir.with_name("parallel")
    jobs = [start(bids_dir, output_dir, person) for person in people(bids_dir)]
    assert len(jobs) == 2 * N_PER_SITE
    codes = [job.wait() for job in jobs]
    assert codes == [0] * len(jobs)
    return output_dir


def arguments(bids_dir: Path, output_dir: Path, *more: object) -> list[str]:
    words = (bids_dir, output_dir, "participant", *FAST)
    return [str(word) for word in (*words, "-w", bids_dir.with_name("work"), "--nprocs", 1, *more)]


def start(
    bids_dir: Path, output_dir: Path, *persons: str, n_procs: int = 1
) -> subprocess.Popen[bytes]:
    words = arguments(bids_dir, output_dir, "--participant-label", *persons, "--nprocs", n_procs)
    command = [sys.executable, "-m", "bids_harmonize", *words]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def people(bids_dir: Path) -> list[str]:
    return sorted(path.name for path in bids_dir.glob("sub-*"))


def files(output_dir: Path) -> dict[str, bytes]:
    """All but logs and pages."""
    return {
        name: path.read_bytes()
        for path in sorted(output_dir.rglob("*"))
        if path.is_file()
        and not {"logs", "log"} & set(path.relative_to(output_dir).parts)
        and not (name := path.relative_to(output_dir).as_posix()).endswith(".html")
    }


def assert_same_files(one: Path, other: Path) -> None:
    first, second = files(one), files(other)
    assert list(first) == list(second)
    assert [name for name in first if first[name] != second[name]] == []


def assert_all_complete(output_dir: Path) -> int:
    """Read every file under a final name to its end; how many there are."""
    found = [
        path
        for path in output_dir.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".log"
    ]
    for path in found:
        assert path.stat().st_size > 0, path
        if path.name.endswith(".nii.gz"):
            assert np.isfinite(nb.load(path).get_fdata()).all()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.name.endswith(("_xfm.txt", "_xfm.h5")):
            sitk.ReadTransform(str(path))
        elif path.suffix == ".tsv":
            widths = {line.count("\t") for line in path.read_text().splitlines()}
            assert len(widths) == 1, path
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>"), path
    return len(found)


def test_twenty_processes_leave_the_same_bytes_as_one(
    bids_dir: Path, serial: Path, parallel: Path
):
    assert len(files(serial)) > 20 * 10
    assert_same_files(serial, parallel)
    rows = (parallel / "participants.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in rows[1:]] == people(bids_dir)
    assert len(list(parallel.glob("sub-*.html"))) == 20


def test_the_second_run_does_only_what_is_missing(bids_dir: Path, serial: Path, parallel: Path):
    endings = ("desc-head_mask.nii.gz", "desc-preproc_T1w.json", "desc-preproc_T1w.nii.gz")
    for person, ending in zip(people(bids_dir)[3:6], endings, strict=True):
        path = next((parallel / person).rglob(f"*{ending}"))
        if ending.endswith("T1w.nii.gz"):
            path.write_bytes(path.read_bytes()[:-100])
        else:
            path.unlink()
    again = run_app(*arguments(bids_dir, parallel))
    assert again.returncode == 0, again.stderr
    assert "3 scans to process, 17 are done already" in again.stderr
    assert "3 scans processed, 17 unchanged" in again.stderr.splitlines()[-1]
    assert "3 participant pages written" in again.stderr.splitlines()[-1]
    assert_same_files(serial, parallel)


def test_a_finished_run_leaves_nothing_in_the_work_directory(bids_dir: Path, parallel: Path):
    work = bids_dir.with_name("work")
    left = [path for path in work.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert parallel.is_dir()
    assert left == []


MOMENTS: tuple[str, ...] = (
    "logs/.claims",
    "dataset_description.json",
    "sub-*/anat",
    "sub-*/anat/.tmp-*_desc-preproc_T1w.nii.gz",
    "sub-*/anat/*_desc-preproc_T1w.nii.gz",
    "sub-*/anat/*_desc-head_mask.json",
    "sub-*/anat/*_desc-preproc_T1w.json",
    "sub-*/*_scans.tsv",
    "sub-*/figures",
    "sub-*.html",
)
"""Jobs are killed as soon as they have made such a file."""


def kill_at(
    job: subprocess.Popen[bytes], has_come: Callable[[], bool], *, limit_s: float
) -> set[int]:
    """Kill a job once something has come; the processes that it had started."""
    end = time.monotonic() + limit_s
    while not has_come() and job.poll() is None and time.monotonic() < end:
        time.sleep(0.0005)
    below = children(job.pid)
    job.send_signal(signal.SIGKILL)
    job.wait()
    return below


def has_any(folder: Path, pattern: str) -> Callable[[], bool]:
    return lambda: next(folder.glob(pattern), None) is not None


def test_kills_leave_no_half_file_and_the_next_run_does_the_rest(bids_dir: Path, serial: Path):
    output_dir = bids_dir.with_name("killed")
    persons = people(bids_dir)
    for person, moment in zip(persons, MOMENTS, strict=False):
        pattern = moment.replace("sub-*", person)
        kill_at(start(bids_dir, output_dir, person), has_any(output_dir, pattern), limit_s=120)
        assert_all_complete(output_dir)
    started = time.monotonic()
    two = start(bids_dir, output_dir, *persons[10:14], n_procs=2)
    workers = kill_at(two, has_any(output_dir, f"{persons[10]}/anat/*"), limit_s=110)
    assert len(workers) >= 2
    while any(map(is_running, workers)):  # they follow the process they work for
        assert time.monotonic() - started < 170
        time.sleep(0.05)
    assert_all_complete(output_dir)
    before = {path.parts[-3] for path in output_dir.glob("sub-*/anat/*_desc-preproc_T1w.json")}
    assert 3 <= len(before) < len(persons)
    for left in output_dir.rglob(".tmp-*"):  # shared ones are left alone for a day
        os.utime(left, (0, 0))
    again = run_app(*arguments(bids_dir, output_dir, "--nprocs", 2))
    assert again.returncode == 0, again.stderr
    n_left = len(persons) - len(before)
    assert f"{n_left} scans to process, {len(before)} are done already" in again.stderr
    assert assert_all_complete(output_dir) > 20 * 10
    assert list(output_dir.rglob(".tmp-*")) == []
    assert_same_files(serial, output_dir)


@pytest.mark.parametrize("n_procs", [1, 2])
def test_a_terminated_job_says_so_and_leaves_no_worker(bids_dir: Path, serial: Path, n_procs: int):
    output_dir = bids_dir.with_name(f"terminated-{n_procs}")
    persons = people(bids_dir)[:2]
    words = arguments(bids_dir, output_dir, "--participant-label", *persons, "--nprocs", n_procs)
    command = [sys.executable, "-m", "bids_harmonize", *words]
    has_begun = has_any(output_dir, "sub-*/anat/*")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job:
        end = time.monotonic() + 600
        while not has_begun() and job.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        workers = children(job.pid)
        job.send_signal(signal.SIGTERM)
        assert job.stderr is not None
        text = job.stderr.read()
    assert job.returncode == 75, text
    assert "failed" not in text
    last = text.splitlines()[-1]
    assert last.endswith("preempted, what was finished is kept, run again (exit code 75)")
    assert len(workers) >= (n_procs if n_procs > 1 else 0)
    end = time.monotonic() + 60
    while any(map(is_running, workers)):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert_all_complete(output_dir)
    again = run_app(*words)
    assert again.returncode == 0, again.stderr
    for person in persons:
        assert_same_files(output_dir / person, serial / person)
