"""The work directory: whose it is, and when it may be emptied."""

import errno
import fcntl
import subprocess
import sys
import threading
import time

from bids_harmonize.cli.work import MARKER


def test_only_an_own_work_directory_is_emptied(run, calls, tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    assert run("-w", str(own)) == 0
    (own / "participant/old").mkdir(parents=True)
    (own / "notes.txt").write_text("mine too")
    assert run("-w", str(own), "--clean-workdir") == 0
    assert not (own / "participant/old").exists()
    assert (own / "notes.txt").read_text() == "mine too"
    assert run("-w", str(other), "--clean-workdir") == 2
    assert (other / "thesis.txt").read_text() == "mine"


USER = """
import sys
from types import SimpleNamespace
from pathlib import Path
from bids_harmonize.cli.work import work_dir_in_use
work, out = map(Path, sys.argv[1:])
words = {"bids_dir": out / "raw", "output_dir": out, "work_dir": work, "clean_workdir": False}
with work_dir_in_use(SimpleNamespace(**words, datasets=())):
    print("in use", flush=True)
    sys.stdin.readline()
"""


def test_a_work_directory_that_another_run_uses_is_not_emptied(run, calls, tmp_path):
    work = tmp_path / "work"
    command = [sys.executable, "-c", USER, str(work), str(tmp_path / "elsewhere")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "in use\n"
        (work / "participant/steps").mkdir(parents=True)
        assert run("-w", str(work), "--clean-workdir") == 75
        assert "another run uses" in run.text
        assert (work / "participant/steps").exists()
        assert run("-w", str(work)) == 0
        other.communicate("\n")
    assert run("-w", str(work), "--clean-workdir") == 0
    assert not (work / "participant/steps").exists()


EMPTIER = """
import fcntl, sys
mark = open(sys.argv[1], "r+")
fcntl.lockf(mark, fcntl.LOCK_EX)
print("emptying", flush=True)
sys.stdin.readline()
"""


def test_a_run_waits_until_another_has_emptied_the_work_directory(run, calls, tmp_path):
    work = tmp_path / "work"
    assert run("-w", str(work)) == 0
    command = [sys.executable, "-c", EMPTIER, str(work / ".bids-harmonize-work")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "emptying\n"
        timer = threading.Timer(1.0, other.communicate, ["\n"])
        started = time.monotonic()
        timer.start()
        assert run("-w", str(work)) == 0
        assert time.monotonic() - started > 0.9
        timer.join()


def test_without_locks_no_work_directory_is_emptied(run, calls, tmp_path, monkeypatch):
    work = tmp_path / "work"
    assert run("-w", str(work)) == 0

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    (work / "participant/steps").mkdir(parents=True)
    assert run("-w", str(work), "--clean-workdir") == 2
    assert "without locks (No locks available)" in run.text
    assert (work / "participant/steps").exists()


def test_the_work_directory_is_the_one_that_was_named(run, calls, tmp_path):
    assert run("--work-dir", str(tmp_path / "scratch")) == 0, run.text
    assert (tmp_path / "scratch" / MARKER).is_file()
    assert not (tmp_path / "out" / ".work").exists()
    assert run("--no-resume") == 0
    assert (tmp_path / "out" / ".work" / MARKER).is_file()
