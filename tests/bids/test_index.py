import errno
import json
import os

import pytest

from bids_harmonize.bids.index import index_scans, select_participants
from bids_harmonize.config import SelectionSettings
from bids_harmonize.errors import (
    InvalidDatasetError,
    MissingInputError,
    SelectionError,
    UnusableDataError,
    UsageError,
)
from tests.bids.trees import write_raw, write_volume

STEMS = ("sub-01_ses-A_run-1", "sub-01_ses-A_run-2", "sub-01_ses-B", "sub-02_acq-mprage_rec-x")


def stems(bids_dir, **selection):
    return [scan.stem for scan in index_scans(bids_dir, selection=SelectionSettings(**selection))]


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw", STEMS)


def test_every_t1w_is_found_with_its_entities_in_order(raw):
    scans = index_scans(raw, selection=SelectionSettings())
    assert tuple(scan.stem for scan in scans) == STEMS
    assert scans[3].entities == {"sub": "02", "acq": "mprage", "rec": "x"}
    assert (scans[3].participant_id, scans[3].session_id) == ("sub-02", None)
    assert scans[0].session_id == "ses-A"
    assert scans[0].path == raw / "sub-01/ses-A/anat/sub-01_ses-A_run-1_T1w.nii.gz"


def test_other_files_and_other_datasets_inside_are_not_scans(raw):
    anat = raw / "sub-02/anat"
    (anat / "sub-02_T2w.nii.gz").touch()
    (anat / "sub-02_acq-mprage_rec-x_T1w.json").write_text("no json")
    (anat / ".sub-02_T1w.nii.gz").touch()
    (raw / "sub-02/func").mkdir()
    (raw / "sub-02/func/sub-02_T1w.nii.gz").touch()
    for folder in ("derivatives/x", "sourcedata", "code"):
        write_volume(raw / folder / "sub-09/anat/sub-09_T1w.nii.gz")
    assert stems(raw) == list(STEMS)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"participant_label": ("02",)}, STEMS[3:]),
        ({"session_label": ("B",)}, STEMS[2:3]),
        ({"bids_filter": {"t1w": {"acquisition": "mprage"}}}, STEMS[3:]),
        ({"bids_filter": {"t1w": {"run": 2}}}, STEMS[1:2]),
        ({"bids_filter": {"t1w": {"run": [1, 2]}}}, STEMS[:2]),
        ({"bids_filter": {"t1w": {"session": None}}}, STEMS[3:]),
        ({"bids_filter": {"t1w": {"session": "*"}}}, STEMS[:3]),
        ({"bids_filter": {"t1w": {"run": "Query.NONE"}}}, STEMS[2:]),
        ({"bids_filter": {"bold": {"task": "rest"}}}, STEMS),
    ],
)
def test_selection_keeps_what_it_names(raw, selection, expected):
    assert stems(raw, **selection) == list(expected)


def test_a_label_that_starts_like_another_is_another(tmp_path):
    raw = write_raw(tmp_path / "raw", ["sub-01", "sub-010"])
    assert stems(raw, participant_label=("01",)) == ["sub-01"]


def test_broken_links_are_scans_of_their_participant_and_nobody_elses(raw):
    (raw / "sub-01/ses-B/anat/sub-01_ses-B_run-9_T1w.nii.gz").symlink_to("nowhere")
    assert stems(raw, participant_label=("02",)) == list(STEMS[3:])
    assert "sub-01_ses-B_run-9" in stems(raw)


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ({"participant_label": ("01", "77")}, "no participant 77; the 2 there are: 01, 02"),
        ({"session_label": ("C",)}, "no session C with a T1w image; those there are: A, B"),
        ({"bids_filter": {"t1w": {"run": 7}}}, "the filters leave no T1w image"),
    ],
)
def test_a_selection_of_nothing_is_named(raw, selection, words):
    with pytest.raises(SelectionError, match=words):
        stems(raw, **selection)


def test_a_filter_by_an_unknown_entity_is_named(raw):
    with pytest.raises(UsageError, match="'flavour' is not a recognized entity"):
        stems(raw, bids_filter={"t1w": {"flavour": "x"}})


def test_phase_real_and_imaginary_parts_are_no_heads_and_told(tmp_path, caplog):
    parts = [f"sub-01_part-{part}" for part in ("imag", "mag", "phase", "real")]
    raw = write_raw(tmp_path / "raw", [*parts, "sub-02"])
    assert stems(raw) == ["sub-01_part-mag", "sub-02"]
    told = "3 images left out, as only part-mag shows a head: " + ", ".join(
        part for part in parts if part != "sub-01_part-mag"
    )
    assert told in caplog.messages
    for path in (raw / "sub-01/anat").glob("*_part-mag_*"):
        path.unlink()
    with pytest.raises(MissingInputError, match="no T1w image"):
        stems(raw, participant_label=("01",))


def test_a_dataset_without_t1w_is_named(tmp_path):
    raw = write_raw(tmp_path / "raw", [])
    (raw / "sub-01/anat").mkdir(parents=True)
    (raw / "sub-01/anat/sub-01_T2w.nii.gz").touch()
    with pytest.raises(MissingInputError, match="no T1w image"):
        stems(raw)


def test_one_scan_in_two_files_is_named(raw):
    write_volume(raw / "sub-02/anat/sub-02_acq-mprage_rec-x_T1w.nii")
    with pytest.raises(UnusableDataError, match="sub-02_acq-mprage_rec-x"):
        stems(raw)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no dataset_description.json"),
        ("{", "not readable as JSON"),
        ("[]", "expected an object"),
        (json.dumps({"Name": "x"}), "BIDSVersion missing"),
        (
            json.dumps({"Name": "x", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}),
            "DatasetType is 'derivative'",
        ),
    ],
)
def test_what_is_no_raw_dataset_is_named(raw, content, words):
    path = raw / "dataset_description.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidDatasetError, match=words):
        stems(raw)


def test_an_absent_folder_is_no_dataset(tmp_path):
    with pytest.raises(InvalidDatasetError, match="no such folder"):
        stems(tmp_path / "nowhere")


def test_labels_are_returned_once_and_sorted(raw):
    assert select_participants(raw, ["02", "01", "02"]) == ("01", "02")


def test_a_link_that_may_not_be_followed_is_a_scan_of_its_own(raw, monkeypatch):
    link = raw / "sub-01/ses-B/anat/sub-01_ses-B_run-9_T1w.nii.gz"
    link.symlink_to("nowhere")
    real = os.stat

    def refuse(path, *args, follow_symlinks=True, **kwargs):
        if str(path) == str(link) and follow_symlinks:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *args, follow_symlinks=follow_symlinks, **kwargs)

    monkeypatch.setattr(os, "stat", refuse)
    assert set(stems(raw)) == {*STEMS, "sub-01_ses-B_run-9"}
    with pytest.raises(InvalidDatasetError, match=r"run-9_T1w.nii.gz: cannot be looked at"):
        stems(raw, bids_filter={"t1w": {"run": 9}})
