"""``participant --model-dir``: one new scan, and no group run."""

import pytest

from tests.app.conftest import FinishedStudy, run_app

pytestmark = pytest.mark.slow


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
