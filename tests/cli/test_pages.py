"""Pages of participants: which are drawn, by whom, and what a page that fails costs."""

import os

import pytest

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.names import participant_page, scan_output
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.pages import needs_page, write_pages
from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import OutputError
from tests.bids.trees import two_sites, write_derivative

PEOPLE = dict.fromkeys(two_sites(3), ())


@pytest.mark.parametrize("n_procs", [1, 2])
def test_a_page_that_fails_loses_nothing_but_itself(tmp_path, n_procs):
    write_derivative(tmp_path, {})  # no sidecars at all: a page without a scan can be drawn
    (tmp_path / "sub-a2/anat").mkdir(parents=True)
    scan_output(tmp_path, "sub-a2", "preproc").write_bytes(b"no image")
    tally = Tally()
    with Claims(tmp_path) as claims:
        write_pages(tmp_path, PEOPLE, ResourceSettings(nprocs=n_procs), claims=claims, tally=tally)
        assert claims.take("sub-a1.html")
    assert tally.failures == ["page of sub-a2 failed"]
    assert tally.done == [f"5 participant pages written to {tmp_path}"]
    assert sorted(path.stem for path in tmp_path.glob("*.html")) == sorted(
        set(PEOPLE) - {"sub-a2"}
    )


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
