"""Which tool a folder is of."""

import pytest

from bids_harmonize.errors import UsageError
from bids_harmonize.tables.sources import read_folder
from tests.tables.folders import write_image, write_subject


def test_the_tool_is_known_by_its_files(tmp_path):
    write_subject(tmp_path / "fs", "sub-01")
    write_image(tmp_path / "cat", "sub-01")
    assert read_folder(tmp_path / "fs").kind == "FreeSurfer results"
    assert read_folder(tmp_path / "cat").kind == "CAT12 results"


def test_a_folder_of_neither_is_refused_with_what_is_expected(tmp_path):
    (tmp_path / "sub-01" / "stats").mkdir(parents=True)
    (tmp_path / "catROI_notes.txt").write_text("")
    with pytest.raises(UsageError, match=r"neither a subjects directory .* nor results of CAT12"):
        read_folder(tmp_path)


def test_the_folder_of_one_subject_is_known(tmp_path):
    write_subject(tmp_path, "sub-01")
    with pytest.raises(UsageError, match="the folder of one subject; give the one above it"):
        read_folder(tmp_path / "sub-01")


def test_what_is_no_folder_is_said_to_be_unreadable(tmp_path):
    with pytest.raises(UsageError, match="gone: cannot be read: No such file"):
        read_folder(tmp_path / "gone")
