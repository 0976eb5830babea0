"""Rows of the site accuracy, and what a reader is warned of."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages.classification.confounding import confounding_rows, study_warnings
from bids_harmonize.stages.classification.controls import Controls
from bids_harmonize.stages.classification.results import (
    accuracy_rows,
    result_note,
    skipped_notes,
    write_site_tables,
)
from bids_harmonize.stages.classification.tables import (
    accuracy_row,
    calibration_rows,
    recall_rows,
    write_predictions,
)
from tests.stages.people_study import make_study


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


def test_people_change_places_inside_their_fold_alone():
    folds = six_people().assign(fold=["1", "1", "1", "2", "2", "2", "2"])
    rng = np.random.default_rng(0)
    row = accuracy_row(folds, model="network", split="validation", effort="full", rng=rng)
    # Fold 1 holds site A alone and fold 2 site B: no deal changes anything.
    assert row["p_permutation"] == 1


def test_the_plain_interval_counts_people_and_chance_counts_sites():
    row = accuracy_row(six_people(), model="network", split="validation", effort="full")
    # Wilson's interval of 5 in 6, not in 7 scans
    assert row["accuracy_low"] == pytest.approx(0.4365, abs=1e-3)
    assert row["accuracy_high"] == pytest.approx(0.9699, abs=1e-3)
    one_site = accuracy_row(
        six_people().head(3), model="shuffled", split="validation", effort="quick"
    )
    assert (one_site["chance"], one_site["effort"]) == (0.5, "quick")


def worse(frame):
    """The same people, every answer the other way round."""
    return frame.assign(p_A=frame["p_B"], p_B=frame["p_A"])


def test_rows_of_the_network_come_first_and_each_is_made_of_its_own_predictions(tmp_path):
    unseen = six_people()
    seen = unseen.assign(p_A=(unseen["site"] == "A") * 1.0, p_B=(unseen["site"] == "B") * 1.0)
    controls = Controls(
        predictions={"headmask": (worse(unseen), "quick"), "histogram": (seen, "full")},
        skipped={"metadata": "there is none"},
    )
    rows = accuracy_rows(seen, unseen, controls, seed=0)
    assert [(row["model"], row["split"], row["effort"]) for row in rows] == [
        ("network", "train", "full"),
        ("network", "validation", "full"),
        ("headmask", "validation", "quick"),
        ("histogram", "validation", "full"),
    ]
    assert [row["accuracy"] for row in rows] == pytest.approx([1, 5 / 6, 1 / 6, 1])
    assert [np.isnan(row["p_permutation"]) for row in rows] == [True, False, False, False]
    assert rows[2]["p_permutation"] > 0.9
    note = result_note(rows)
    assert note.startswith("the site of 83% of 6 unseen participants was named rightly (44% to")
    assert note.endswith("chance 50%); controls, balanced: headmask 17%, histogram 100%")
    assert skipped_notes(controls.skipped) == ("control metadata was not run: there is none",)
    settings = SimpleNamespace(
        group=SimpleNamespace(effort="full"), run=SimpleNamespace(random_seed=0)
    )
    context = SimpleNamespace(study=SimpleNamespace(output_dir=tmp_path), settings=settings)
    files = write_site_tables(context, rows, unseen, controls)
    tables = {path.stem: read_tsv(path) for path in files}
    recall = tables["group_siterecall"].set_index(["model", "site"])["recall"].astype(float)
    assert recall.to_dict() == pytest.approx({
        ("network", "A"): 1, ("network", "B"): 2 / 3, ("headmask", "A"): 0,
        ("headmask", "B"): 1 / 3, ("histogram", "A"): 1, ("histogram", "B"): 1,
    })  # fmt: skip
    assert tables["group_sitecalibration"]["n"].astype(int).sum() == 6
    assert tables["group_siteclassification"]["model"].tolist() == [row["model"] for row in rows]
    assert tables["group_sitevisibility"].empty


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


def test_predictions_are_sorted_by_file_and_name_the_likeliest_site(tmp_path):
    people = six_people().iloc[[4, 0]].assign(key=["sub-5", "sub-1"], fold=[None, "1"])
    study = SimpleNamespace(
        output_dir=tmp_path,
        trained_sites=("A", "B"),
        scan=lambda key: SimpleNamespace(t1w=tmp_path / f"{key}.nii.gz"),
    )
    table = read_tsv(write_predictions(study, people, {"sub-5": (0.25, 1.5)}))
    assert table["filename"].tolist() == ["sub-1.nii.gz", "sub-5.nii.gz"]
    assert table["predicted"].tolist() == ["A", "B"]
    assert table["fold"].isna().tolist() == [False, True]
    assert table["saliency_in_brain"].isna().tolist() == [True, False]
    assert table.loc[1, ["saliency_in_brain", "saliency_brain_ratio"]].tolist() == ["0.25", "1.5"]


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


@pytest.mark.parametrize(
    ("n_per_site", "sex", "is_large"),
    [
        (4, "ffmmmmmm", True),  # V .47 in eight people: chance
        (200, "f" * 120 + "m" * 80 + "f" * 95 + "m" * 105, False),  # V .13, and p .01
    ],
)
def test_a_warning_needs_an_effect_and_a_small_p(n_per_site, sex, is_large):
    (row,) = confounding_rows(make_study(n_per_site=n_per_site, sex=list(sex)))
    assert (row["value"] >= 0.3) == is_large
    assert (row["p"] > 0.05) == is_large
    assert row["warning"] is False


def test_shortcuts_over_the_limit_and_sites_left_out_are_named():
    study = make_study()
    study.left_out = {"C": "participants to train on: 3, fewer than 5 (--min-per-site)"}
    numbers = {"metadata": 0.81, "histogram": 0.8, "headmask": 0.79, "brainonly": 0.99}
    numbers["network"] = 1.0
    rows = [
        {"model": model, "split": "validation", "balanced_accuracy": value}
        for model, value in numbers.items()
    ]
    rows += [{"model": "histogram", "split": "train", "balanced_accuracy": 1.0}]
    told = study_warnings(study, rows, [])
    assert len(told) == 2
    assert told[0].startswith("voxel size, matrix and the like alone (metadata) names the site of")
    assert "site of 81% (balanced; limit 80%)" in told[0]
    assert told[1].startswith("site C takes no part: participants to train on: 3")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("headmask", "the outline of the head alone"),
        ("headwithoutbrain", "the head without the brain"),
        ("histogram", "the intensity histogram alone"),
        ("covariates", "age and sex alone"),
    ],
)
def test_a_shortcut_is_told_in_words(model, words):
    row = {"model": model, "split": "validation", "balanced_accuracy": 0.9}
    (told,) = study_warnings(make_study(), [row], [])
    assert told.startswith(f"{words} ({model}) names the site of 90%")
