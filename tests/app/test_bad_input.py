"""What a user does wrong, with the exit code and the words that help."""

import json
import shutil
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest

from bids_harmonize.phantom import write_study
from tests.app.conftest import FAST, RESOLUTION_MM, run_app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def bids_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad") / "bids"
    write_study(
        folder, n_sites=2, n_per_site=2, n_travelling=0, resolution_mm=RESOLUTION_MM, seed=5
    )
    return folder


@pytest.fixture
def copy(bids_dir: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bids_dir, tmp_path / "bids"))


def test_one_truncated_and_one_two_volume_scan_do_not_stop_the_others(copy: Path, tmp_path: Path):
    images = sorted(copy.glob("sub-*/anat/*_T1w.nii.gz"))
    images[0].write_bytes(images[0].read_bytes()[:2000])
    good = nb.load(images[1])
    double = np.stack([np.asarray(good.dataobj)] * 2, axis=-1)
    nb.save(nb.Nifti1Image(double, good.affine), images[1])
    run = run_app(copy, tmp_path / "out", "participant", *FAST)
    assert run.returncode == 1
    said = run.stdout + run.stderr
    assert "finished successfully" not in said
    assert images[0].name in said
    assert "2 volumes" in said
    done = sorted(path.name for path in (tmp_path / "out").rglob("*desc-preproc_T1w.nii.gz"))
    assert [name.split("_")[0] for name in done] == ["sub-B001", "sub-B002"]
    written = [path for path in (tmp_path / "out").glob("sub-*/**/*") if path.is_file()]
    assert not [path for path in written if path.stat().st_size == 0]


def test_an_output_that_is_the_input_is_refused(copy: Path):
    run = run_app(copy, copy, "participant")
    assert run.returncode == 2
    assert "output" in run.stderr


def test_an_unknown_participant_is_refused_before_any_work(copy: Path, tmp_path: Path):
    run = run_app(copy, tmp_path / "out", "participant", "--participant-label", "nobody")
    assert run.returncode == 18
    assert "nobody" in run.stdout + run.stderr


def test_a_dataset_without_t1w_images_is_66(copy: Path, tmp_path: Path):
    for path in copy.glob("sub-*/anat/*"):
        path.unlink()
    assert run_app(copy, tmp_path / "out", "participant").returncode == 66


def test_a_folder_that_is_no_dataset_is_16(tmp_path: Path):
    (tmp_path / "raw").mkdir()
    assert run_app(tmp_path / "raw", tmp_path / "out", "participant").returncode == 16


def test_group_without_participant_level_output_is_66(copy: Path, tmp_path: Path):
    assert run_app(copy, tmp_path / "out", "group").returncode == 66


def test_an_output_that_cannot_be_made_is_73(copy: Path, tmp_path: Path):
    blocker = tmp_path / "file"
    blocker.write_text("a file where a folder is needed")
    assert run_app(copy, blocker / "out", "participant").returncode == 73


def test_a_config_file_with_faults_lists_them_all(copy: Path, tmp_path: Path):
    config = tmp_path / "bad.toml"
    config.write_text('[group]\nfolds = 1\nunknown = 2\n[preprocessing]\nresolution_mm = "x"\n')
    run = run_app(copy, tmp_path / "out", "group", "--config-file", config)
    assert run.returncode == 2
    for word in ("group.folds", "group.unknown", "preprocessing.resolution_mm"):
        assert word in run.stderr


def test_a_study_of_one_site_is_65_at_group_level(copy: Path, tmp_path: Path):
    out = tmp_path / "out"
    site_map = tmp_path / "sites.tsv"
    people = sorted(path.name for path in copy.glob("sub-*"))
    site_map.write_text("participant_id\tsite\n" + "".join(f"{p}\tHere\n" for p in people))
    run = run_app(copy, out, "participant", *FAST, "--site-map", site_map)
    assert run.returncode == 0, run.stdout + run.stderr
    one = run_app(copy, out, "group", "--min-per-site", 2)
    assert one.returncode == 65
    assert "Here" in one.stdout + one.stderr


def test_a_study_whose_sites_are_nowhere_is_65_and_names_the_scans(copy: Path, tmp_path: Path):
    table = copy / "participants.tsv"
    people = [line.split("\t")[0] for line in table.read_text().splitlines()]
    table.write_text("\n".join(people) + "\n")
    for sidecar in copy.glob("sub-*/anat/*.json"):
        sidecar.unlink()
    out = tmp_path / "out"
    run = run_app(copy, out, "participant", *FAST)
    assert run.returncode == 0, run.stdout + run.stderr
    none = run_app(copy, out, "group")
    assert none.returncode == 65
    said = none.stdout + none.stderr
    assert all(person in said for person in people[1:])
    assert "--site-map" in said


def test_the_dry_run_writes_nothing(copy: Path, tmp_path: Path):
    run = run_app(copy, tmp_path / "out", "participant", "--dry-run")
    assert run.returncode == 0
    assert "sub-A001" in run.stdout + run.stderr
    assert "SiteA" in run.stdout + run.stderr
    assert not (tmp_path / "out").exists()
    assert json.loads((copy / "dataset_description.json").read_text())["DatasetType"] == "raw"
