"""Rows of the site accuracy, and what a reader is warned of."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages.classification.confounding import confounding_rows, study_warnings
from bids_harmonize.stages.classification.tables import (
    accuracy_row,
    calibration_rows,
    recall_rows,
    write_predictions,
)


def six_people() -> pd.DataFrame:
    """Two sites of three; the third person of B is taken for A. One has two scans."""
    frame = pd.DataFrame(
        {
            "participant_id": ["sub-1", "sub-2", "sub-3", "sub-4", "sub-5", "sub-6", "sub-6"],
            "site": ["A", "A", "A", "B", "B", "B", "B"],
            "fold": ["1", "1", "2", "1", "2", "2", "2"],
            "p_A": [0.9, 0.9, 0.9, 0.1, 0.1, 0.5, 0.7],
        }
    )
    return frame.assign(p_B=1 - frame["p_A"])


def test_the_accuracy_row_has_the_numbers_reckoned_by_hand():
    row = accuracy_row(six_people(), model="network", split="validation", effort="full")
    assert (row["n"], row["accuracy"]) == (6, pytest.approx(5 / 6))
    assert row["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    # Wilson: A (.438, 1), B (.208, .939); half the root of the summed squared distances.
    low = 5 / 6 - np.hypot(1 - 0.4385, 2 / 3 - 0.2077) / 2
    assert row["balanced_low"] == pytest.approx(low, abs=1e-3)
    assert row["balanced_high"] == pytest.approx(5 / 6 + (0.9385 - 2 / 3) / 2, abs=1e-3)
    # Five people at .9 and right, one at .6 and wrong.
    assert row["calibration_error"] == pytest.approx((5 * 0.1 + 0.6) / 6)
    assert row["brier"] == pytest.approx((5 * 2 * 0.01 + 2 * 0.36) / 6)
    assert np.isnan(row["p_permutation"])


def test_the_p_value_is_that_of_permutations_within_folds():
    rng = np.random.default_rng(0)
    row = accuracy_row(six_people(), model="network", split="validation", effort="full", rng=rng)
    # Fold 1, AAB answered AAB: one deal of three is all right. Fold 2, ABB answered ABA: the true
    # deal and one more have two right, the third has none. Both are needed to reach 1 and 2/3.
    assert row["p_permutation"] == pytest.approx(1 / 3 * 2 / 3, abs=0.04)


def test_recall_and_calibration_rows_count_participants():
    recalls = pd.DataFrame(recall_rows(six_people(), model="network")).set_index("site")
    assert recalls["n"].tolist() == [3, 3]
    assert recalls["recall"].tolist() == pytest.approx([1, 2 / 3])
    assert recalls.loc["B", "low"] == pytest.approx(0.2077, abs=1e-3)
    bins = calibration_rows(six_people(), model="network")
    assert [row["n"] for row in bins] == [1, 5]
    assert [row["accuracy"] for row in bins] == [0.0, 1.0]
    assert bins[1]["confidence"] == pytest.approx(0.9)


def test_scores_of_unseen_sites_stand_beside_the_probabilities(tmp_path):
    scan = SimpleNamespace(t1w=tmp_path / "sub-1.nii.gz")
    study = SimpleNamespace(output_dir=tmp_path, trained_sites=("A", "B"), scan=lambda key: scan)
    own = six_people().iloc[[0]].assign(key="sub-1")
    for predictions, names in (
        (own, []),
        (own.assign(unseen_score=3.5, unseen_site=True), ["unseen_score", "unseen_site"]),
    ):
        table = read_tsv(write_predictions(study, predictions, {}))
        place = list(table.columns).index("p_B") + 1
        assert list(table.columns)[place:-2] == names
    assert table.loc[0, "unseen_score":"unseen_site"].tolist() == ["3.5", "true"]


def make_study(**columns):
    """Two sites of 20 people each."""
    people = [f"sub-{number:02d}" for number in range(40)]
    scans = [
        SimpleNamespace(participant_id=name, site="A" if place < 20 else "B")
        for place, name in enumerate(people)
    ]
    frame = pd.DataFrame(columns, index=pd.Index(people, name="participant_id"))
    return SimpleNamespace(participants=frame, training_scans=scans, left_out={})


def test_a_site_that_goes_together_with_age_or_group_is_warned_of():
    rng = np.random.default_rng(0)
    study = make_study(
        age=np.r_[rng.normal(25, 4, 20), rng.normal(60, 4, 20)],
        sex=["f", "m"] * 20,
        Diagnosis=["control"] * 18 + ["patient"] * 22,
    )
    rows = {row["variable"]: row for row in confounding_rows(study)}
    assert list(rows) == ["age", "sex", "diagnosis"]
    assert rows["age"]["value"] > 0.8
    assert rows["age"]["statistic"] == "correlation_ratio"
    assert rows["diagnosis"]["value"] > 0.85
    assert rows["sex"]["value"] == 0
    assert [row["warning"] for row in rows.values()] == [True, False, True]
    told = study_warnings(study, [], list(rows.values()))
    assert len(told) == 2
    assert "age (eta squared" in told[0]
    assert "limit 0.06" in told[0]
    assert "diagnosis (Cramer's V" in told[1]


def test_a_balanced_study_and_one_without_columns_are_not_warned_of():
    study = make_study(age=[30.0, 40.0] * 20, group=["control"] * 40)
    rows = confounding_rows(study)
    assert [row["warning"] for row in rows] == [False, False]
    assert np.isnan(rows[1]["value"])
    assert study_warnings(study, [], rows) == ()
    assert confounding_rows(make_study()) == []


def test_shortcuts_over_the_limit_and_sites_left_out_are_named():
    study = make_study()
    study.left_out = {"C": "participants to train on: 3, fewer than 5 (--min-per-site)"}
    numbers = {"metadata": 0.81, "headmask": 0.79, "brainonly": 0.99, "network": 1.0}
    rows = [
        {"model": model, "split": "validation", "balanced_accuracy": value}
        for model, value in numbers.items()
    ]
    told = study_warnings(study, rows, [])
    assert len(told) == 2
    assert "(metadata) names the site of 81%" in told[0]
    assert told[1].startswith("site C takes no part: participants to train on: 3")
