"""A container with too little memory: named, nothing half-written, and more memory finishes it."""

import json
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.phantom import write_study
from tests.app.container.conftest import Image
from tests.app.container.engine import LOCKED_DOWN, Engine, open_to_all

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

LITTLE, ENOUGH = "600m", "4g"
FAST = ("--resolution", 6, "--no-tissue")
FINER = 8
"""Voxels of 0.75 mm: the app takes 1.1 GB for a scan."""


def limit(memory: str) -> list[str]:
    return ["--memory", memory, "--memory-swap", memory]


def assert_whole(output_dir: Path) -> None:
    """Every file with a name that anybody looks for can be read to its end."""
    for path in output_dir.rglob("*"):
        if not path.is_file() or path.name.startswith(".") or ".work" in path.parts:
            continue
        assert path.stat().st_size > 0, path
        if path.name.endswith(".nii.gz"):
            nb.load(path).get_fdata()
        elif path.suffix == ".json":
            json.loads(path.read_text())


def make_finer(path: Path) -> None:
    """Cut every voxel of an image into many, so that it takes much memory and little time."""
    image = nb.load(path)
    volume = np.asarray(image.dataobj)
    for axis in range(3):
        volume = volume.repeat(FINER, axis=axis)
    affine = image.affine @ np.diag([1 / FINER] * 3 + [1])
    affine[:3, 3] = (image.affine @ [*[(1 / FINER - 1) / 2] * 3, 1])[:3]
    nb.save(nb.Nifti1Image(volume, affine), path)


@pytest.fixture
def mounts(tmp_path: Path) -> list[str]:
    write_study(tmp_path / "bids", n_sites=2, n_per_site=1, n_travelling=0, resolution_mm=6.0)
    for path in (tmp_path / "bids").glob("sub-*/anat/*_T1w.nii.gz"):
        make_finer(path)
    open_to_all(tmp_path / "out")
    return ["-v", f"{tmp_path / 'bids'}:/data:ro", "-v", f"{tmp_path / 'out'}:/out"]


def needs_limits(engine: Engine, image: Image) -> None:
    """Skip where the engine cannot limit memory, as without control groups."""
    command = ["cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
    told = engine.run(image.name, [*limit(LITTLE), "--entrypoint", command[0]], command[1:])
    if str(600 << 20) not in told.stdout:
        pytest.skip(f"the engine does not limit memory: {told.stderr.strip()}")


def test_killed_whole_it_is_named_and_more_memory_goes_on(engine, image, mounts, tmp_path, capsys):
    needs_limits(engine, image)
    words = ["/data", "/out", "participant", *FAST, "--nprocs", 1, "--participant-label", "A001"]
    little = engine.run(image.name, [*LOCKED_DOWN, *mounts, *limit(LITTLE)], words)
    assert little.returncode == 1, little.stderr
    last = little.stderr.strip().splitlines()[-1]
    with capsys.disabled():
        print(f"\n--memory {LITTLE}: {last}")
    assert "out of memory?" in last
    assert "It may use 0.57 GB here" in last
    assert "exit code 1" in last
    assert "finished successfully" not in little.stderr
    assert_whole(tmp_path / "out")

    enough = engine.run(image.name, [*LOCKED_DOWN, *mounts, *limit(ENOUGH)], words)
    assert enough.returncode == 0, enough.stderr
    assert_whole(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("sub-A001/anat/*_desc-preproc_T1w.nii.gz"))) == 1
    assert list((tmp_path / "out").rglob(".tmp-*")) == []


def test_a_killed_worker_is_named_with_its_scan(engine, image, mounts, tmp_path):
    needs_limits(engine, image)
    words = ["/data", "/out", "participant", *FAST, "--nprocs", 2]
    run = engine.run(image.name, [*LOCKED_DOWN, *mounts, *limit(LITTLE)], words)
    assert run.returncode == 1, run.stderr
    failed = [line for line in run.stderr.splitlines() if ": failed: " in line]
    assert sorted(line.split(": failed")[0].split()[-1] for line in failed) == [
        "sub-A001",
        "sub-B001",
    ]
    assert all("out of memory" in line for line in failed)
    last = run.stderr.strip().splitlines()[-1]
    assert "2 failure(s)" in last
    assert "exit code 1" in last
    assert_whole(tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("crash-*.txt"))) == 2
