"""Which images --judge takes for which scan, and who trained the tool."""

from pathlib import Path

import pytest

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.judged import read_judged, read_trained_on, split_judged
from bids_harmonize.errors import MissingInputError, UnusableDataError, UsageError


def scan_of(stem):
    parts = dict(part.split("-", 1) for part in stem.split("_"))
    session = f"ses-{parts['ses']}" if "ses" in parts else None
    return DerivedScan(
        stem=stem,
        participant_id=f"sub-{parts['sub']}",
        session_id=session,
        site="A",
        site_source="sessions",
        usable=True,
        quality={},
        t1w=Path("t1w"),
        head_mask=Path("head"),
        brain_mask=None,
    )


def put(folder, name):
    parts = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    path = folder.joinpath(*parts, "anat", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


SCANS = [scan_of("sub-1"), scan_of("sub-1_run-2"), scan_of("sub-2_ses-A")]


def test_an_image_is_named_as_its_scan_plus_space_res_and_desc(tmp_path):
    first = put(tmp_path, "sub-1_space-MNI_res-1_desc-iguane_T1w.nii.gz")
    second = put(tmp_path, "sub-1_run-2_T1w.nii")
    put(tmp_path, "sub-1_acq-fast_desc-iguane_T1w.nii.gz")
    put(tmp_path, "sub-1_desc-iguane_mask.nii.gz")
    found = read_judged("iguane", str(tmp_path), SCANS)
    assert dict(found.images) == {"sub-1": first, "sub-1_run-2": second}
    assert (found.method, found.trained_on) == ("judge:iguane", None)


def test_desc_chooses_and_without_it_two_images_are_refused(tmp_path):
    wanted = put(tmp_path, "sub-2_ses-A_desc-b_T1w.nii.gz")
    put(tmp_path, "sub-2_ses-A_desc-a_T1w.nii.gz")
    assert dict(read_judged("x", f"{tmp_path}:b", SCANS).images) == {"sub-2_ses-A": wanted}
    with pytest.raises(UsageError, match=r"sub-2_ses-A has 2 images .* one of: a, b"):
        read_judged("x", str(tmp_path), SCANS)


def test_a_folder_without_any_image_says_what_was_expected(tmp_path):
    with pytest.raises(MissingInputError, match=r"<name of the scan>_desc-c_T1w.nii.gz"):
        read_judged("x", f"{tmp_path}:c", SCANS)


def test_a_folder_whose_name_holds_a_colon_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "run:two"
    folder.mkdir()
    assert split_judged(str(folder)) == (folder, None)
    assert split_judged(f"{folder}:b") == (folder, "b")


def test_people_are_read_with_and_without_sub(tmp_path):
    (tmp_path / "training.tsv").write_text("participant_id\tx\nsub-1\t3\n02\t4\n02\t5\n")
    assert read_trained_on(tmp_path) == {"sub-1", "sub-02"}


def test_a_training_table_without_people_is_refused(tmp_path):
    (tmp_path / "training.tsv").write_text("person\n1\n")
    with pytest.raises(UnusableDataError, match="no column participant_id, found person"):
        read_trained_on(tmp_path)
