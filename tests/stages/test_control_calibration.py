"""Controls are calibrated like the network, or their calibration is n/a."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stages.classification.control_calibration import calibrated_by_other_folds
from bids_harmonize.stages.classification.controls import Controls
from bids_harmonize.stages.classification.results import accuracy_rows
from bids_harmonize.stages.classification.tables import accuracy_row


def too_sure(n_per_fold=60):
    """Two folds; right for 80 % of the people, and 99.9 % sure of every answer."""
    sites = np.tile(["A", "B"], n_per_fold)
    is_wrong = np.arange(sites.size) % 5 == 0
    named = np.where(is_wrong, np.where(sites == "A", "B", "A"), sites)
    return pd.DataFrame(
        {
            "participant_id": [f"sub-{number}" for number in range(sites.size)],
            "site": sites,
            "fold": np.repeat(["1", "2"], n_per_fold),
            "p_A": np.where(named == "A", 0.999, 0.001),
            "p_B": np.where(named == "B", 0.999, 0.001),
        }
    )


def row_of(predictions):
    return accuracy_row(predictions, model="headmask", split="validation", effort="full")


def test_a_control_that_is_too_sure_is_brought_to_its_accuracy():
    before = too_sure()
    after = calibrated_by_other_folds(before)
    assert row_of(before)["calibration_error"] == pytest.approx(0.199)
    assert row_of(after)["calibration_error"] < 0.02
    assert row_of(after)["brier"] < row_of(before)["brier"] - 0.05
    assert row_of(after)["accuracy"] == row_of(before)["accuracy"]
    assert np.allclose(after[["p_A", "p_B"]].sum(axis=1), 1)


def test_a_fold_has_no_say_in_its_own_temperature():
    before = too_sure()
    changed = before.copy()
    own = changed["fold"] == "1"
    changed.loc[own, "site"] = "A"
    first, second = calibrated_by_other_folds(before), calibrated_by_other_folds(changed)
    assert first.loc[own, ["p_A", "p_B"]].equals(second.loc[own, ["p_A", "p_B"]])
    assert not first.loc[~own, "p_A"].equals(second.loc[~own, "p_A"])


def test_a_probability_of_0_does_no_harm():
    sure = too_sure().assign(p_A=lambda t: t["p_A"].round(), p_B=lambda t: t["p_B"].round())
    assert np.isfinite(calibrated_by_other_folds(sure)[["p_A", "p_B"]]).all().all()


def test_one_fold_alone_gives_no_calibration_and_the_row_says_so():
    controls = Controls()
    one = too_sure().query("fold == '1'")
    controls.add("headmask", one, "quick")
    controls.add("histogram", too_sure(), "full")
    assert controls.uncalibrated == {"headmask"}
    rows = accuracy_rows(too_sure(), too_sure(), controls, seed=0)
    found = {row["model"]: row for row in rows[1:]}
    assert np.isnan([found["headmask"][name] for name in ("calibration_error", "brier")]).all()
    assert found["headmask"]["accuracy"] == pytest.approx(row_of(one)["accuracy"])
    assert found["histogram"]["calibration_error"] < 0.07
