"""Both levels from the command line: what is run, what is told, what is left out."""

import json
import logging

from bids_harmonize.bids.scans import read_scan_rows, write_scan_rows
from bids_harmonize.config import make_settings, parse_toml
from tests.bids.trees import two_sites, write_derivative
from tests.cli.conftest import PEOPLE
from tests.cli.standins import assert_stopped


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


def test_the_log_of_the_process_is_left_as_it_was(run, calls):
    before = logging.getLogger().handlers[:]
    run()
    assert logging.getLogger().handlers == before
