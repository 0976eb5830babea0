"""A second run: what is reused, done again, carried over or taken away."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.scans import scan_row
from bids_harmonize.preprocessing.interfaces import ConformScan
from bids_harmonize.preprocessing.plans import forget, make_plans
from tests.preprocessing.conftest import make_run_settings, run_scans, states, write_scan


def test_a_second_run_does_nothing(finished: tuple[tuple[Scan, ...], Path]) -> None:
    scans, output_dir = finished
    before = {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.nii.gz")}
    assert states(scans, output_dir, make_run_settings()) == ["reused"] * 3
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_changed_input_or_a_lost_output_is_done_again(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    _, output_dir = finished
    scans = (
        write_scan(tmp_path / "bids", "sub-01_ses-A_run-1", seed=1),
        write_scan(tmp_path / "bids", "sub-01_ses-A_run-2", seed=2),
        write_scan(tmp_path / "bids", "sub-02", seed=9),
    )
    (output_dir / "sub-01/ses-A/anat/sub-01_ses-A_run-1_desc-head_mask.nii.gz").unlink()
    assert states(scans, output_dir, make_run_settings()) == ["done", "reused", "done"]


@pytest.mark.parametrize("name", ["desc-head_mask.nii.gz", "desc-head_mask.json"])
def test_an_output_that_was_cut_or_changed_is_done_again(
    finished: tuple[tuple[Scan, ...], Path], name: str
) -> None:
    scans, output_dir = finished
    path = output_dir / f"sub-02/anat/sub-02_{name}"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert states(scans[2:], output_dir, make_run_settings()) == ["done"]
    assert path.read_bytes() == whole


def test_changed_metadata_are_carried_over_without_doing_the_scan_again(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    _, output_dir = finished
    scans = (write_scan(tmp_path / "bids", "sub-02", seed=3),)
    raw = scans[0].path.with_name("sub-02_T1w.json")
    raw.write_text(json.dumps({"EchoTime": 0.003, "Flags": "theirs"}))
    image = output_dir / "sub-02/anat/sub-02_desc-preproc_T1w.nii.gz"
    before = image.stat().st_mtime_ns
    assert states(scans, output_dir, make_run_settings()) == ["reused"]
    sidecar = json.loads(image.with_name("sub-02_desc-preproc_T1w.json").read_text())
    assert sidecar["EchoTime"] == 0.003
    assert "MagneticFieldStrength" not in sidecar
    assert sidecar["Flags"] == []
    assert image.stat().st_mtime_ns == before
    assert states(scans, tmp_path / "anew", make_run_settings()) == ["done"]
    name = "sub-02/anat/sub-02_desc-preproc_T1w.json"
    assert (output_dir / name).read_bytes() == (tmp_path / "anew" / name).read_bytes()


def test_what_a_killed_run_left_half_written_is_removed(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    anat = output_dir / "sub-01/ses-A/anat"
    mine = anat / ".tmp-0123456789ab-sub-01_ses-A_run-1_desc-preproc_T1w.nii.gz"
    others = anat / ".tmp-0123456789ab-sub-01_ses-A_run-2_desc-preproc_T1w.nii.gz"
    longer = anat / ".tmp-0123456789ab-sub-01_ses-A_run-1_part-mag_desc-preproc_T1w.nii.gz"
    for path in (mine, others, longer):
        path.write_bytes(b"half")
    assert states(scans[:1], output_dir, make_run_settings()) == ["reused"]
    assert [path.exists() for path in (mine, others, longer)] == [False, True, True]


def test_changed_settings_or_no_resume_do_it_again(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    coarser = make_run_settings(preprocessing={"resolution_mm": 5.0})
    assert states(scans[2:], output_dir, coarser) == ["done"]
    assert states(scans[2:], output_dir, coarser) == ["reused"]
    anew = make_run_settings(preprocessing={"resolution_mm": 5.0}, run={"resume": False})
    assert states(scans[2:], output_dir, anew) == ["done"]


def test_no_resume_keeps_good_outputs_until_there_are_new_ones_and_does_not_count_them(
    finished: tuple[tuple[Scan, ...], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, output_dir = finished
    anew = make_run_settings(run={"resume": False})

    def odd(self: ConformScan, runtime: object) -> object:
        raise ArithmeticError("odd")

    with monkeypatch.context() as patch:
        patch.setattr(ConformScan, "_run_interface", odd)
        assert states(scans[2:], output_dir, anew) == ["failed"]
    anat = output_dir / "sub-02/anat"
    assert len(list(anat.iterdir())) == 6
    assert scan_row(output_dir, "sub-02") is not None
    assert states(scans[2:], output_dir, make_run_settings()) == ["reused"]


def test_harmonized_images_of_what_was_made_anew_are_named(
    finished: tuple[tuple[Scan, ...], Path], caplog: pytest.LogCaptureFixture
) -> None:
    scans, output_dir = finished
    anat = output_dir / "sub-02/anat"
    made = scan_output(output_dir, "sub-02", "harmonized", reference="Site A")
    made.write_bytes(b"image")
    sha256 = file_sha256(anat / "sub-02_desc-preproc_T1w.nii.gz")
    write_json(made.with_name("sub-02_desc-harmonizedSiteA_T1w.json"), {"InputSha256": sha256})
    run_scans(scans[2:], output_dir, make_run_settings(run={"resume": False}))  # the same again
    assert "were made from earlier" not in caplog.text
    run_scans(scans[2:], output_dir, make_run_settings(preprocessing={"resolution_mm": 5.0}))
    assert "1 harmonized images were made from earlier preprocessed images; run the" in caplog.text
    assert made.name in caplog.text


def test_outputs_that_are_to_be_made_anew_count_once_they_were_saved_again(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    scans, output_dir = finished
    settings = make_run_settings()
    (plan,) = make_plans(
        scans[2:], output_dir=output_dir, work_dir=tmp_path, settings=settings, run_id="run"
    )
    anew = forget(plan)
    assert (plan.is_done(), anew.is_done()) == (True, False)
    mark = output_dir / "sub-02/anat/sub-02_desc-preproc_T1w.json"
    write_json(mark.with_name("new.json"), json.loads(mark.read_text()))
    mark.with_name("new.json").replace(mark)
    assert anew.is_done()


def test_a_run_that_was_killed_before_its_tables_gets_them_next_time(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    table = output_dir / "sub-01/ses-A/sub-01_ses-A_scans.tsv"
    wanted = table.read_text()
    table.unlink()
    run_scans(scans, output_dir, make_run_settings())
    assert table.read_text() == wanted


def test_a_scan_that_comes_from_another_dataset_than_before_is_done_again(
    finished: tuple[tuple[Scan, ...], Path],
) -> None:
    scans, output_dir = finished
    moved = (replace(scans[0], dataset="kyoto"), *scans[1:])
    assert states(moved, output_dir, make_run_settings()) == ["done", "reused", "reused"]
    image = scan_output(output_dir, moved[0].stem, "preproc")
    sidecar = json.loads(image.with_name(image.name.replace(".nii.gz", ".json")).read_text())
    raw = scans[0].path
    assert sidecar["Sources"] == [f"bids:kyoto:{raw.relative_to(raw.parents[3])}"]
