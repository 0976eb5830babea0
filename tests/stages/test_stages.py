import subprocess
import sys
from types import SimpleNamespace

import pytest

from bids_harmonize.errors import UsageError
from bids_harmonize.stages import STAGES, can_run, run_stage


def _study(trained_sites, reference_site):
    return SimpleNamespace(
        trained_sites=trained_sites, reference_site=reference_site, outside_reference=False
    )


def test_stages_come_in_the_order_in_which_they_need_each_other():
    assert list(STAGES) == ["classify", "harmonize", "evaluate"]


def test_a_study_with_two_trained_sites_can_run_every_stage():
    study = _study(("A", "B"), "A")
    assert [can_run(name, study) for name in STAGES] == [None, None, None]


def test_one_trained_site_is_named_as_the_reason():
    assert "has 1" in can_run("classify", _study(("A",), "A"))


def test_a_reference_site_that_is_not_trained_stops_harmonize_but_not_classify():
    study = _study(("A", "B"), "C")
    assert can_run("classify", study) is None
    assert "reference site C" in can_run("harmonize", study)


def test_an_unknown_stage_names_those_that_exist():
    with pytest.raises(UsageError, match="Available: classify, harmonize, evaluate"):
        run_stage("polish", None)


def test_listing_the_stages_loads_neither_torch_nor_pandas():
    code = (
        "import sys, bids_harmonize.stages; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'nibabel')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
