"""Images that cannot be used, side by side with one that can: each is named with its reason."""

import json
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.phantom import PRESETS, acquire, make_person, make_scanners
from tests.app.conftest import FAST, RESOLUTION_MM, run_app
from tests.bids.nifti_files import affine_of, head_like, write_nifti

pytestmark = [pytest.mark.slow]

HEAD = head_like((40, 44, 48))
WANTED = "expected an image of a head: convert it again, or leave the scan out"
FAULTS = {
    "truncated": (HEAD, {}, "the file is truncated or damaged after 0 of 48 slices"),
    "lies": (
        HEAD, {"dim": [3, 40, 44, 90, 1, 1, 1, 1]},
        "found voxels for 48 slices of 40 x 44, expected 40 x 44 x 90 voxels of float32",
    ),
    "zero": (np.zeros_like(HEAD), {}, f"all voxels have the same value, 0; {WANTED}"),
    "constant": (np.full_like(HEAD, 7), {}, f"all voxels have the same value, 7; {WANTED}"),
    "nan": (np.full_like(HEAD, np.nan), {}, f"no voxel has a finite value; {WANTED}"),
    "slab": (
        head_like((5, 256, 256)), {"sform": affine_of(1.0)},
        "5 x 256 x 256 voxels cover 5 x 256 x 256 mm, expected at least 10 voxels and 80 mm",
    ),
    "two": (
        np.stack([HEAD, HEAD], axis=-1), {},
        "40 x 44 x 48 x 2 holds 2 volumes, expected one; extract or average them",
    ),
    "complex": (HEAD.astype(np.complex64), {}, "voxels of type complex64 are not plain numbers"),
    "sheared": (
        HEAD, {"sform": affine_of() + np.diag([0.6, 0.0, 0.0], k=1)},
        "the header lies: two axes of the affine meet at 83.2 degrees, expected 90",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    folder = tmp_path_factory.mktemp("unreadable")
    bids_dir = folder / "bids"
    for label, (data, fields, _) in FAULTS.items():
        anat = bids_dir / f"sub-{label}" / "anat"
        anat.mkdir(parents=True)
        path = write_nifti(anat / f"sub-{label}_T1w.nii.gz", data, **fields)
        if label == "truncated":
            path.write_bytes(path.read_bytes()[:2000])
    scanner = make_scanners(PRESETS["default"], n_sites=1, resolution_mm=RESOLUTION_MM, seed=0)[0]
    person = make_person(0, "somebody", base_mm=3.0)
    volume, affine = acquire(person, scanner, np.random.default_rng(0))
    anat = bids_dir / "sub-good" / "anat"
    anat.mkdir(parents=True)
    nb.save(nb.Nifti1Image(volume, affine), anat / "sub-good_T1w.nii.gz")
    description = {"Name": "broken", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (bids_dir / "dataset_description.json").write_text(json.dumps(description))
    options = (*FAST, "--nprocs", 1)
    run = run_app(bids_dir, folder / "out", "participant", *options)
    return run.returncode, run.stdout + run.stderr, folder / "out"


def test_the_run_ends_with_1_and_the_good_scan_is_done(finished) -> None:
    code, said, output_dir = finished
    assert code == 1
    assert "finished successfully" not in said
    done = [path.name for path in output_dir.rglob("*desc-preproc_T1w.nii.gz")]
    assert done == ["sub-good_desc-preproc_T1w.nii.gz"]
    assert not [
        path
        for path in output_dir.glob("sub-*/**/*")
        if path.is_file() and not path.stat().st_size
    ]


@pytest.mark.parametrize("label", FAULTS)
def test_each_is_named_with_its_reason(label, finished) -> None:
    _, said, output_dir = finished
    told = f"sub-{label}_T1w.nii.gz: "
    assert told in said
    assert FAULTS[label][2] in said.partition(told)[2].partition("\n")[0]
    (crash,) = output_dir.glob(f"sub-{label}/log/*/crash-sub-{label}.txt")
    assert FAULTS[label][2] in crash.read_text()
