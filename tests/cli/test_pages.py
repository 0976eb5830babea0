"""Pages of participants: which are drawn, by whom, and what a page that fails costs."""

import os
import subprocess
import sys
from multiprocessing import get_context

import pytest

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.files import write_text
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import crash_file, participant_page, scan_output
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.bids.study_measures import read_study_measures
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.pages import draw_page, needs_page, write_pages
from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import OutputError
from tests.bids.trees import two_sites, write_derivative

FORK = get_context("fork")
PEOPLE = dict.fromkeys(two_sites(3), ())


@pytest.mark.parametrize("n_procs", [1, 2])
def test_a_page_that_fails_loses_nothing_but_itself(tmp_path, n_procs):
    write_derivative(tmp_path, {})  # no sidecars at all: a page without a scan can be drawn
    (tmp_path / "sub-a2/anat").mkdir(parents=True)
    image = scan_output(tmp_path, "sub-a2", "preproc")
    image.write_bytes(b"no image")
    sidecar_path(image).write_text("{}")
    tally = Tally()
    with Claims(tmp_path) as claims:
        write_pages(tmp_path, PEOPLE, ResourceSettings(nprocs=n_procs), claims=claims, tally=tally)
        assert claims.take("sub-a1.html")
    assert tally.failures == ["page of sub-a2 failed"]
    assert tally.done == [f"5 participant pages written to {tmp_path}"]
    assert sorted(path.stem for path in tmp_path.glob("*.html")) == sorted(
        set(PEOPLE) - {"sub-a2"}
    )


HOLDER = """
import sys
from pathlib import Path
from bids_harmonize.bids.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take("sub-a2.html"), flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("n_procs", [1, 2])
def test_a_page_that_another_run_holds_is_left_to_it(tmp_path, monkeypatch, n_procs):
    monkeypatch.setattr("bids_harmonize.bids.claims.WAIT_S", 0.1)
    if n_procs > 1:  # processes of their own do not see the short wait
        monkeypatch.setattr("bids_harmonize.cli.pages.get_context", lambda _: FORK)
    write_derivative(tmp_path, {})
    tally = Tally()
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "True\n"
        with Claims(tmp_path) as claims:
            resources = ResourceSettings(nprocs=n_procs)
            write_pages(tmp_path, PEOPLE, resources, claims=claims, tally=tally)
        other.communicate("\n")
    assert (tally.failures, tally.busy, tally.exit_code) == ([], ["sub-a2.html"], 75)
    assert tally.done == [f"5 participant pages written to {tmp_path}"]


def test_an_output_that_cannot_be_written_stops_the_drawing(tmp_path):
    participant_page(tmp_path, "sub-a1").mkdir(parents=True)
    with Claims(tmp_path) as claims, pytest.raises(OutputError):
        write_pages(tmp_path, PEOPLE, ResourceSettings(nprocs=1), claims=claims, tally=Tally())


def test_a_page_is_out_of_date_once_its_scans_are_newer(tmp_path):
    write_derivative(tmp_path, {"sub-a1": "A"})
    assert needs_page(tmp_path, "sub-a1")
    page = participant_page(tmp_path, "sub-a1")
    page.write_text("page")
    assert not needs_page(tmp_path, "sub-a1")
    table = tmp_path / "sub-a1/sub-a1_scans.tsv"
    later = page.stat().st_mtime_ns + 1_000_000
    os.utime(table, ns=(later, later))
    assert needs_page(tmp_path, "sub-a1")


def test_a_page_is_out_of_date_once_a_crash_it_tells_of_is_gone(tmp_path):
    write_derivative(tmp_path, {"sub-a1": "A"})
    crash = crash_file(tmp_path, "sub-a1", "run")
    write_text(crash, "sub-a1: odd\n")
    page = participant_page(tmp_path, "sub-a1")
    page.write_text("page")
    assert not needs_page(tmp_path, "sub-a1")
    crash.unlink()
    later = page.stat().st_mtime_ns + 1_000_000  # clocks of file systems tick slowly
    os.utime(crash.parent, ns=(later, later))
    assert needs_page(tmp_path, "sub-a1")


def test_files_that_another_run_takes_away_meanwhile_are_passed_over(tmp_path):
    write_derivative(tmp_path, {"sub-a1": "A"})
    participant_page(tmp_path, "sub-a1").write_text("page")
    gone = tmp_path / "sub-a1/anat/sub-a1_desc-preproc_T1w.json"
    gone.symlink_to("nowhere")
    assert not needs_page(tmp_path, "sub-a1")


def test_half_drawn_pictures_go_when_the_page_is_drawn(tmp_path):
    write_derivative(tmp_path, {"sub-a1": "A"})
    half = [
        tmp_path / f"sub-{person}/figures/.tmp-0123456789ab-sub-{person}_desc-raw_mosaic.png"
        for person in ("a1", "a2")
    ]
    for path in half:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    scan = Scan(tmp_path / "gone.nii.gz", "sub-a1", None, {"sub": "a1"})
    study = read_study_measures(tmp_path, ())
    assert draw_page(tmp_path, "sub-a1", [scan], study) is None
    assert [path.exists() for path in half] == [False, True]
