import errno
import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time

import pytest

from bids_harmonize.bids.lock import group_lock
from bids_harmonize.bids.scans import read_scan_rows, write_scan_rows
from bids_harmonize.cli.main import main
from bids_harmonize.cli.outcome import EXIT_WORDS
from bids_harmonize.config import make_settings, parse_toml
from bids_harmonize.errors import BusyError, LeakError, ScanError, StorageError
from tests.bids.trees import two_sites, write_derivative, write_raw
from tests.cli.standins import install

PEOPLE = "participant_id\tsite\n" + "".join(
    f"{stem}\t{site}\n" for stem, site in two_sites().items()
)


@pytest.fixture
def calls(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw", two_sites(), participants=PEOPLE)


@pytest.fixture
def run(tmp_path, raw, capsys):
    def run(*words, levels=("participant",), bids_dir=raw, output_dir=tmp_path / "out"):
        code = main([str(bids_dir), str(output_dir), *levels, "--nprocs", "1", *words])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        run.last = written.err.strip().splitlines()[-1]
        return code

    return run


@pytest.fixture
def out(tmp_path):
    return write_derivative(tmp_path / "out", two_sites())


def assert_stopped(run, code):
    assert run.last.endswith(f"bids-harmonize stopped: {EXIT_WORDS[code]} (exit code {code})")
    assert "finished successfully" not in run.text


def test_both_levels_end_in_zero_and_one_summary_line(run, calls, tmp_path):
    assert run("--random-seed", "3", levels=("participant", "group")) == 0
    assert "bids-harmonize finished successfully: 10 scans processed, 0 unchanged" in run.last
    assert run.last.endswith("(exit code 0)")
    assert calls.scans == sorted(two_sites())
    assert calls.stages == ["classify", "harmonize", "evaluate"]
    assert calls.pages == [*sorted(two_sites()), "group"]
    assert calls.context.study.trained_sites == ("A", "B")
    log = next((tmp_path / "out/logs").glob("*.log"))
    assert log.read_text().strip().splitlines()[-1].endswith(run.last[30:])
    assert "10 scans of 10 participants; sites: A (5), B (5)" in log.read_text()
    toml = log.with_suffix(".toml").read_text()
    assert make_settings(parse_toml(toml, source="x"), source="x").run.random_seed == 3
    for name in ("dataset_description.json", "participants.tsv", "group_quality.tsv"):
        assert (tmp_path / "out" / name).is_file()


def test_one_failed_scan_gives_one_and_the_others_are_done(run, calls):
    calls.failing = frozenset({"sub-a1"})
    assert run("--min-per-site", "3", levels=("participant", "group")) == 1
    assert "finished with 1 failure(s): sub-a1 failed; 9 scans processed" in run.last
    assert run.last.endswith("(exit code 1)")
    assert calls.stages == ["classify", "harmonize", "evaluate"]


def test_stop_on_first_crash_does_not_go_on_to_the_group(run, calls):
    calls.failing = frozenset({"sub-a1"})
    assert run("--stop-on-first-crash", levels=("participant", "group")) == 1
    assert calls.stages == []


def test_a_failure_of_a_stage_gives_one(run, calls, out):
    calls.stage_failures = ("leak suspected",)
    assert run("--stages", "evaluate", levels=("group",)) == 1
    assert "evaluate: leak suspected" in run.last
    assert "evaluate: careful" in run.text


def test_the_group_level_needs_no_raw_data(run, calls, out):
    assert run(levels=("group",), bids_dir="-") == 0
    assert calls.scans == []
    assert calls.pages == ["group"]


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


def test_an_unknown_site_is_a_warning_for_participants_and_65_for_the_group(run, calls, raw):
    (raw / "participants.tsv").write_text("participant_id\nsub-a1\n")
    assert run() == 0
    assert "the site of 10 scans is unknown" in run.text
    assert run(levels=("group",)) == 65
    assert "sub-a1\tn/a" in run.text
    assert_stopped(run, 65)


def test_the_site_map_helps_the_group_level(run, calls, raw, tmp_path):
    (raw / "participants.tsv").write_text("participant_id\nsub-a1\n")
    path = tmp_path / "map.tsv"
    path.write_text(PEOPLE)
    assert run() == 0
    assert run("--site-map", str(path), levels=("group",)) == 0
    assert calls.page_site_map  # the page must see the same sites as the stages


def test_scans_of_other_settings_are_named_by_the_group_level(run, calls, out):
    write_derivative(out, two_sites())
    assert run(levels=("group",)) == 0
    assert "other settings" not in run.text
    rows = {
        row.stem: {
            "site": row.cells["site"],
            "settings_hash": "b" if row.stem == "sub-a1" else "a",
        }
        for row in read_scan_rows(out)
    }
    write_scan_rows(out, rows, measures={})
    assert run(levels=("group",)) == 0
    assert "1 scan(s) were processed with other settings" in run.text
    assert run.text.split("one set for all: ")[1].startswith("sub-a1\n")


def test_a_stage_that_cannot_run_is_skipped_by_default_and_65_by_name(
    run, calls, out, monkeypatch
):
    def can_run(name, study):
        return "there is no wind" if name == "evaluate" else None

    monkeypatch.setattr("bids_harmonize.cli.group.can_run", can_run)
    assert run(levels=("group",)) == 0
    assert "stage evaluate cannot run: there is no wind" in run.text
    assert calls.stages == ["classify", "harmonize"]
    assert run("--stages", "evaluate", levels=("group",)) == 65
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


def test_a_dry_run_prints_scans_sites_and_outputs_and_writes_nothing(run, calls, tmp_path):
    assert run("--dry-run", "--participant-label", "a1") == 0
    lines = run.printed.splitlines()
    assert lines[1].endswith("sub-a1_T1w.nii.gz\tA\tparticipants.tsv:site\ttemplate")
    assert str(tmp_path / "out/sub-a1/anat/sub-a1_desc-preproc_T1w.nii.gz") in lines
    assert not (tmp_path / "out").exists()
    assert calls.scans == []
    run("--dry-run", "--brain-mask", "none", "--participant-label", "a1")
    assert "desc-brain" not in run.printed


def test_a_dry_run_of_the_group_prints_roles_and_tables(run, calls, out):
    before = sorted(out.rglob("*"))
    assert run("--dry-run", levels=("group",)) == 0
    assert "\tA\tparticipants.tsv:site\ttraining" in run.printed
    assert "reference site: A" in run.printed
    assert "sub-b1_desc-harmonizedA_T1w.nii.gz" in run.printed
    assert "group_methods.tsv" in run.printed
    assert sorted(out.rglob("*")) == before


def test_pages_alone_are_written_without_raw_data(run, calls, out):
    levels = ("participant", "group")
    assert run("--reports-only", levels=levels, bids_dir="nowhere") == 0
    assert calls.pages == [*sorted(two_sites()), "group"]
    assert (calls.scans, calls.stages) == ([], [])
    assert run("--reports-only", "--participant-label", "zz") == 18


def test_methods_alone_are_written_without_raw_data(run, calls, out):
    words = ("--boilerplate-only", "--bias-correction", "n4")
    assert run(*words, levels=("participant", "group"), bids_dir="nowhere") == 0
    text = (out / "logs/CITATION.md").read_text()
    assert "## Participant level\n\nT1-weighted images" in text
    assert "SimpleITK's N4 [4]." in text
    assert "## Group level\n\nT1-weighted images" in text
    assert (calls.scans, calls.stages, calls.pages) == ([], [], [])
    assert run("--boilerplate-only", levels=("group",), output_dir=out / "empty") == 66


def test_both_levels_say_what_they_did_in_one_file(run, calls, tmp_path):
    assert run("--no-tissue", levels=("participant", "group")) == 0
    text = (tmp_path / "out/logs/CITATION.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Participant level",
        "## Group level",
    ]
    assert "demons" not in text
    assert run() == 0
    again = (tmp_path / "out/logs/CITATION.md").read_text()
    assert "bent onto each brain by diffeomorphic demons" in again
    assert again.partition("## Group level")[2] == text.partition("## Group level")[2]


def test_doubtful_masks_stand_in_the_summary_and_are_no_failure(run, calls):
    calls.doubtful = frozenset({"sub-a1", "sub-b2"})
    assert run() == 0
    assert "2 with doubtful masks: sub-a1 (brain), sub-b2 (brain)" in run.last


def test_given_brain_masks_are_listed_linked_and_missed(run, calls, tmp_path):
    prep = tmp_path / "prep"
    mask = prep / "sub-a1/anat/sub-a1_desc-brain_mask.nii.gz"
    mask.parent.mkdir(parents=True)
    mask.touch()
    words = ("-d", f"prep={prep}")
    assert run(*words) == 16
    assert "no dataset_description.json" in run.text
    description = {"Name": "prep", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    (prep / "dataset_description.json").write_text(json.dumps(description))
    assert run(*words, "--dry-run", "--brain-mask", "none") == 0
    assert f"\t{mask}\n" in run.printed
    assert "sub-a1_label-GM_probseg.nii.gz" in run.printed
    assert "sub-a2_label-GM_probseg.nii.gz" not in run.printed
    assert run(*words) == 0
    assert "9 of 10 scans have no desc-brain_mask in prep, so --brain-mask template" in run.text
    links = json.loads((tmp_path / "out/dataset_description.json").read_text())["DatasetLinks"]
    assert links == {"raw": "../raw", "prep": "../prep"}
    assert run() == 0  # what an earlier run read stays linked
    links = json.loads((tmp_path / "out/dataset_description.json").read_text())["DatasetLinks"]
    assert links == {"raw": "../raw", "prep": "../prep"}


def test_no_brain_mask_means_no_tissue_and_the_log_says_so(run, calls):
    assert run("--brain-mask", "none") == 0
    assert "no brain mask, so no tissue maps" in run.text


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
with work_dir_in_use(SimpleNamespace(**words)):
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
    def refuse(*_):
        raise BusyError("tables are held")

    monkeypatch.setattr("bids_harmonize.cli.participant.write_participants", refuse)
    assert run() == 75
    assert "participants.tsv left to another run" in run.last
    assert "participant pages written" in run.last


def test_the_log_of_the_process_is_left_as_it_was(run, calls):
    before = logging.getLogger().handlers[:]
    run()
    assert logging.getLogger().handlers == before
