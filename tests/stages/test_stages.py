import subprocess
import sys
from types import SimpleNamespace

import pytest

from bids_harmonize.bids.names import scan_output
from bids_harmonize.errors import UsageError
from bids_harmonize.stages import STAGES, can_run, left_out_by_default, run_stage


def _study(trained_sites, reference_site):
    return SimpleNamespace(
        trained_sites=trained_sites, reference_site=reference_site, outside_reference=False,
        scaling_mask="brain", control_group=SimpleNamespace(column="diagnosis"),
    )  # fmt: skip


def test_stages_come_in_the_order_in_which_they_need_each_other():
    assert list(STAGES) == [
        "classify",
        "harmonize",
        "features",
        "evaluate",
        "disorder",
        "subtypes",
    ]


def test_a_study_with_two_trained_sites_can_run_every_stage():
    study = _study(("A", "B"), "A")
    assert [can_run(name, study) for name in STAGES] == [None] * len(STAGES)


def test_a_disorder_needs_to_be_told_who_is_a_control():
    study = _study(("A", "B"), "A")
    study.control_group = None
    assert "--group-column" in can_run("disorder", study)
    assert "--group-column" in can_run("subtypes", study)


def test_one_trained_site_is_named_as_the_reason():
    assert "has 1" in can_run("classify", _study(("A",), "A"))


def test_a_reference_site_that_is_not_trained_stops_harmonize_but_not_classify():
    study = _study(("A", "B"), "C")
    assert can_run("classify", study) is None
    assert "reference site C" in can_run("harmonize", study)


def test_features_need_brain_masks():
    study = _study(("A", "B"), "A")
    study.scaling_mask = "head"
    assert "--brain-mask none" in can_run("features", study)
    assert can_run("evaluate", study) is None


def test_features_wait_to_be_named_where_there_are_no_tissue_maps(tmp_path):
    scan = SimpleNamespace(stem="sub-01_ses-A")
    study = SimpleNamespace(output_dir=tmp_path, scans=(scan,))
    assert "only where --stages names it" in left_out_by_default("features", study)
    assert left_out_by_default("evaluate", study) is None
    path = scan_output(tmp_path, scan, "gm")
    path.parent.mkdir(parents=True)
    path.touch()
    assert left_out_by_default("features", study) is None


def test_an_unknown_stage_names_those_that_exist():
    with pytest.raises(UsageError, match="Available: classify, harmonize, features, evaluate"):
        run_stage("polish", None)


def test_listing_the_stages_loads_neither_torch_nor_pandas():
    code = (
        "import sys, bids_harmonize.stages; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'nibabel')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
