"""Scans that fail, crash or are held by another run, and what becomes of the others."""

import subprocess
import sys
from pathlib import Path

import pytest

from bids_harmonize.bids.images import read_grid
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.scans import scan_row
from bids_harmonize.errors import StorageError
from bids_harmonize.preprocessing.run import run_participants
from tests.preprocessing.conftest import make_run_settings, run_scans, states, write_scan


def test_a_broken_scan_is_told_and_the_others_finish(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    path = scans[0].path
    path.write_bytes(path.read_bytes()[:5000])
    outcomes = run_scans(scans, tmp_path / "out", make_run_settings())
    status, message = outcomes["sub-01_ses-A"]
    assert status == "failed"
    assert "truncated" in str(message)
    assert outcomes["sub-02"] == ("done", None)
    assert not list((tmp_path / "out" / "sub-01").rglob("*sub-01_ses-A_*"))
    (crash,) = (tmp_path / "out").rglob("crash-*.txt")
    assert crash.name == "crash-sub-01_ses-A.txt"
    assert "truncated" in crash.read_text()
    assert "Traceback" in crash.read_text()


@pytest.mark.parametrize("n_procs", [1, 2])
def test_the_first_crash_stops_the_run_where_this_is_wanted(
    scans: tuple[Scan, ...], tmp_path: Path, n_procs: int
) -> None:
    scans[0].path.write_bytes(b"no image")
    settings = make_run_settings(
        run={"stop_on_first_crash": True}, resources={"nprocs": n_procs, "mem_gb": 8}
    )
    outcomes = run_scans(scans, tmp_path / "out", settings)
    assert [status for status, _ in outcomes.values()] == ["failed", "failed"]
    assert "not run" in str(outcomes["sub-02"][1])


def test_a_crash_file_stays_until_its_scan_is_done(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    whole = scans[1].path.read_bytes()
    scans[1].path.write_bytes(whole[:5000])
    output_dir = tmp_path / "out"
    assert states(scans, output_dir, make_run_settings()) == ["done", "failed"]
    assert states(scans, output_dir, make_run_settings()) == ["reused", "failed"]
    assert len(list(output_dir.rglob("crash-sub-02.txt"))) == 2
    scans[1].path.write_bytes(whole)
    assert states(scans, output_dir, make_run_settings()) == ["reused", "done"]
    assert list(output_dir.rglob("crash-*.txt")) == []


def test_an_input_that_breaks_later_fails_and_what_was_made_of_it_stays(
    finished: tuple[tuple[Scan, ...], Path], tmp_path: Path
) -> None:
    _, output_dir = finished
    scans = (write_scan(tmp_path / "bids", "sub-02", seed=3),)
    scans[0].path.write_bytes(scans[0].path.read_bytes()[:5000])
    assert states(scans, output_dir, make_run_settings()) == ["failed"]
    assert (output_dir / "sub-02/anat/sub-02_desc-preproc_T1w.nii.gz").is_file()


def test_what_cannot_be_opened_fails_before_any_node_runs(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    scans[0].path.with_name("sub-01_ses-A_T1w.json").write_text("{no json")
    scans[1].path.unlink()
    scans[1].path.symlink_to(tmp_path / "annex")
    outcomes = run_scans(scans, tmp_path / "out", make_run_settings())
    assert "not readable as JSON" in str(outcomes["sub-01_ses-A"][1])
    assert "broken link" in str(outcomes["sub-02"][1])
    assert not list((tmp_path / "out-work").rglob("conform"))


def test_any_error_of_an_image_that_cannot_be_opened_is_its_own(
    scans: tuple[Scan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(path: Path) -> None:
        if path == scans[0].path:
            raise ArithmeticError("odd")
        return read_grid(path)

    monkeypatch.setattr("bids_harmonize.preprocessing.plans.read_grid", odd)
    outcomes = run_scans(scans, tmp_path / "out", make_run_settings())
    assert "unexpected ArithmeticError: odd" in str(outcomes["sub-01_ses-A"][1])
    assert outcomes["sub-02"] == ("done", None)


HOLDER = """
import sys
from pathlib import Path
from bids_harmonize.bids.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take(sys.argv[2]), flush=True)
sys.stdin.readline()
"""


def test_a_scan_that_another_run_works_on_is_left_to_it(
    scans: tuple[Scan, ...], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out"), "scan sub-02"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        outcomes = run_scans(scans, tmp_path / "out", make_run_settings())
        other.communicate("\n")
    assert outcomes["sub-01_ses-A"] == ("done", None)
    assert outcomes["sub-02"] == ("busy", f"another run is working on it (process {other.pid})")
    assert not (tmp_path / "out/sub-02").exists()
    assert states(scans, tmp_path / "out", make_run_settings()) == ["reused", "done"]


def test_a_table_that_another_run_holds_costs_nothing_but_its_rows(
    finished: tuple[tuple[Scan, ...], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans, output_dir = finished
    (output_dir / "sub-02/sub-02_scans.tsv").unlink()
    (output_dir / "sub-01/ses-A/sub-01_ses-A_scans.tsv").unlink()
    monkeypatch.setattr("bids_harmonize.bids.claims.WAIT_S", 0.1)
    command = [sys.executable, "-c", HOLDER, str(output_dir), "sub-01_ses-A_scans.tsv"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        outcomes = run_participants(
            scans,
            output_dir=output_dir,
            work_dir=output_dir.with_name("out-work"),
            settings=make_run_settings(),
            run_id="busy",
        )
        other.communicate("\n")
    told = [(outcome.status, outcome.busy_table) for outcome in outcomes]
    held = ("reused", "sub-01_ses-A_scans.tsv")
    assert told == [held, held, ("reused", None)]
    assert scan_row(output_dir, "sub-02") is not None
    assert scan_row(output_dir, "sub-01_ses-A_run-1") is None
    assert states(scans, output_dir, make_run_settings()) == ["reused"] * 3
    assert scan_row(output_dir, "sub-01_ses-A_run-1") is not None


def test_an_output_that_cannot_be_written_stops_the_run_and_leaves_nothing(
    scans: tuple[Scan, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        del content
        message = f"{path}: writing failed: No space left on device"
        raise StorageError(message)

    monkeypatch.setattr("bids_harmonize.preprocessing.derivatives.write_json", full)
    with pytest.raises(StorageError, match="No space left"):
        run_scans(scans[1:], tmp_path / "out", make_run_settings())
    assert not list((tmp_path / "out" / "sub-02" / "anat").iterdir())
