"""Stage classify on tables of features: known answers, leaks, and the tables it leaves."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.stages import run_stage
from bids_harmonize.stages.feature_table.models import STRENGTHS, choose_strength, fit_logistic
from bids_harmonize.training.splits import make_folds
from tests.stages.feature_tables import (
    SITES,
    make_feature_context,
    make_feature_settings,
    make_table,
    write_tsv,
)

ACCURACY, PREDICTIONS = "group_siteclassification.tsv", "group_sitepredictions.tsv"
ABIDE = Path(__file__).parents[3] / "shared" / "data" / "tables" / "abide1_freesurfer6.tsv"


def classify(folder, frame, *, arms=None, **group):
    folder.mkdir(exist_ok=True)
    path = write_tsv(folder / "table.tsv", frame)
    settings = make_feature_settings(path, arms=arms, **group)
    return run_stage("classify", make_feature_context(folder, settings))


def read_accuracy(folder) -> pd.DataFrame:
    table = read_tsv(folder / ACCURACY).set_index(["images", "model", "split"])
    texts = ["effort"]
    return table.assign(**{c: table[c].astype(float) for c in table.columns if c not in texts})


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    return folder, classify(folder, make_table(effect=4.0))


def test_a_planted_site_effect_is_named_and_the_controls_are_not(classified):
    table = read_accuracy(classified[0])
    own = table.loc[("raw", "logistic", "validation")]
    assert own["n"] == 36
    assert own["balanced_accuracy"] > 0.9
    assert own["balanced_low"] < own["balanced_accuracy"] <= own["balanced_high"]
    assert own["p_permutation"] < 0.01
    assert own["chance"] == pytest.approx(1 / 3)
    for control in ("shuffled", "covariates"):
        assert table.loc[("raw", control, "validation"), "balanced_accuracy"] < 0.6
    assert table.loc[("raw", "logistic", "train"), "accuracy"] > 0.95


def test_no_effect_stays_at_chance(tmp_path):
    classify(tmp_path, make_table(effect=0.0, n_per_site=40), folds=2)
    own = read_accuracy(tmp_path).loc[("raw", "logistic", "validation")]
    assert 0.2 < own["balanced_accuracy"] < 0.47
    assert own["p_permutation"] > 0.01


def test_every_row_is_predicted_by_a_model_that_has_not_seen_the_person(classified):
    table = read_tsv(classified[0] / PREDICTIONS)
    settings = make_feature_settings(classified[0] / "table.tsv")
    study = make_feature_context(classified[0], settings).studies[0]
    folds = make_folds(study.site_of_participant(), n_folds=5, seed=0)
    fold_of = {p: str(n) for n, fold in enumerate(folds, 1) for p in fold.validation}
    assert list(table["fold"]) == [fold_of[person] for person in table["participant_id"]]
    probabilities = table[[f"p_{site}" for site in SITES]].astype(float).to_numpy()
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert list(table["predicted"]) == [SITES[i] for i in probabilities.argmax(axis=1)]
    assert set(table["images"]) == {"raw"}
    assert table["filename"].isna().all()


def test_other_people_do_not_change_a_prediction_of_their_own_fold(tmp_path):
    """Leak guard: what a held-out row holds must not reach the model of its own fold."""
    frame = make_table(effect=1.0)
    path = write_tsv(tmp_path / "table.tsv", frame)
    settings = make_feature_settings(path, folds=2)
    context = make_feature_context(tmp_path, settings)
    study = context.studies[0]
    run_stage("classify", context)
    before = read_tsv(tmp_path / PREDICTIONS)
    held_out = make_folds(study.site_of_participant(), n_folds=2, seed=0)[0].validation
    one, *others = sorted(held_out)
    features = study.features.copy()
    features[study.rows["participant_id"].isin(others)] *= 100
    run_stage("classify", replace(context, studies=(replace(study, features=features),)))
    after = read_tsv(tmp_path / PREDICTIONS)
    person = before["participant_id"] == one
    assert before[person].equals(after[person])
    assert not before.equals(after)


def test_every_table_describes_its_columns_and_names_the_source(classified):
    result = classified[1]
    names = {path.name for path in result.files}
    assert names == {ACCURACY, PREDICTIONS, "group_siterecall.tsv", "group_sitecalibration.tsv"}
    for path in result.files:
        described = json.loads(path.with_suffix(".json").read_text())
        assert set(described) == set(read_tsv(path).columns)
        assert described["images"]["Levels"]["raw"].startswith("feature table table.tsv, sha256 ")
        assert all(row["Description"] for row in described.values())


def test_two_arms_stand_side_by_side_and_a_new_run_replaces_its_own_alone(tmp_path):
    raw = write_tsv(tmp_path / "raw.tsv", make_table(effect=4.0))
    clean = write_tsv(tmp_path / "clean.tsv", make_table(effect=0.0))
    both = {"raw": str(raw), "harmonized": str(clean)}
    settings = make_feature_settings(raw, arms=both, folds=2)
    result = run_stage("classify", make_feature_context(tmp_path, settings))
    assert result.warnings == ()
    first = read_accuracy(tmp_path)["balanced_accuracy"]
    assert first["raw", "logistic", "validation"] > 0.9
    assert first["harmonized", "logistic", "validation"] < 0.6
    assert len(read_tsv(tmp_path / PREDICTIONS)) == 72
    again = make_feature_settings(raw, arms={"raw": str(clean)}, folds=2)
    run_stage("classify", make_feature_context(tmp_path, again))
    second = read_accuracy(tmp_path)["balanced_accuracy"]
    assert second["harmonized", "logistic", "validation"] == pytest.approx(
        first["harmonized", "logistic", "validation"]
    )
    assert second["raw", "logistic", "validation"] < 0.6
    assert len(read_tsv(tmp_path / PREDICTIONS)) == 72


def test_arms_with_other_people_are_warned_about(tmp_path):
    raw = write_tsv(tmp_path / "raw.tsv", make_table())
    fewer = write_tsv(tmp_path / "fewer.tsv", make_table(n_per_site=10))
    arms = {"raw": str(raw), "harmonized": str(fewer)}
    settings = make_feature_settings(raw, arms=arms, folds=2)
    result = run_stage("classify", make_feature_context(tmp_path, settings))
    assert "raw.tsv and fewer.tsv do not hold the same participants" in result.warnings[0]


def test_travelling_people_are_asked_about_and_never_counted(tmp_path):
    frame = make_table(effect=4.0).assign(session_id="1")
    again = frame.iloc[[0]].assign(session_id="2", site="Leeds", f0_thickness=9.0)
    classify(tmp_path, pd.concat([frame, again]), folds=2)
    assert read_accuracy(tmp_path).loc[("raw", "logistic", "validation"), "n"] == 35
    table = read_tsv(tmp_path / PREDICTIONS)
    travels = table["participant_id"] == "sub-Kyoto0"
    assert table.loc[travels, "fold"].isna().all()
    assert list(table.loc[travels, "session_id"]) == ["ses-1", "ses-2"]
    assert table.loc[~travels, "fold"].notna().all()


def test_quick_shuffles_one_fold_and_says_so(tmp_path):
    classify(tmp_path, make_table(), effort="quick", folds=3)
    shuffled = read_accuracy(tmp_path).loc[("raw", "shuffled", "validation")]
    assert (shuffled["effort"], shuffled["n"]) == ("quick", 12)


def test_noise_is_shrunk_and_a_tiny_study_chooses_nothing():
    rng = np.random.default_rng(0)
    labels = [site for site in "AB" for _ in range(12)]
    people = [f"sub-{number}" for number in range(24)]
    noise = rng.normal(size=(24, 60))
    assert choose_strength(noise, labels, people, seed=0) == min(STRENGTHS)
    clear = np.array([[site == "A"] for site in labels], dtype=float)
    assert choose_strength(clear, labels, people, seed=0) == max(STRENGTHS)
    assert choose_strength(noise[[0, 12]], ["A", "B"], ["sub-1", "sub-2"], seed=0) == 1.0


def test_a_missing_value_takes_the_median_of_the_training_rows():
    features = np.array([[0.0], [0.0], [0.0], [4.0], [4.0], [4.0]])
    model = fit_logistic(features, list("AAABBB"), list("abcdef"), seed=0)
    middle = model.predict_proba([[np.nan]])
    assert np.allclose(middle, model.predict_proba([[2.0]]))


@pytest.mark.slow
@pytest.mark.skipif(not ABIDE.is_file(), reason="the shared tables are not here")
def test_the_site_of_real_thickness_tables_is_told_far_above_chance(tmp_path):
    settings = make_feature_settings(ABIDE)
    run_stage("classify", make_feature_context(tmp_path, settings))
    table = read_accuracy(tmp_path)
    own = table.loc[("raw", "logistic", "validation")]
    assert own["n"] == 1035
    assert own["chance"] == 0.05
    assert 0.70 < own["balanced_accuracy"] < 0.82
    shuffled = table.loc[("raw", "shuffled", "validation")]
    assert shuffled["balanced_low"] < 0.05 < shuffled["balanced_high"]
    assert table.loc[("raw", "covariates", "validation"), "balanced_accuracy"] < 0.25
