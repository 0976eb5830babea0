import json
import subprocess
import sys
from pathlib import Path

import nibabel as nb
import numpy as np
import pytest
from scipy import ndimage

from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import UsageError
from bids_harmonize.phantom import StudyTruth, write_study
from bids_harmonize.phantom.study import _make_room
from bids_harmonize.phantom.tissues import base_intensities

SMALL = {"preset": "mixed", "n_travelling": 1, "n_cases": 2, "resolution_mm": 6.0}


def _content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_travelling_subjects_have_two_runs_at_every_site(study_6mm: StudyTruth) -> None:
    names = sorted(p.name for p in study_6mm.bids_dir.glob("sub-trav001/*/anat/*_T1w.nii.gz"))
    assert names == [
        f"sub-trav001_ses-Site{site}_run-{run}_T1w.nii.gz" for site in "AB" for run in (1, 2)
    ]
    sessions = read_tsv(study_6mm.bids_dir / "sub-trav001" / "sub-trav001_sessions.tsv")
    assert sessions.to_dict("list") == {
        "session_id": ["ses-SiteA", "ses-SiteB"], "site": ["SiteA", "SiteB"]
    }  # fmt: skip


def test_participants_carry_site_age_sex_and_group(study_6mm: StudyTruth) -> None:
    table = read_tsv(study_6mm.bids_dir / "participants.tsv")
    assert list(table.columns) == ["participant_id", "site", "age", "sex", "group"]
    assert table["participant_id"].tolist() == [
        "sub-A001", "sub-A501", "sub-A502", "sub-B001", "sub-B501", "sub-B502", "sub-trav001"
    ]  # fmt: skip
    assert table["site"].tolist()[:-1] == ["SiteA"] * 3 + ["SiteB"] * 3
    assert table["site"].isna().tolist()[-1]
    assert table["group"].tolist() == ["control", "case", "case"] * 2 + ["control"]
    ages = table["age"].astype(float)
    assert [p.traits.age for p in study_6mm.people] == ages.tolist()


def test_the_truth_lies_beside_the_dataset_and_nothing_of_it_inside(study_6mm: StudyTruth) -> None:
    assert study_6mm.truth_dir == study_6mm.bids_dir.with_name("study-truth")
    inside = {p.name for p in study_6mm.bids_dir.iterdir()}
    people = {person.participant_id for person in study_6mm.people}
    assert inside == {
        "README.md", "dataset_description.json", "participants.tsv", "participants.json", *people
    }  # fmt: skip
    beside = {p.name for p in study_6mm.truth_dir.iterdir()}
    assert beside == {
        "README.md", "study.json", "scanners.json", "scans.json", "participants.tsv",
        "participants.json", "heads", "noisefree",
    }  # fmt: skip
    table = read_tsv(study_6mm.truth_dir / "participants.tsv")
    assert table["pattern"].dropna().tolist() == ["frontotemporal", "subcortical"] * 2


def test_the_truth_fits_every_stored_scan(study_6mm: StudyTruth) -> None:
    positions = json.loads((study_6mm.truth_dir / "scans.json").read_text())
    assert len(study_6mm.scans) == len(positions) == 10
    brightness = np.concatenate([[0.0], base_intensities()])
    for scan in study_6mm.scans:
        image = nb.load(scan.path)
        head = nb.load(study_6mm.truth_dir / "heads" / f"{scan.participant_id}_labels.nii.gz")
        expected = ndimage.gaussian_filter(brightness[np.asarray(head.dataobj)], 0.8)
        similarity = []
        for to_head in (np.array(positions[scan.stem]["scan_to_truth_world"]), np.eye(4)):
            matrix = np.linalg.inv(head.affine) @ to_head @ image.affine
            there = ndimage.affine_transform(
                expected, matrix[:3, :3], matrix[:3, 3], image.shape, order=1
            )
            similarity.append(np.corrcoef(there.ravel(), image.get_fdata().ravel())[0, 1])
        assert similarity[0] > 0.98
        assert similarity[0] > similarity[1]
        noise_free = nb.load(study_6mm.truth_dir / "noisefree" / f"{scan.stem}_T1w.nii.gz")
        assert np.corrcoef(noise_free.get_fdata().ravel(), image.get_fdata().ravel())[0, 1] > 0.98


def test_sidecars_say_that_nobody_was_scanned(study_6mm: StudyTruth) -> None:
    for scan in study_6mm.scans:
        sidecar = json.loads(scan.path.with_name(f"{scan.stem}_T1w.json").read_text())
        assert sidecar["Manufacturer"] == "Simulated"
        assert sidecar["InstitutionName"] == scan.site
        assert "no person was scanned" in sidecar["AcquisitionDescription"]
        assert sidecar["MagneticFieldStrength"] in (1.5, 3)


def test_the_same_seed_gives_the_same_bytes_and_more_people_change_nobody(
    study_6mm: StudyTruth, tmp_path: Path
) -> None:
    larger = write_study(tmp_path / "study", **SMALL, n_per_site=2, noise_free=True)
    for folder, other in (
        (study_6mm.bids_dir, larger.bids_dir),
        (study_6mm.truth_dir, larger.truth_dir),
    ):
        first, second = _content(folder), _content(other)
        of_people = {name for name in first if "sub-" in name}
        assert len(of_people) > 20
        assert all(second[name] == first[name] for name in of_people)


def test_an_earlier_phantom_is_replaced(tmp_path: Path) -> None:
    write_study(tmp_path / "study", n_sites=1, n_per_site=2, n_travelling=0, resolution_mm=6.0)
    write_study(
        tmp_path / "study", n_sites=1, n_per_site=1, n_travelling=0, resolution_mm=6.0, seed=1
    )
    assert [p.name for p in (tmp_path / "study").glob("sub-*")] == ["sub-A001"]
    assert len(list((tmp_path / "study-truth" / "heads").iterdir())) == 3


@pytest.mark.parametrize("where", ["study", "study-truth"])
def test_a_folder_that_is_no_phantom_is_never_touched(where: str, tmp_path: Path) -> None:
    kept = tmp_path / where / "sub-01" / "notes.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    (tmp_path / where / "dataset_description.json").write_text('{"Name": "my study"}')
    with pytest.raises(UsageError, match="not empty and no phantom study"):
        write_study(tmp_path / "study", n_per_site=1)
    assert kept.read_text() == "mine"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("")
    with pytest.raises(UsageError, match="is a file; expected a folder"):
        _make_room(tmp_path / "study", marker="study.json")


def test_the_dataset_is_valid_bids(study_6mm: StudyTruth) -> None:
    validator = Path(sys.executable).parent / "bids-validator-deno"
    finished = subprocess.run(
        [str(validator), "--json", str(study_6mm.bids_dir)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    issues = json.loads(finished.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
