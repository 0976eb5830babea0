"""Folders that may not be read; as root may read all, the refusal is the test's own."""

import errno
import os

import pytest

from bids_harmonize.bids.closed_folders import closed_folders
from bids_harmonize.errors import SelectionError
from tests.bids.trees import write_raw

STEMS = ("sub-01_ses-A", "sub-01_ses-B", "sub-02", "sub-03")
CLOSED = ("sub-01/ses-A/anat", "sub-01/ses-B", "sub-02/anat", "sub-02/func", "sub-03")


@pytest.fixture
def raw(tmp_path, monkeypatch):
    raw = write_raw(tmp_path / "raw", STEMS)
    (raw / "sub-02/func").mkdir()
    real = os.scandir

    def refuse(path="."):
        if str(path) in {str(raw / name) for name in CLOSED}:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return raw


def folders(raw, **selected):
    told = closed_folders(raw, **selected)
    assert all(": cannot be looked into: Permission denied; mend its" in words for words in told)
    return [words.partition(":")[0].removeprefix(f"{raw}/") for words in told]


def test_every_closed_folder_that_may_hold_a_scan_is_named(raw):
    assert folders(raw) == ["sub-01/ses-A/anat", "sub-01/ses-B", "sub-02/anat", "sub-03"]


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        ({"participants": ("02",)}, ["sub-02/anat"]),
        ({"sessions": ("A",)}, ["sub-01/ses-A/anat", "sub-03"]),
        ({"participants": ("01",), "sessions": ("B",)}, ["sub-01/ses-B"]),
    ],
)
def test_those_that_are_not_selected_are_nobodys_business(raw, selected, expected):
    assert folders(raw, **selected) == expected


def test_an_unknown_participant_is_named(raw):
    with pytest.raises(SelectionError, match="no participant 09"):
        closed_folders(raw, participants=("09",))


def test_an_open_dataset_has_none(tmp_path):
    assert closed_folders(write_raw(tmp_path / "raw", STEMS)) == ()
