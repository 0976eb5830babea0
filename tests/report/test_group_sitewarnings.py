"""Warnings about the site classifier, as they stand on top of the group page."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bids_harmonize.report.group_inputs import read_group_inputs
from bids_harmonize.report.group_sitewarnings import is_quick, site_findings
from tests.report.site_fixture import change, write_site_tables, write_tsv


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with the tables of the stage alone."""
    write_site_tables(tmp_path, sites=("Oslo", "Lima", "Kyoto"))
    return tmp_path


def titles(output_dir: Path, level: str = "") -> list[str]:
    rows = site_findings(read_group_inputs(output_dir))
    return [row.title for row in rows if level in ("", row.level)]


def test_confounded_site_is_a_caution(tables: Path) -> None:
    inputs = read_group_inputs(tables)
    (row,) = [row for row in site_findings(inputs) if "goes with" in row.title]
    assert (row.level, row.title) == ("caution", "Site goes with age")
    assert row.text.startswith("Age: eta squared 0.41, p < 0.001. ")


def test_several_shortcuts_are_one_caution_and_brain_only_is_none(tables: Path) -> None:
    change(tables, "siteclassification", {"model": "metadata"}, balanced_accuracy=1.0)
    change(tables, "siteclassification", {"model": "headmask"}, balanced_accuracy=0.81)
    assert "2 shortcuts, each enough to name the site" in titles(tables)
    change(tables, "siteclassification", {"model": "metadata"}, balanced_accuracy=0.8)
    change(tables, "siteclassification", {"model": "headmask"}, balanced_accuracy=0.8)
    assert not [title for title in titles(tables) if "enough" in title]


def test_model_far_below_chance_is_a_problem(tables: Path) -> None:
    assert titles(tables, "bad") == []
    cells = {"balanced_accuracy": 0.1, "balanced_low": 0.02, "balanced_high": 0.3}
    change(tables, "siteclassification", {"model": "network"}, **cells, p_permutation=0.993)
    assert titles(tables, "bad") == []
    change(tables, "siteclassification", {"model": "network"}, p_permutation=1.0)
    assert titles(tables, "bad") == ["Far below chance: network, whole head"]


def test_site_under_the_minimum_is_a_caution(tables: Path) -> None:
    assert not [title for title in titles(tables) if "few" in title]
    change(tables, "siterecall", {"site": "Kyoto"}, n=4)
    assert "Too few people at a site" in titles(tables, "caution")


def test_scan_of_no_trained_site_is_a_note_and_a_caution_if_new(tmp_path: Path) -> None:
    row = {"participant_id": "sub-1", "site": "A", "images": "preproc", "predicted": "A"}
    scan = {**row, "filename": "sub-1/anat/sub-1_desc-preproc_T1w.nii.gz"}
    path = tmp_path / "group_sitepredictions.tsv"
    write_tsv(path, [{**scan, "fold": 1, "unseen_site": "true"}])
    assert titles(tmp_path, "note") == ["1 scan looks like no trained site"]
    write_tsv(path, [{**scan, "fold": None, "unseen_site": "true"}])
    assert titles(tmp_path, "caution") == ["1 scan looks like no trained site"]
    (finding,) = site_findings(read_group_inputs(tmp_path))
    assert finding.text.startswith("sub-1. ")
    write_tsv(path, [{**scan, "fold": None, "unseen_site": "false"}])
    assert titles(tmp_path) == []


def test_quick_rows_are_found_without_a_log(tables: Path) -> None:
    assert not is_quick(read_group_inputs(tables))
    change(tables, "siteclassification", {"model": "shuffled"}, effort="quick")
    assert is_quick(read_group_inputs(tables))


def test_a_shuffled_control_off_chance_is_a_problem_if_permutations_agree(tables: Path) -> None:
    where = {"model": "shuffled"}
    cells = {"balanced_accuracy": 0.6, "balanced_low": 0.45, "balanced_high": 0.75}
    change(tables, "siteclassification", where, **cells, p_permutation=0.2)
    assert titles(tables, "bad") == []
    change(tables, "siteclassification", where, p_permutation=0.001)
    assert titles(tables, "bad") == ["The shuffled control is above chance"]
    # Touching chance is no problem, however small the p.
    change(tables, "siteclassification", where, balanced_low=0.3)
    assert titles(tables, "bad") == []


def test_a_value_below_chance_within_its_interval_is_no_problem(tables: Path) -> None:
    cells = {"balanced_accuracy": 0.2, "balanced_low": 0.1, "balanced_high": 0.4}
    change(tables, "siteclassification", {"model": "network"}, **cells, p_permutation=1.0)
    assert titles(tables, "bad") == []


def test_a_site_left_out_of_training_is_a_caution_with_its_reason(tables: Path) -> None:
    inputs = read_group_inputs(tables)
    study = SimpleNamespace(left_out={"Perth": "participants to train on: 1, fewer than 5"})
    (row,) = [r for r in site_findings(replace(inputs, study=study)) if "Left out" in r.title]
    assert (row.level, row.title) == ("caution", "Left out of training: Perth")
    assert row.text == "Participants to train on: 1, fewer than 5."
