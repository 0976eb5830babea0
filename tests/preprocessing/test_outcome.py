"""How a worker tells why it failed."""

import errno
from pathlib import Path

import pytest

from bids_harmonize.errors import OutputError, ScanError, StorageError
from bids_harmonize.preprocessing.outcome import (
    RESERVE_BYTES,
    Failure,
    keep_reserve,
    raise_if_output_failed,
    read_failure,
    recording_failure,
)


def test_an_error_is_written_down_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "failure.json"
    with pytest.raises(ScanError), recording_failure(path):
        raise ScanError("file x: truncated")
    failure = read_failure(path)
    assert failure is not None
    assert (failure.kind, failure.message) == ("ScanError", "file x: truncated")
    assert "Traceback" in failure.trace


def test_an_unexpected_error_and_a_lack_of_memory_are_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), recording_failure(tmp_path / "a"):
        _ = 1 / 0
    with pytest.raises(MemoryError), recording_failure(tmp_path / "b"):
        raise MemoryError
    with pytest.raises(RuntimeError), recording_failure(tmp_path / "c"):
        raise RuntimeError("ITK ERROR: Failed to allocate memory for image.")
    first, second, third = (read_failure(tmp_path / name) for name in "abc")
    assert first is not None
    assert first.message.startswith("unexpected ZeroDivisionError")
    assert second is not None
    assert second.message.startswith("out of memory")
    assert third is not None
    assert third.message == second.message


def test_a_full_work_disk_is_told_from_the_room_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "failures" / "sub-01.json"
    keep_reserve(path)
    assert [item.stat().st_size for item in path.parent.iterdir()] == [RESERVE_BYTES]
    with pytest.raises(OSError, match="No space"), recording_failure(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    failure = read_failure(path)
    assert failure is not None
    assert failure.kind == "StorageError"
    assert failure.message.startswith(f"{tmp_path}: writing failed: No space left")
    assert list(path.parent.iterdir()) == [path]


def test_silence_means_no_failure_was_told(tmp_path: Path) -> None:
    with recording_failure(tmp_path / "a"):
        pass
    assert read_failure(tmp_path / "a") is None


@pytest.mark.parametrize("error", [OutputError, StorageError])
def test_a_full_disk_stops_the_run(error: type[Exception]) -> None:
    with pytest.raises(error, match="no space"):
        raise_if_output_failed(Failure(error.__name__, "no space", ""))
    raise_if_output_failed(Failure("ScanError", "one scan only", ""))
