"""Both levels end to end on a small phantom study; one scan more; killed, and gone on with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nb
import numpy as np
import pandas as pd
import pytest
from bids import BIDSLayout

from tests.app.conftest import FinishedStudy, run_app

# One module, so that one process makes the study; the first test waits for it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

GOLDEN_TREE = Path(__file__).parent / "golden_tree.txt"
REFERENCE = "SiteA"


def outputs_of(output_dir: Path) -> list[str]:
    paths = (path.relative_to(output_dir) for path in output_dir.rglob("*") if path.is_file())
    names = (str(path) for path in paths if path.parts[0] not in (".work", "logs"))
    return sorted(re.sub(r"/log/[^/]+/", "/log/RUN_ID/", name) for name in names)


def test_the_run_succeeds_and_says_so_in_its_last_line(finished_study: FinishedStudy):
    assert finished_study.exit_code == 0, finished_study.log
    assert "finished successfully" in finished_study.log.strip().splitlines()[-1]


def test_the_output_tree_is_the_golden_one(finished_study: FinishedStudy):
    assert outputs_of(finished_study.output_dir) == GOLDEN_TREE.read_text().split()


@pytest.mark.parametrize("which", ["bids_dir", "output_dir"])
def test_the_bids_validator_finds_no_error(finished_study: FinishedStudy, which: str):
    validator = Path(sys.executable).parent / "bids-validator-deno"
    folder = getattr(finished_study, which)
    run = subprocess.run(
        [str(validator), "--format", "json", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    issues = json.loads(run.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_pybids_and_a_filter_select_exactly_the_harmonized_images(finished_study: FinishedStudy):
    layout = BIDSLayout(finished_study.output_dir, validate=False, is_derivative=True)
    found = layout.get(
        suffix="T1w", desc=f"harmonized{REFERENCE}", extension=".nii.gz", return_type="filename"
    )
    written = finished_study.output_dir.glob(f"sub-*/**/*_desc-harmonized{REFERENCE}_T1w.nii.gz")
    assert sorted(found) == sorted(str(path) for path in written)
    assert len(found) == 20  # 2 x 6 scans, and 2 travelling subjects x 2 sites x 2 runs


def test_harmonized_images_keep_the_grid_and_the_background(finished_study: FinishedStudy):
    pattern = f"sub-*/**/*_desc-harmonized{REFERENCE}_T1w.nii.gz"
    for path in finished_study.output_dir.glob(pattern):
        preproc = path.with_name(path.name.replace(f"harmonized{REFERENCE}", "preproc"))
        harmonized_image, preproc_image = nb.load(path), nb.load(preproc)
        mask_name = path.name.replace(f"desc-harmonized{REFERENCE}_T1w", "desc-head_mask")
        head = np.asarray(nb.load(path.with_name(mask_name)).dataobj) > 0
        harmonized = np.asarray(harmonized_image.dataobj)
        assert np.array_equal(harmonized_image.affine, preproc_image.affine)
        assert harmonized.shape == preproc_image.shape
        assert harmonized.dtype == np.float32
        assert not harmonized[~head].any()
        assert np.isfinite(harmonized).all()
        assert harmonized[head].mean() > 0


def test_the_methods_table_has_every_method_in_both_directions(finished_study: FinishedStudy):
    table = pd.read_csv(finished_study.output_dir / "group_methods.tsv", sep="\t")
    expected = {"identity", "nyul", "histogram", "n4", "n4_histogram", "localhistogram"}
    expected |= {"cyclegan", "ceiling", "blur"}
    for kind in ("direct", "reverse"):
        rows = table[(table["kind"] == kind) & (table["metric"] == "psnr")]
        assert set(rows["method"]) >= expected - ({"blur"} if kind == "reverse" else set())
        assert np.isfinite(rows["mean"]).all()


def test_the_group_page_needs_no_network(finished_study: FinishedStudy):
    page = (finished_study.output_dir / "group.html").read_text()
    assert 'src="http' not in page
    assert 'link rel="stylesheet"' not in page
    assert "cyclegan" in page
    assert "site removed" not in page.lower()


def test_a_second_run_does_nothing_again(finished_study: FinishedStudy):
    images = sorted(finished_study.output_dir.glob("sub-*/**/*.nii.gz"))
    before = {path: path.stat().st_mtime_ns for path in images}
    run = run_app(
        *(finished_study.bids_dir, finished_study.output_dir, "participant"),
        *("--resolution", 6, "--nprocs", 2),
    )
    assert run.returncode == 0, run.stderr
    assert {path: path.stat().st_mtime_ns for path in images} == before


def test_one_scan_alone_is_the_very_file_of_the_group_run(
    finished_study: FinishedStudy, tmp_path
) -> None:
    models = finished_study.output_dir / "models"
    words = ("--participant-label", "B001", "--model-dir", models, "--nprocs", 1)
    run = run_app(finished_study.bids_dir, tmp_path, "participant", *words)
    assert run.returncode == 0, run.stderr
    assert "1 scans harmonized, 0 unchanged, by cyclegan to SiteA" in run.stderr
    name = "sub-B001/anat/sub-B001_desc-harmonizedSiteA_T1w.nii.gz"
    assert (tmp_path / name).read_bytes() == (finished_study.output_dir / name).read_bytes()
    before = (tmp_path / name).stat().st_mtime_ns
    again = run_app(finished_study.bids_dir, tmp_path, "participant", *words)
    assert "0 scans harmonized, 1 unchanged" in again.stderr
    assert (tmp_path / name).stat().st_mtime_ns == before


CHECKPOINT = ".work/harmonize/cyclegan/pair-0/attempt-1.pt"
WEIGHTS = "models/cyclegan_to-SiteA/model.safetensors"


def copy_of_participant_level(study: FinishedStudy, folder: Path) -> Path:
    ignored = shutil.ignore_patterns(
        "models", "group*", ".work", "tpl-*", "*harmonized*", "*Saliency*"
    )
    return Path(shutil.copytree(study.output_dir, folder, ignore=ignored))


def arguments(output_dir: Path, config: Path) -> list[str]:
    return [
        *("-", str(output_dir), "group", "--stages", "harmonize", "--effort", "quick"),
        *("--nprocs", "1", "--config-file", str(config)),
    ]


def wait_for(path: Path, process: subprocess.Popen[bytes], *, limit_s: float) -> None:
    started = time.monotonic()
    while not path.is_file():
        assert process.poll() is None, "the run ended before its first checkpoint"
        assert time.monotonic() - started < limit_s, f"{path} never came"
        time.sleep(0.05)


def test_killed_in_cyclegan_training_it_resumes_to_the_same_weights(
    finished_study: FinishedStudy, tmp_path: Path
):
    config = tmp_path / "long.toml"
    config.write_text("[harmonizer]\nn_iterations = 200\n")
    whole = copy_of_participant_level(finished_study, tmp_path / "whole")
    killed = copy_of_participant_level(finished_study, tmp_path / "killed")
    uninterrupted = run_app(*arguments(whole, config))
    assert uninterrupted.returncode == 0, uninterrupted.stderr

    command = [sys.executable, "-m", "bids_harmonize", *arguments(killed, config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait_for(killed / CHECKPOINT, process, limit_s=600)
        os.kill(process.pid, signal.SIGKILL)
    assert not (killed / WEIGHTS).exists()
    assert not list(killed.glob("sub-*/**/*harmonized*"))

    again = run_app(*arguments(killed, config))
    assert again.returncode == 0, again.stderr
    assert "going on after iteration" in again.stdout + again.stderr
    assert (killed / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    images = sorted(path.relative_to(whole) for path in whole.glob("sub-*/**/*harmonized*.nii.gz"))
    assert images
    assert all((killed / path).read_bytes() == (whole / path).read_bytes() for path in images)
