"""Which nodes a scan goes through, and what a change of settings changes."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bids_harmonize.bids.index import GivenMask, Scan
from bids_harmonize.preprocessing.derivatives import ScanJob
from bids_harmonize.preprocessing.jobs import make_job, output_hash
from bids_harmonize.preprocessing.workflow import init_scan_wf
from tests.preprocessing.conftest import make_run_settings

ALWAYS = {"conform", "measure", "save"}


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    path = tmp_path / "bids/sub-01/anat/sub-01_T1w.nii.gz"
    path.parent.mkdir(parents=True)
    path.touch()
    return Scan(path, "sub-01", None, {"sub": "01"})


def _job(scan: Scan, **preprocessing: Any) -> ScanJob:
    settings = make_run_settings(preprocessing=preprocessing)
    return make_job(scan, scan.path.parents[3] / "out", settings, run_id="run")


@pytest.mark.parametrize(
    ("preprocessing", "extra"),
    [
        ({"brain_mask": "none"}, set()),
        ({"brain_mask": "none", "bias_correction": "n4"}, {"correct_bias"}),
        ({"brain_mask": "template", "tissue": False}, {"mask_brain"}),
        ({"brain_mask": "bet"}, {"mask_brain", "find_tissue"}),
    ],
)
def test_what_is_not_wanted_is_no_node(
    scan: Scan, preprocessing: dict[str, Any], extra: set[str]
) -> None:
    workflow = init_scan_wf(_job(scan, **preprocessing), failure_file=Path("failure.json"))
    assert set(workflow.list_node_names()) == ALWAYS | extra


def test_measures_tissue_and_files_are_of_the_corrected_scan(scan: Scan) -> None:
    job = _job(scan, brain_mask="template", bias_correction="n4")
    graph = init_scan_wf(job, failure_file=Path("failure.json"))._graph
    fed = {(a.name, b.name) for a, b in graph.edges()}
    assert {("correct_bias", name) for name in ("measure", "find_tissue", "save")} <= fed
    assert ("correct_bias", "mask_brain") not in fed  # it works on the raw image


def test_a_given_mask_is_reason_enough_for_a_brain_and_tissue(scan: Scan, tmp_path: Path) -> None:
    path = tmp_path / "prep/sub-01/anat/sub-01_desc-brain_mask.nii.gz"
    path.parent.mkdir(parents=True)
    path.touch()
    given = dataclasses.replace(scan, given_mask=GivenMask(path, "prep", tmp_path / "prep"))
    job = _job(given, brain_mask="none")
    assert (job.masks_brain, job.finds_tissue) == (True, True)
    workflow = init_scan_wf(job, failure_file=Path("failure.json"))
    assert workflow.get_node("mask_brain").inputs.given_file == str(path)
    assert ScanJob(**job.plain()) == job


def test_the_hash_changes_with_what_shapes_the_output_and_with_nothing_else() -> None:
    plain = output_hash(make_run_settings(preprocessing={"brain_mask": "template"}))
    same = make_run_settings(
        preprocessing={"brain_mask": "template"},
        resources={"nprocs": 7},
        run={"random_seed": 5},
        selection={"derivatives": {"prep": "/data/prep"}, "participant_label": ["01"]},
    )
    assert output_hash(same) == plain
    for change in ({"tissue": False}, {"bias_correction": "n4"}, {"resolution_mm": 3.0}):
        changed = make_run_settings(preprocessing={"brain_mask": "template", **change})
        assert output_hash(changed) != plain
    without = [
        output_hash(make_run_settings(preprocessing={"brain_mask": "none", "tissue": tissue}))
        for tissue in (True, False)
    ]
    assert without[0] == without[1]  # no brain mask, no tissue
