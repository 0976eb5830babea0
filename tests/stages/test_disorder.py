"""Stage ``disorder``: planted effects are found, in every arm that can find them."""

import json

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.errors import MissingInputError, UnusableDataError, UsageError
from bids_harmonize.stages import run_stage
from bids_harmonize.stages.case_control.arms import make_arms
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.combat_model import load_combat
from bids_harmonize.stages.case_control.deviations import cross_fitted_combat, deal_folds
from bids_harmonize.stages.case_control.effects import effect_rows
from bids_harmonize.stages.disorder import run as run_on_images
from bids_harmonize.stats.effects import adjusted_effects
from tests.stages.disorder_tables import FEATURES, MOVED, make_cases
from tests.stages.feature_tables import make_feature_context, make_feature_settings, write_tsv

TABLES = (
    *("casecontrol", "meta", "siteeffects", "normative", "deviations"),
    *("classification", "casescores"),
)


def disorder(tmp_path, frame, *, name="table.tsv", harmonized=None, **group):
    """Run the stage on a table; its result and its tables."""
    arms = {"raw": str(write_tsv(tmp_path / name, frame))}
    if harmonized is not None:
        arms["harmonized"] = str(write_tsv(tmp_path / "harmonized.tsv", harmonized))
    settings = make_feature_settings(
        tmp_path / name, arms=arms, **{"group_column": "diagnosis", **group}
    )
    out = tmp_path / "out"
    result = run_stage("disorder", make_feature_context(out, settings))
    tables = {
        path.stem.removeprefix("group_"): pd.read_csv(path, sep="\t", na_values="n/a")
        for path in result.files
        if path.suffix == ".tsv" and path.parent == out
    }
    return result, tables


def cohort_of(tmp_path, frame):
    path = write_tsv(tmp_path / "cohort.tsv", frame)
    settings = make_feature_settings(path, group_column="diagnosis")
    (study,) = make_feature_context(tmp_path / "out", settings).studies
    return make_cohort(study, settings)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """What the stage says of 180 people of three sites, 90 cases, d = -0.8 in three features."""
    folder = tmp_path_factory.mktemp("planted")
    frame, harmonized = make_cases(seed=7), make_cases(seed=7, site_effect=0.0)
    return disorder(folder, frame, harmonized=harmonized)


def of(table, arm, features=FEATURES, **wanted):
    rows = table[(table["arm"] == arm) & table["feature"].isin(features)]
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows.set_index("feature")


@pytest.mark.parametrize("arm", ["covariate", "combat", "harmonized"])
def test_a_planted_effect_is_found_where_it_is(planted, arm):
    _, tables = planted
    found = of(tables["casecontrol"], arm)
    called = set(found.index[found["q"] < 0.05])
    assert called >= set(MOVED)
    assert len(called - set(MOVED)) <= 1  # one of twenty is expected to be false
    assert found.loc[list(MOVED), "d"].mean() == pytest.approx(-0.8, abs=0.15)
    assert ((found["low"] < found["d"]) & (found["d"] < found["high"])).all()
    assert (found["n_cases"].iloc[0], found["n_controls"].iloc[0]) == (90, 90)


def test_without_a_word_of_the_site_the_effect_drowns(planted):
    _, tables = planted
    raw = of(tables["casecontrol"], "raw", MOVED)["d"].abs()
    combat = of(tables["casecontrol"], "combat", MOVED)["d"].abs()
    assert raw.mean() < 0.75 * combat.mean()


def test_the_sites_share_of_the_variance_falls_to_chance_by_combat(planted):
    _, tables = planted
    share = tables["siteeffects"].groupby("arm")["r2_site"].median()
    assert share["raw"] > 0.3
    assert share["covariate"] == pytest.approx(share["raw"])
    assert share["combat"] < 0.05
    assert tables["siteeffects"]["r2_site_chance"].iloc[0] == pytest.approx(2 / 176)


def test_every_site_has_its_own_estimate_beside_the_mean(planted):
    _, tables = planted
    rows = tables["meta"]
    own = rows[(rows["arm"] == "raw") & (rows["feature"] == MOVED[0])].set_index("site")
    assert list(own.index) == ["Kyoto", "Leeds", "Nara", "all"]
    assert own.loc["all", "d"] == pytest.approx(-0.8, abs=0.3)
    assert own.loc["all", "n_sites"] == 3
    assert own.loc[["Kyoto", "Leeds", "Nara"], "n_cases"].tolist() == [30, 30, 30]
    assert own.loc["Kyoto", "d"] != own.loc["Leeds", "d"]


def test_controls_deviate_as_often_as_chance_and_cases_more_where_they_differ(planted):
    _, tables = planted
    rows = tables["normative"]
    own = rows[rows["arm"] == "combat"].set_index(["group", "feature"])
    controls, cases = own.loc["controls"], own.loc["cases"]
    assert controls["share_beyond"].mean() == pytest.approx(0.05, abs=0.02)
    assert controls["sd_deviation"].mean() == pytest.approx(1.0, abs=0.06)
    assert cases.loc[list(MOVED), "mean_deviation"].mean() == pytest.approx(-0.8, abs=0.2)
    assert cases.drop(list(MOVED))["mean_deviation"].mean() == pytest.approx(0.0, abs=0.15)
    moved, others = cases.loc[list(MOVED)], cases.drop(list(MOVED))
    assert moved["share_beyond"].mean() > others["share_beyond"].mean()


def test_cases_of_a_site_left_out_are_told_and_nobody_is_judged_who_calibrated(planted):
    _, tables = planted
    rows = tables["classification"].set_index(["arm", "held_out_site"])
    combat = rows.loc[("combat", "all")]
    # three features of d .8: a perfect score tells pnorm(.8 * sqrt(3 / 2)) = .836
    assert combat["auc"] == pytest.approx(0.8, abs=0.07)
    assert combat["low"] < combat["auc"] < combat["high"]
    assert combat["p_permutation"] < 0.02
    assert combat["n_permutations"] == 199
    assert rows.loc[("combat", "Nara"), "n_permutations"] == 2000
    assert (combat["n_cases"], combat["n_controls"], combat["n_calibration"]) == (90, 45, 45)
    scores = tables["casescores"]
    own = scores[scores["arm"] == "combat"]
    assert own["participant_id"].is_unique
    assert len(own) == 135
    for arm in ("raw", "covariate", "harmonized"):
        assert set(scores[scores["arm"] == arm]["participant_id"]) == set(own["participant_id"])


def test_sites_that_differ_in_their_share_of_cases_raise_the_global_auc_alone(tmp_path):
    frame = make_cases(d=0.0, shares=(0.8, 0.5, 0.2), seed=3)
    _, tables = disorder(tmp_path, frame)
    rows = tables["classification"].set_index(["arm", "held_out_site"])
    for arm in ("covariate", "combat"):
        assert rows.loc[(arm, "all"), "auc"] == pytest.approx(0.5, abs=0.12)
        assert rows.loc[(arm, "all"), "p_permutation"] > 0.01
    found = of(tables["casecontrol"], "combat")
    assert (found["q"] > 0.05).all()


def test_every_column_is_described_and_every_table_written(planted, tmp_path):
    result, tables = planted
    assert set(tables) == set(TABLES)
    for path in result.files:
        if path.parent.name == "combat":
            continue
        described = json.loads(path.with_suffix(".json").read_text())
        header = path.read_text().split("\n", 1)[0].split("\t")
        assert set(header) == set(described)
    arm = json.loads(result.files[0].with_suffix(".json").read_text())["arm"]
    assert "controls are HC of the column diagnosis; adjusted for age, sex_m" in arm["Description"]
    assert "sha256" in arm["Tables"]["raw"]


def test_the_combat_of_the_controls_is_kept_and_gives_the_same_features(planted):
    result, _ = planted
    folder = next(path.parent for path in result.files if path.name == "model.json")
    model = load_combat(folder)
    assert model.features == FEATURES
    assert list(model.covariates) == ["age", "sex_m"]
    trained = pd.read_csv(folder / "training.tsv", sep="\t")
    assert len(trained) == 90
    frame = make_cases(seed=7)
    design = np.column_stack([frame["age"], frame["sex"] == "M"]).astype(float)
    values = model.combat.transform(frame[list(FEATURES)].to_numpy(), list(frame["site"]), design)
    controls = (frame["diagnosis"] == "HC").to_numpy()
    means = pd.DataFrame(values[controls]).groupby(frame["site"][controls].to_numpy()).mean()
    assert np.ptp(means.to_numpy(), axis=0).max() < 0.5 * values.std()


def test_deviations_come_after_a_combat_that_does_not_know_the_fold(tmp_path):
    cohort = cohort_of(tmp_path, make_cases(n_per_site=30, d=0.0))
    other = make_cases(n_per_site=30, d=0.0)
    strange = other["participant_id"] == cohort.people.index[-1]  # a control
    assert (other.loc[strange, "diagnosis"] == "HC").all()
    other.loc[strange, list(FEATURES)] += 40.0
    changed = cohort_of(tmp_path, other)
    arms = [make_arms(one).arms[-1] for one in (cohort, changed)]
    folds = deal_folds(arms[0], n_folds=5, seed=0)
    plain, moved = (cross_fitted_combat(arm, folds).features for arm in arms)
    own = folds == folds[-1]
    own[-1] = False  # the strange one's fold, without the strange one
    np.testing.assert_allclose(moved[own], plain[own], atol=1e-9)
    away = ~own & (cohort.sites == cohort.sites[-1])
    away[-1] = False
    assert np.abs(moved[away] - plain[away]).mean() > 0.1


def test_the_seed_fixes_everything_and_the_order_of_rows_nothing(planted, tmp_path):
    _, tables = planted
    frame, harmonized = make_cases(seed=7), make_cases(seed=7, site_effect=0.0)
    _, again = disorder(tmp_path, frame.sample(frac=1, random_state=1), harmonized=harmonized)
    for name in ("casecontrol", "classification", "normative"):
        pd.testing.assert_frame_equal(again[name], tables[name], rtol=1e-9)


def test_several_sessions_of_a_person_count_once(tmp_path):
    frame = make_cases(n_per_site=20)
    later = frame.head(20).copy()
    later[list(FEATURES)] += 0.1
    twice = pd.concat([frame.assign(session_id="ses-1"), later.assign(session_id="ses-2")])
    _, tables = disorder(tmp_path, twice)
    found = of(tables["casecontrol"], "raw")
    assert (found["n_cases"] + found["n_controls"]).unique().tolist() == [60]


def test_people_who_cannot_be_compared_are_left_out_with_the_reason(tmp_path):
    frame = make_cases(n_per_site=20)
    frame.loc[0, "diagnosis"] = "n/a"
    frame.loc[[1, 2], "age"] = np.nan
    result, tables = disorder(tmp_path, frame)
    assert of(tables["casecontrol"], "raw")["n_cases"].iloc[0] == 27
    words = " ".join(result.warnings)
    assert "1 participant(s) of no group in question (HC, SZ)" in words
    assert "2 participant(s) without age" in words


def test_people_of_several_sites_take_no_part(tmp_path):
    frame = make_cases(n_per_site=20)
    frame.loc[frame["participant_id"] == "sub-Leeds19", "participant_id"] = "sub-Kyoto19"
    twice = frame.assign(session_id=frame["site"])
    result, tables = disorder(tmp_path, twice)
    found = of(tables["casecontrol"], "raw")
    assert (found["n_cases"].iloc[0], found["n_controls"].iloc[0]) == (30, 28)
    assert "1 participant(s) scanned at several sites" in " ".join(result.warnings)


def test_nobody_of_several_sites_counts_where_some_of_them_may_train(tmp_path):
    frame = make_cases(n_per_site=20)
    for number in (18, 19):
        own = frame["participant_id"] == f"sub-Leeds{number}"
        frame.loc[own, "participant_id"] = f"sub-Kyoto{number}"
    path = write_tsv(tmp_path / "cohort.tsv", frame.assign(session_id=frame["site"]))
    settings = make_feature_settings(
        path, group_column="diagnosis", site={"hold_out_travelling": 1}
    )
    (study,) = make_feature_context(tmp_path / "out", settings).studies
    assert len(study.travelling) == 1  # the other one may be trained on
    cohort = make_cohort(study, settings)
    assert len(cohort.people) == 56
    assert "2 participant(s) scanned at several sites" in cohort.left_out


def test_intervals_after_combat_know_that_the_sites_were_estimated(tmp_path):
    frame = make_cases(n_per_site=30, shares=(0.9, 0.5, 0.1))
    arm = make_arms(cohort_of(tmp_path, frame)).arms[-1]
    first_kind = ~arm.cohort.is_case | (np.arange(90) % 2 == 0)  # some of the cases, all controls
    for kept in (np.ones(90, dtype=bool), first_kind):
        blind = adjusted_effects(arm.features[kept], arm.cohort.is_case[kept], arm.design[kept])
        rows = effect_rows(arm, kept)
        width = np.array([row["high"] - row["low"] for row in rows])
        assert (width > 1.1 * (blind.high - blind.low)).all()


def test_a_site_without_controls_is_left_out_by_name(tmp_path):
    result, tables = disorder(tmp_path, make_cases(n_per_site=20, shares=(0.5, 0.5, 1.0)))
    assert "site Nara: 0 controls, fewer than 2" in " ".join(result.warnings)
    assert "Nara" not in set(tables["meta"]["site"])
    assert of(tables["casecontrol"], "combat")["n_cases"].iloc[0] == 20


def test_three_words_need_a_choice(tmp_path):
    frame = make_cases(n_per_site=20)
    frame.loc[frame.index[:4], "diagnosis"] = "BD"
    with pytest.raises(UsageError, match=r"HC for controls: BD, SZ; .* by --case-label"):
        disorder(tmp_path, frame)
    _, tables = disorder(tmp_path, frame, case_label=["sz"])
    assert of(tables["casecontrol"], "raw")["n_cases"].iloc[0] == 26
    _, tables = disorder(tmp_path, frame, case_label=["SZ", "BD"])
    assert of(tables["casecontrol"], "raw")["n_cases"].iloc[0] == 30
    with pytest.raises(UsageError, match=r"--case-label MDD: not in column diagnosis.*BD, SZ"):
        disorder(tmp_path, frame, case_label=["MDD"])


def test_a_covariate_that_tells_the_group_is_refused(tmp_path):
    frame = make_cases().assign(drug=lambda f: (f["diagnosis"] == "SZ").astype(float))
    with pytest.raises(UnusableDataError, match="the covariates tell who is a case"):
        disorder(tmp_path, frame, covariates=["age", "drug"], feature_columns=["lh_*"])


def test_covariates_are_those_that_were_asked_for(tmp_path):
    frame = make_cases(n_per_site=20).assign(hand="right", eTIV=1500.0 + np.arange(60))
    frame.loc[::3, "hand"] = "left"
    result, _ = disorder(tmp_path, frame, covariates=["age", "hand"], feature_columns=["lh_*"])
    assert "adjusted for age, hand_right" in result.notes[0]
    result, tables = disorder(tmp_path, frame)
    assert "adjusted for age, sex_m, tiv" in result.notes[0]
    assert "eTIV" not in set(tables["casecontrol"]["feature"])
    with pytest.raises(UsageError, match="--covariates iq: no such column"):
        disorder(tmp_path, frame, covariates=["iq"])


def test_a_published_map_is_correlated_over_shared_regions(tmp_path):
    published = pd.DataFrame(
        {"Structure": [f"L_r{i}" for i in range(12)], "d_icv": [-0.5] * 3 + [0.0, 0.02, -0.02] * 3}
    )
    path = tmp_path / "published.csv"
    published.to_csv(path, index=False)
    _, tables = disorder(tmp_path, make_cases(), compare_map={"enigma": str(path)})
    rows = tables["comparedmaps"].set_index("arm")
    assert rows.loc["combat", "n_regions"] == 12
    assert rows.loc["combat", "r"] > 0.85
    assert rows.loc["combat", "p_permutation"] < 0.02


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"name": ["L_r1"], "d": [0.1]}), "expected a column feature"),
        (pd.DataFrame({"region": ["L_r1", "lh_r1"], "d": [0.1, 0.2]}), "stand there twice: l r1"),
    ],
)
def test_a_published_map_that_cannot_be_read_is_refused(tmp_path, frame, words):
    path = tmp_path / "published.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(UsageError, match=words):
        disorder(tmp_path, make_cases(), compare_map={"enigma": str(path)})


def test_too_few_cases_are_refused_with_their_number(tmp_path):
    frame = make_cases(shares=(0.0, 0.0, 0.0))
    frame.loc[0, "diagnosis"] = "SZ"
    with pytest.raises(UnusableDataError, match="1 cases and 179 controls"):
        disorder(tmp_path, frame)


def test_a_feature_that_controls_do_not_vary_in_is_left_out_by_name(tmp_path):
    frame = make_cases(n_per_site=20)
    frame.loc[frame["diagnosis"] == "HC", FEATURES[5]] = 2.0
    result, tables = disorder(tmp_path, frame)
    assert FEATURES[5] not in set(tables["casecontrol"]["feature"])
    assert f"do not vary among a site's controls: {FEATURES[5]}" in " ".join(result.warnings)


def test_where_combat_cannot_be_fitted_the_other_arms_go_on(tmp_path):
    frame = make_cases(n_per_site=8, shares=(0.75, 0.75, 0.75))
    frame["score"] = np.arange(len(frame)) % 3
    frame["dose"] = np.arange(len(frame)) % 5
    result, tables = disorder(
        tmp_path, frame, covariates=["age", "sex", "score", "dose"], feature_columns=["lh_*"]
    )
    assert set(tables["casecontrol"]["arm"]) == {"raw", "covariate"}
    assert any(words.startswith("no arm combat: ") for words in result.warnings)


def test_a_table_without_a_row_goes_with_what_an_earlier_run_left(tmp_path):
    _, first = disorder(tmp_path, make_cases(n_per_site=20))
    assert "meta" in first
    few = make_cases(n_per_site=20, shares=(0.9, 0.9, 0.9))  # two controls a site
    _, then = disorder(tmp_path, few)
    assert "meta" not in then
    assert not list((tmp_path / "out").glob("group_meta.*"))
    assert (tmp_path / "out" / "group_casecontrol.tsv").is_file()


def test_tables_of_other_people_are_not_compared_in_silence(tmp_path):
    harmonized = make_cases(n_per_site=20).iloc[5:]
    result, _ = disorder(tmp_path, make_cases(n_per_site=20), harmonized=harmonized)
    assert "do not hold the same people" in " ".join(result.warnings)


def test_images_without_a_table_of_features_say_which_stage_writes_it(tmp_path):
    from types import SimpleNamespace

    context = SimpleNamespace(study=SimpleNamespace(output_dir=tmp_path))
    with pytest.raises(MissingInputError, match="which the stage features writes"):
        run_on_images(context)
