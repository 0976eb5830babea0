"""Both levels end to end on a small phantom study."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nibabel as nb
import numpy as np
import pandas as pd
import pytest
from bids import BIDSLayout

from tests.app.conftest import FinishedStudy, run_app

pytestmark = pytest.mark.slow

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
