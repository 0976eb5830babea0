"""Everything that can be wrong with a scan, a table or a disk: its words and its exit code."""

import gzip
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.cli.main import main
from bids_harmonize.phantom import write_study
from tests.app.conftest import FAST, RESOLUTION_MM, run_app
from tests.app.processes import children

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

WORDS = {
    "truncated": "truncated",
    "lying": "the header lies",
    "allzero": "all voxels have the same value, 0",
    "constant": "all voxels have the same value, 7",
    "nan": "no voxel has a finite value",
    "thin": "a slab or a localizer shows no whole head",
    "twovolumes": "2 volumes",
    "sidecar": "not readable as JSON",
    "dangling": "a broken link",
}
"""Participant to words that say what is wrong with the scan."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four good participants; nothing is changed in place."""
    folder = tmp_path_factory.mktemp("clean") / "bids"
    write_study(
        folder, n_sites=2, n_per_site=2, n_travelling=0, resolution_mm=RESOLUTION_MM, seed=5
    )
    return folder


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "bids"))


def write_faults(bids_dir: Path) -> None:
    """One participant a fault, each a copy of a good one."""
    good = next(bids_dir.glob("sub-A001/anat/*_T1w.nii.gz"))
    image = nb.load(good)
    data, affine = np.asarray(image.dataobj), image.affine

    def place(name: str) -> Path:
        path = bids_dir / f"sub-{name}/anat/sub-{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        return path

    def save(name: str, volume: np.ndarray) -> None:
        nb.save(nb.Nifti1Image(volume.astype(np.float32), affine), place(name))

    place("truncated").write_bytes(good.read_bytes()[:5000])
    save("allzero", np.zeros_like(data))
    save("constant", np.full_like(data, 7))
    save("nan", np.full(data.shape, np.nan))
    save("thin", data[:5])
    save("twovolumes", np.stack([data, data], axis=-1))
    save("sidecar", data)
    (bids_dir / "sub-sidecar/anat/sub-sidecar_T1w.json").write_text("EchoTime: 3")
    place("dangling").symlink_to("annex/objects/none")
    longer = nb.Nifti1Image(data.astype(np.float32), affine)
    content = bytearray(longer.to_bytes())
    header = nb.Nifti1Header(bytes(content[:348]))
    header["dim"][3] += 40
    content[:348] = header.binaryblock
    path = place("lying")
    path.write_bytes(gzip.compress(bytes(content)))


@pytest.fixture(scope="module")
def faulty(clean: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """Exit code, words and output of one run over good and bad scans."""
    folder = tmp_path_factory.mktemp("faulty")
    bids_dir = Path(shutil.copytree(clean, folder / "bids"))
    write_faults(bids_dir)
    run = run_app(bids_dir, folder / "out", "participant", *FAST, "--nprocs", 2)
    return run.returncode, run.stderr, folder / "out"


def test_bad_scans_do_not_stop_the_good_ones(faulty: tuple[int, str, Path]):
    code, said, out = faulty
    assert code == 1
    done = sorted(path.name for path in out.rglob("*_desc-preproc_T1w.nii.gz"))
    assert [name.split("_")[0] for name in done] == [
        *("sub-A001", "sub-A002", "sub-B001", "sub-B002"),
    ]
    assert f"finished with {len(WORDS)} failure(s)" in said.splitlines()[-1]
    assert "4 scans processed" in said.splitlines()[-1]
    assert "finished successfully" not in said
    assert "internal error" not in said


@pytest.mark.parametrize("name", WORDS)
def test_each_bad_scan_is_told_in_the_log_and_in_a_crash_file(
    faulty: tuple[int, str, Path], name: str
):
    _, said, out = faulty
    (line,) = [row for row in said.splitlines() if f"sub-{name}: failed: " in row]
    assert WORDS[name] in line
    (crash,) = out.glob(f"sub-{name}/log/*/crash-sub-{name}.txt")
    assert WORDS[name] in crash.read_text().splitlines()[0]
    assert not list(out.glob(f"sub-{name}/anat/*"))
    page = (out / f"sub-{name}.html").read_text()
    assert "could not be processed" in page


def test_faults_of_people_who_are_not_selected_are_none(copy: Path, tmp_path: Path):
    write_faults(copy)
    words = ("participant", *FAST, "--nprocs", "1", "--participant-label", "B001")
    assert main([str(copy), str(tmp_path / "out"), *words]) == 0


@pytest.mark.parametrize(
    "change",
    ["bom", "crlf", "missing", "repeated"],
)
def test_a_careless_participants_table_is_read_all_the_same(
    copy: Path, tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
):
    table = copy / "participants.tsv"
    lines = table.read_text().splitlines()
    text = {
        "bom": "\ufeff" + "\n".join(lines) + "\n",
        "crlf": "\r\n".join(lines) + "\r\n",
        "missing": "\n".join(lines[:-1]) + "\n",
        "repeated": "\n".join([*lines, lines[1]]) + "\n",
    }[change]
    table.write_bytes(text.encode())
    words = ("participant", *FAST, "--nprocs", "1", "--participant-label", "A001", "B002")
    assert main([str(copy), str(tmp_path / "out"), *words]) == 0, capsys.readouterr().err
    written = (tmp_path / "out/participants.tsv").read_bytes()
    assert written.startswith(b"participant_id\t")
    assert b"\r" not in written
    rows = [row.split("\t") for row in written.decode().splitlines()]
    assert [row[0] for row in rows[1:]] == ["sub-A001", "sub-B002"]
    assert rows[1][1:] == lines[1].split("\t")[1:]
    assert (set(rows[2][1:]) == {"n/a"}) is (change == "missing")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("disagreeing", "rows that disagree about sub-A001|rows of sub-A001 disagree"),
        ("latin", "participants.tsv: no table with tab-separated columns: .*utf-8"),
    ],
)
def test_a_participants_table_that_cannot_be_used_is_65_before_any_work(
    copy: Path, tmp_path: Path, change: str, words: str, capsys: pytest.CaptureFixture[str]
):
    table = copy / "participants.tsv"
    lines = table.read_text().splitlines()
    other = lines[1].split("\t")
    if change == "disagreeing":
        table.write_text("\n".join([*lines, "\t".join([other[0], *["9"] * (len(other) - 1)])]))
    else:
        table.write_bytes("\n".join([*lines, "sub-Zo\xeb\t1"]).encode("latin-1"))
    code = main([str(copy), str(tmp_path / "out"), "participant", *FAST, "--nprocs", "1"])
    said = capsys.readouterr().err
    assert code == 65, said
    assert re.search(words, said), said
    assert not list((tmp_path / "out").rglob("*.nii.gz"))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system that holds a scan or two, not four; skipped where nothing may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def assert_whole(output_dir: Path) -> None:
    for path in output_dir.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and "logs" not in path.parts:
            assert path.stat().st_size > 0, path
            if path.name.endswith(".nii.gz"):
                nb.load(path).get_fdata()


@pytest.mark.parametrize("n_procs", [1, 2])
def test_a_full_output_disk_is_74_and_nothing_half_is_left(
    clean: Path, mounted: Path, tmp_path: Path, n_procs: int
):
    out = mounted / "out"
    run = run_app(clean, out, "participant", *FAST, "--nprocs", n_procs, "-w", tmp_path / "work")
    assert run.returncode == 74, run.stderr
    assert "free some space" in run.stderr
    assert_whole(out)
    for folder in out.glob("sub-*/anat"):
        names = [path.name for path in folder.iterdir()]
        assert not names or f"{folder.parent.name}_desc-preproc_T1w.json" in names


@pytest.mark.parametrize("n_procs", [1, 2])
def test_a_full_work_disk_is_74(clean: Path, mounted: Path, tmp_path: Path, n_procs: int):
    out = tmp_path / "out"
    run = run_app(clean, out, "participant", *FAST, "--nprocs", n_procs, "-w", mounted / "work")
    assert run.returncode == 74, run.stderr
    assert "free some space" in run.stderr
    assert "out of memory" not in run.stderr
    assert_whole(out)


def test_a_read_only_output_is_73(clean: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(out)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a file system here")
    try:
        run = run_app(clean, out, "participant", *FAST)
    finally:
        subprocess.run(["umount", "-l", str(out)], check=True)
    assert run.returncode == 73
    assert "check the folder's permissions" in run.stderr


def test_a_file_in_the_way_of_an_output_is_73(clean: Path, tmp_path: Path):
    out = tmp_path / "out"
    (out / "sub-B001").mkdir(parents=True)
    (out / "sub-B001/anat").write_text("a file where a folder is needed")
    run = run_app(clean, out, "participant", *FAST, "--nprocs", 1)
    assert run.returncode == 73, run.stderr
    assert "sub-B001/anat" in run.stderr


def test_a_worker_that_the_system_kills_is_named_and_the_others_finish(
    clean: Path, tmp_path: Path
):
    """Kill whichever worker has the unlucky scan, each time, as the system does."""
    out = tmp_path / "out"
    unlucky = tmp_path / "work/participant"
    words = (clean, out, "participant", *FAST, "--nprocs", 2, "-w", tmp_path / "work")
    command = [sys.executable, "-m", "bids_harmonize", *map(str, words)]
    log = tmp_path / "run.log"
    with log.open("w") as stream, subprocess.Popen(command, stderr=stream) as run:
        end = time.monotonic() + 300
        while run.poll() is None and time.monotonic() < end:
            for process in children(run.pid):
                if in_work_of(process, "sub_A002"):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.002)
    said = log.read_text()
    assert run.returncode == 1, said
    assert unlucky.is_dir()
    assert "sub-A002: tried again, alone" in said
    (line,) = [row for row in said.splitlines() if "sub-A002: failed: " in row]
    assert "out of memory?" in line
    assert "--nprocs" in line
    done = sorted(path.parts[-3] for path in out.rglob("*_desc-preproc_T1w.json"))
    assert done == ["sub-A001", "sub-B001", "sub-B002"]
    (crash,) = out.rglob("crash-*.txt")
    assert "out of memory?" in crash.read_text()


def in_work_of(process: int, name: str) -> bool:
    try:
        return name in str(Path(f"/proc/{process}/cwd").readlink())
    except OSError:
        return False


@pytest.mark.parametrize("n_procs", [1, 2])
def test_too_little_memory_is_named_and_the_run_ends(clean: Path, tmp_path: Path, n_procs: int):
    """An address space that holds the program but not a scan of this size."""
    bids_dir = Path(shutil.copytree(clean, tmp_path / "bids"))
    volume = np.zeros((400, 400, 400), np.uint8)
    volume[50:350] = 100
    big = nb.Nifti1Image(volume, np.diag([0.5, 0.5, 0.5, 1]))
    nb.save(big, next(bids_dir.glob("sub-A002/anat/*_T1w.nii.gz")))
    limit = 1400 << 20
    words = (bids_dir, tmp_path / "out", "participant", *FAST, "--nprocs", n_procs)
    run = subprocess.run(
        [sys.executable, "-m", "bids_harmonize", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert run.returncode == 1, run.stderr
    (line,) = [row for row in run.stderr.splitlines() if "sub-A002: failed: " in row]
    assert "out of memory" in line
    assert "3 scans processed" in run.stderr.splitlines()[-1]
