import errno
from contextlib import suppress

import pytest

from bids_harmonize.bids.files import (
    remove_leftovers,
    replacing,
    write_json,
    write_text,
    writing_fault,
)
from bids_harmonize.errors import OutputError, StorageError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with suppress(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StorageError), (errno.EACCES, OutputError)]
)
def test_a_full_disk_is_no_missing_permission(tmp_path, number, kind):
    with pytest.raises(kind) as raised, replacing(tmp_path / "a"):
        raise OSError(number, "words of the system")
    assert "words of the system" in str(raised.value)
    assert type(writing_fault(OSError(number, "x"), "a")) is kind


def test_numbers_that_json_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_one_name_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "below").mkdir()
    with suppress(RuntimeError), replacing(tmp_path / "sub-01_T1w.json") as temporary:
        half = temporary.name
        raise RuntimeError
    places = {
        "mine": tmp_path / half,
        "deeper": tmp_path / "below" / half,
        "another's": tmp_path / half.replace("sub-01", "sub-010"),
        "final": tmp_path / "sub-01_T1w.json",
    }
    for path in places.values():
        path.write_text("half")
    assert remove_leftovers(tmp_path, of="sub-01_") == 1
    assert [name for name, path in places.items() if not path.exists()] == ["mine"]
    assert remove_leftovers(tmp_path, below=True) == 2
    assert places["final"].exists()
    assert remove_leftovers(tmp_path / "absent") == 0
