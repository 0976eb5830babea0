import errno
import fcntl
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from bids_harmonize.bids.dataset import (
    check_output_dir,
    link_to,
    output_in_use,
    prepare_output,
    write_descriptions,
)
from bids_harmonize.bids.people import write_participants
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import OutputError, UnusableDataError, UsageError
from tests.bids.trees import write_raw

PEOPLE = "participant_id\tsite\tage\nsub-01\tA\t20\nsub-02\tB\tn/a\nsub-03\tB\t40\n"


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw", ["sub-01", "sub-02"], participants=PEOPLE)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out/sub-01").mkdir(parents=True)
    return tmp_path / "out"


def test_description_says_what_made_it_from_what(raw, out):
    prepare_output(out, raw, container={"Type": "docker", "Tag": "x:1"})
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "bids-harmonize"
    assert description["GeneratedBy"][0]["Container"] == {"Type": "docker", "Tag": "x:1"}
    assert description["DatasetLinks"] == {"raw": "../raw"}
    assert description["SourceDatasets"] == [{"URL": raw.as_uri()}]


def test_no_ignored_pattern_ends_in_a_slash(raw, out):
    prepare_output(out, raw)
    lines = (out / ".bidsignore").read_text().splitlines()
    assert "*_xfm.*" in lines
    assert [line for line in lines if line.endswith("/")] == []


def test_nothing_is_written_twice(raw, out):
    prepare_output(out, raw)
    before = {path: path.stat().st_ino for path in out.rglob("*") if path.is_file()}
    prepare_output(out, raw)
    assert {path: path.stat().st_ino for path in out.rglob("*") if path.is_file()} == before


def test_participants_are_those_of_the_derivative(raw, out):
    prepare_output(out, raw)
    assert (out / "participants.tsv").read_text() == "participant_id\tsite\tage\nsub-01\tA\t20\n"
    (out / "sub-02").mkdir()
    (out / "sub-99").mkdir()
    write_participants(out, raw)
    frame = read_tsv(out / "participants.tsv")
    assert frame["participant_id"].tolist() == ["sub-01", "sub-02", "sub-99"]
    assert frame["site"].fillna("none").tolist() == ["A", "B", "none"]


def test_people_of_an_earlier_dataset_keep_their_rows(raw, out, tmp_path):
    prepare_output(out, raw)
    other = write_raw(
        tmp_path / "other", ["sub-50"], participants="participant_id\tsex\nsub-50\tF\n"
    )
    (out / "sub-50").mkdir()
    write_participants(out, other)
    frame = read_tsv(out / "participants.tsv").set_index("participant_id")
    assert frame.loc["sub-01", "site"] == "A"
    assert frame.loc["sub-50", "sex"] == "F"


def test_a_dataset_without_participants_table_gets_one(out, tmp_path):
    prepare_output(out, write_raw(tmp_path / "bare", ["sub-01"]))
    assert (out / "participants.tsv").read_text() == "participant_id\nsub-01\n"


def test_rows_that_stand_twice_must_agree(raw, out):
    (raw / "participants.tsv").write_text(PEOPLE + "sub-01\tA\t20\n")
    write_participants(out, raw)
    (raw / "participants.tsv").write_text(PEOPLE + "01\tA\t21\n")
    with pytest.raises(UnusableDataError, match="disagree about sub-01"):
        write_participants(out, raw)


def test_every_reference_site_with_a_model_is_described(out):
    (out / "models/cyclegan_to-SiteB").mkdir(parents=True)
    write_descriptions(out)
    frame = read_tsv(out / "descriptions.tsv").set_index("desc_id")
    assert "SiteB" in frame.loc["desc-harmonizedSiteB", "description"]
    assert "desc-preproc" in frame.index


def test_many_writers_at_once_leave_whole_files(raw, out):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: prepare_output(out, raw), range(8)))
    assert json.loads((out / "dataset_description.json").read_text())["BIDSVersion"]
    assert [path.name for path in out.iterdir() if path.name.startswith(".tmp")] == []


def test_an_output_that_would_harm_the_input_is_refused(raw, tmp_path):
    with pytest.raises(UsageError, match="equal to bids_dir"):
        check_output_dir(raw, raw)
    with pytest.raises(UsageError, match="above bids_dir"):
        check_output_dir(raw, tmp_path)
    with pytest.raises(UsageError, match="is a raw dataset"):
        check_output_dir(None, raw)
    check_output_dir(raw, raw / "derivatives" / "bids-harmonize")


def test_an_output_that_cannot_be_made_is_an_output_error(raw, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        check_output_dir(raw, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("target", "start", "link"),
    [
        ("/data/bids", "/data/bids/derivatives/x", "../.."),
        ("/data/bids", "/data/out", "../bids"),
        ("/data/bids", "/scratch/out", "file:///data/bids"),
    ],
)
def test_links_are_relative_where_a_folder_is_shared(target, start, link, tmp_path):
    path = type(tmp_path)
    assert link_to(path(target), path(start)) == link


@pytest.mark.parametrize(("locks", "left"), [(True, [".tmp-0123456789ab-a"]), (False, None)])
def test_only_old_leftovers_go_and_none_without_locks(locks, left, out, monkeypatch):
    fresh, old = (out / f".tmp-{'0123456789ab'}-{name}" for name in "ab")
    fresh.touch()
    old.touch()
    os.utime(old, (0, 0))

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    if not locks:
        monkeypatch.setattr(fcntl, "lockf", refuse)
    with output_in_use(out) as claims:
        assert claims.works is locks
    found = sorted(path.name for path in out.glob(".tmp-*"))
    assert found == (left or [fresh.name, old.name])
