"""Every error ends with its exit code and one last line."""

import errno
import os
import signal

import pytest

from bids_harmonize.bids.lock import group_lock
from bids_harmonize.cli.main import main
from bids_harmonize.errors import (
    BusyError,
    LeakError,
    PreemptedError,
    ScanError,
    StorageError,
)
from tests.bids.trees import two_sites, write_derivative, write_raw
from tests.cli.standins import assert_stopped


def test_wrong_usage_gives_2(run, calls, raw):
    assert run("--folds", "one") == 2
    assert_stopped(run, 2)
    assert run(output_dir=raw) == 2
    assert "output_dir" in run.text
    assert_stopped(run, 2)
    assert run("--work-dir", str(raw.parent)) == 2
    assert "--work-dir" in run.text


def test_no_dataset_gives_16_and_leaves_no_output(run, calls, raw, tmp_path):
    (raw / "dataset_description.json").unlink()
    assert run() == 16
    assert_stopped(run, 16)
    assert not (tmp_path / "out").exists()


def test_an_unknown_label_gives_18_before_any_work(run, calls, tmp_path):
    assert run("--participant-label", "nobody") == 18
    assert_stopped(run, 18)
    assert calls.scans == []
    assert not (tmp_path / "out").exists()


def test_no_t1w_gives_66(run, calls, tmp_path):
    assert run(bids_dir=write_raw(tmp_path / "empty", [])) == 66
    assert_stopped(run, 66)


def test_no_participant_level_output_gives_66(run, calls):
    assert run(levels=("group",)) == 66
    assert_stopped(run, 66)
    assert run("--reports-only", levels=("group",)) == 66


def test_one_site_gives_65(run, calls, tmp_path):
    write_derivative(tmp_path / "out", dict.fromkeys(two_sites(), "A"))
    assert run(levels=("group",)) == 65
    assert "1 site(s) can be trained" in run.text
    assert_stopped(run, 65)


def test_an_internal_error_gives_70_and_a_crash_file(run, calls, out):
    calls.stage_error = RuntimeError("surprise")
    assert run(levels=("group",)) == 70
    assert_stopped(run, 70)
    crash = next((out / "logs").glob("crash-*.txt"))
    assert "RuntimeError: surprise" in crash.read_text()
    assert str(crash) in run.text
    assert not (out / ".group.lock").exists()


def test_a_leak_is_an_internal_error(run, calls, out):
    calls.stage_error = LeakError("sub-a1 stands in the training split")
    assert run(levels=("group",)) == 70
    assert "sub-a1 stands in the training split" in run.text


def test_an_output_that_cannot_be_written_gives_73(run, calls, tmp_path):
    (tmp_path / "file").write_text("")
    assert run(output_dir=tmp_path / "file" / "out") == 73
    assert_stopped(run, 73)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageError("disk full"), 74),
        (OSError(errno.ENOSPC, "No space left on device"), 74),
        (PermissionError(errno.EACCES, "Permission denied"), 73),
        (ScanError("one scan"), 1),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOENT, "odd"), 70),
    ],
)
def test_every_error_has_its_code_and_last_line(run, calls, error, code):
    calls.scan_error = error
    assert run() == code
    assert_stopped(run, code)


@pytest.mark.parametrize(
    ("has_checkpoint", "words"),
    [(False, "what was finished is kept"), (True, "checkpoint written")],
)
def test_a_run_that_the_scheduler_stops_says_so_and_gives_75(
    run, calls, out, has_checkpoint, words
):
    calls.stage_error = PreemptedError(has_checkpoint=has_checkpoint)
    assert run(levels=("group",)) == 75
    assert run.last.endswith(
        f"bids-harmonize stopped: preempted, {words}, run again (exit code 75)"
    )
    assert not (out / ".group.lock").exists()
    assert not list((out / "logs").glob("crash-*"))


def test_a_signal_before_any_work_gives_75(capsys, monkeypatch):
    monkeypatch.setattr(
        "bids_harmonize.cli.main.parse", lambda argv: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert main([]) == 75
    assert capsys.readouterr().err.endswith("is kept, run again (exit code 75)\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("where", "number", "code", "told"),
    [
        ("raw", errno.EACCES, 16, "cannot be used"),
        ("raw", errno.EIO, 74, "cannot be used"),
        ("out", errno.EACCES, 73, "cannot be written"),
        ("out", errno.EIO, 74, "writing failed"),
        ("elsewhere", errno.EACCES, 73, "cannot be used"),
    ],
)
def test_what_cannot_be_read_is_not_called_unwritable(
    run, calls, raw, out, tmp_path, where, number, code, told
):
    folder = {"raw": raw, "out": out, "elsewhere": tmp_path / "elsewhere"}[where]
    calls.scan_error = OSError(number, "odd", str(folder / "sub-01/file"))
    assert run() == code
    assert f"{folder}/sub-01/file: {told}: odd" in run.text
    assert_stopped(run, code)


def test_a_locked_output_gives_75(run, calls, out):
    with group_lock(out):
        assert run(levels=("group",)) == 75
    assert_stopped(run, 75)


@pytest.fixture
def close(monkeypatch):
    """Take the right to list a folder away, from root too."""
    closed, real = set(), os.scandir

    def refuse(path="."):
        if str(path) in closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return lambda folder: closed.add(str(folder))


def test_a_folder_that_may_not_be_read_is_a_failure_and_the_others_are_done(
    run, calls, raw, close
):
    close(raw / "sub-a1/anat")
    assert run("--dry-run") == 1
    assert run() == 1
    assert f"{raw}/sub-a1/anat: cannot be looked into: Permission denied; mend its" in run.text
    assert "finished with 1 failure(s): sub-a1/anat could not be looked into; 9 scans" in run.last
    assert calls.scans == sorted(set(two_sites()) - {"sub-a1"})
    calls.scans.clear()
    assert run("--participant-label", "a1") == 1
    assert "sub-a1/anat: cannot be looked into" in run.text
    assert_stopped(run, 1)
    assert run("--participant-label", "a2") == 0
    assert calls.scans == ["sub-a2"]


def test_scans_that_another_run_works_on_are_75(run, calls):
    calls.busy = frozenset({"sub-a1"})
    assert run() == 75
    assert "sub-a1 left to another run" in run.last
    assert "finished successfully" not in run.text
    calls.failing = frozenset({"sub-b1"})
    assert run() == 1


def test_scans_whose_table_another_run_holds_are_done_but_75(run, calls):
    calls.busy_tables = frozenset({"sub-a1", "sub-b2"})
    assert run() == 75
    assert "10 scans processed, 0 unchanged" in run.last
    assert "sub-a1_scans.tsv, sub-b2_scans.tsv left to another run" in run.last


def test_a_busy_table_at_the_end_loses_neither_pages_nor_summary(run, calls, monkeypatch):
    def refuse(*_, **__):
        raise BusyError("tables are held")

    monkeypatch.setattr("bids_harmonize.cli.participant.write_participants", refuse)
    assert run() == 75
    assert "participants.tsv left to another run" in run.last
    assert "participant pages written" in run.last
