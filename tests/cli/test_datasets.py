"""Several raw datasets on the command line, and the index on disk."""

import json
import re

import pytest

from bids_harmonize.cli.parser import parse
from bids_harmonize.cli.request import make_request
from bids_harmonize.errors import UsageError
from tests.bids.trees import write_raw


@pytest.fixture
def second(tmp_path):
    return write_raw(
        tmp_path / "second", ["sub-a1", "sub-c1"], participants="participant_id\tsite\nsub-a1\tC\n"
    )


def test_a_label_of_two_datasets_is_65_before_any_work(run, calls, second, tmp_path):
    assert run("--dataset", f"second={second}") == 65
    assert "  sub-a1\traw, second" in run.text
    assert calls.scans == []
    assert not (tmp_path / "out").exists()


def test_prefixed_people_are_processed_beside_the_others(run, calls, second, tmp_path):
    assert run("--dataset", f"second={second}", "--label-prefix") == 0, run.text
    assert {"sub-a1", "sub-seconda1", "sub-secondc1"} < set(calls.scans)
    assert len(calls.scans) == 12
    assert "sites: A (5), B (5), C (1), n/a (1)" in run.text
    links = json.loads((tmp_path / "out/dataset_description.json").read_text())["DatasetLinks"]
    assert links == {"raw": "../raw", "second": "../second"}
    table = (tmp_path / "out/participants.tsv").read_text()
    assert "sub-seconda1\tC\tsecond\tsub-a1" in table


def test_a_dry_run_names_the_file_and_the_label_to_come(run, second):
    words = ("--dataset", f"second={second}", "--label-prefix", "--dry-run")
    assert run(*words, "--participant-label", "seconda1") == 0
    assert f"{second}/sub-a1/anat/sub-a1_T1w.nii.gz\tC\t" in run.printed
    assert "out/sub-seconda1/anat/sub-seconda1_desc-preproc_T1w.nii.gz" in run.printed


def test_output_dir_may_not_be_a_further_dataset(run, second):
    assert run("--dataset", f"second={second}", output_dir=second) == 2
    assert "is equal to bids_dir" in run.text or "is a raw dataset" in run.text


def test_the_work_dir_may_not_hold_a_further_dataset(run, second, tmp_path, calls):
    elsewhere = tmp_path / "deep"
    elsewhere.mkdir()
    second.rename(elsewhere / "second")
    words = ("--dataset", f"second={elsewhere / 'second'}", "--label-prefix")
    assert run(*words, "-w", str(elsewhere)) == 2
    assert "holds --dataset second" in run.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--dataset", "second"), "--dataset second: expected NAME=PATH"),
        (("--dataset", "x=nowhere"), "--dataset x=nowhere: no such folder"),
        (("--dataset", "a-b=."), "'a-b' cannot name a dataset; use letters and digits"),
        (("--dataset", "raw=."), "'raw' cannot name a dataset"),
        (("--dataset", "x=bids"), "--dataset x=bids is the folder of bids_dir"),
        (("--dataset", "x=.", "y=."), "--dataset y=. is the folder of --dataset x"),
        (("--dataset", "x=.", "-d", "x=."), "-d names another dataset x"),
        (("--label-prefix",), "--label-prefix goes with --dataset"),
        (("--same-participants",), "--same-participants goes with --dataset"),
        (("--dataset", "x=.", "--label-prefix", "--same-participants"), "keep one of them"),
        (("--dataset", "x=.", "--label-prefix", "-d", "y=."), "-d goes ill with --label-prefix"),
        (("--bids-database-wipe",), "--bids-database-wipe goes with --bids-database-dir"),
        (("--bids-database-dir", "file"), "--bids-database-dir file: this is no folder"),
    ],
)
def test_contradictions_are_usage_faults(words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bids").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=re.escape(told)):
        make_request(parse(["bids", "out", "participant", *words]))


def test_the_group_level_asks_for_no_dataset():
    words = ["-", "out", "group", "--dataset", "x=nowhere", "--label-prefix"]
    assert make_request(parse(words)).settings.selection.dataset == {"x": "nowhere"}


def test_the_index_is_made_once_for_each_dataset_and_anew_when_wiped(run, calls, second, tmp_path):
    folder = tmp_path / "database"
    words = ("--dataset", f"second={second}", "--label-prefix", "--bids-database-dir", str(folder))
    assert run(*words, "--dry-run") == 0
    assert not folder.exists()
    assert run(*words) == 0, run.text
    made = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert set(made) == {"raw", "second"}
    assert run(*words) == 0
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == made
    assert run(*words, "--bids-database-wipe", "--dry-run") == 0
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == made
    changed = folder / "raw" / "indexed.json"
    changed.write_text(changed.read_text().replace('"Root"', '"Spoiled"'))
    assert run(*words) == 2
    assert run(*words, "--bids-database-wipe") == 0, run.text
    assert json.loads(changed.read_text())["Root"].endswith("raw")


def test_low_mem_goes_ill_with_a_plugin_file(tmp_path):
    (tmp_path / "p.yml").write_text("plugin: Linear\n")
    with pytest.raises(UsageError, match="--low-mem goes ill with --use-plugin"):
        make_request(
            parse(["b", "o", "group", "--low-mem", "--use-plugin", str(tmp_path / "p.yml")])
        )


def test_the_group_level_reads_the_site_from_where_people_come_from(run, calls, tmp_path, raw):
    raw.joinpath("participants.tsv").unlink()
    people = [f"sub-k{number}" for number in range(5)]
    second = write_raw(tmp_path / "second", people)
    assert run("--dataset", f"kyoto={second}", levels=("participant",)) == 0, run.text
    assert run(levels=("group",), bids_dir="-") == 65
    assert "column source_dataset (2 values): --site-key" in run.text
    assert run("--site-key", "source_dataset", levels=("group",), bids_dir="-") == 0, run.text
    study = calls.context.study
    assert {scan.site for scan in study.scans} == {"raw", "kyoto"}
    assert [scan.stem for scan in study.of_site("kyoto")] == people
