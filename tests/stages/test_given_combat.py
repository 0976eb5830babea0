"""``disorder`` with the ComBat of another run: applied as it is, and its limits are told."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages.case_control.arms import combat_features, make_arms
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.combat_model import load_combat
from bids_harmonize.stages.case_control.given import read_given, with_given
from bids_harmonize.stages.case_control.keeping import keep_combat
from bids_harmonize.stages.disorder import run_on_tables
from tests.stages.disorder_tables import FEATURES, SITES, make_cases
from tests.stages.feature_tables import make_feature_context, make_feature_settings, write_tsv


def make_context(folder, frame, **group):
    path = write_tsv(folder / "table.tsv", frame)
    options = {"group_column": "diagnosis", "feature_columns": ["lh_*"], **group}
    return make_feature_context(folder / "out", make_feature_settings(path, **options))


def cohort_of(context):
    return make_cohort(context.studies[0], context.settings)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of the models of a first run on three sites."""
    folder = tmp_path_factory.mktemp("first")
    context = make_context(folder, make_cases(n_per_site=40, seed=1))
    cohort = cohort_of(context)
    keep_combat(context, cohort, make_arms(cohort).combat)
    return folder / "out" / "models"


def new_people(seed=1, n_per_site=40):
    """Other people of the same scanners: their names and values are new, the sites' shifts not."""
    old, frame = make_cases(n_per_site=40, seed=1), make_cases(n_per_site=n_per_site, seed=99)
    for site in SITES:
        at = frame["site"] == site
        for name in FEATURES:
            shift = old.loc[old["site"] == site, name].mean() - frame.loc[at, name].mean()
            frame.loc[at, name] += shift
    frame["participant_id"] = "sub-new" + frame["participant_id"].str.removeprefix("sub-")
    return frame


def given(folder, frame, models, **group):
    context = make_context(folder, frame, model_dir=str(models), **group)
    return with_given(cohort_of(context), read_given(context.settings))


def test_the_given_combat_is_applied_bit_for_bit_and_nothing_is_fitted(models, tmp_path):
    cohort = given(tmp_path, new_people(), models)
    model = load_combat(models / "combat")
    expected = model.combat.transform(
        cohort.features.to_numpy(), list(cohort.sites), cohort.covariates.to_numpy()
    )
    made = make_arms(cohort)
    assert [arm.name for arm in made.arms] == ["raw", "covariate", "combat"]
    np.testing.assert_array_equal(made.arms[2].features, expected)
    some = np.arange(len(expected)) % 2 == 0
    inside_a_fold = combat_features(cohort, some, ~some).features
    np.testing.assert_array_equal(inside_a_fold, expected[~some])
    apart = pd.DataFrame(expected).groupby(list(cohort.sites)).mean().std().max()
    raw = cohort.features.groupby(list(cohort.sites)).mean().std().max()
    assert apart < 0.25 * raw


def test_the_stage_says_whose_combat_it_is_and_keeps_none(models, tmp_path):
    context = make_context(tmp_path, new_people(n_per_site=24), model_dir=str(models))
    result = run_on_tables(context)
    table = pd.read_csv(tmp_path / "out" / "group_casecontrol.tsv", sep="\t")
    own = table[table["arm"] == "combat"].set_index("feature")["d"]
    assert own[FEATURES[0]] < -0.3
    described = json.loads((tmp_path / "out" / "group_casecontrol.json").read_text())
    assert "of another run" in described["arm"]["Levels"]["combat"]
    assert not (tmp_path / "out" / "models").exists()
    assert not any("models" in path.parts for path in result.files)


def test_an_unknown_site_is_refused(models, tmp_path):
    frame = new_people()
    frame.loc[frame["site"] == "Nara", "site"] = "Oslo"
    with pytest.raises(UnusableDataError) as caught:
        given(tmp_path, frame, models)
    text = str(caught.value)
    assert "does not know the site Oslo (40 participants)" in text
    assert "fitted on Kyoto, Leeds, Nara" in text
    assert "without --model-dir" in text


def test_people_of_one_known_site_will_do(models, tmp_path):
    frame = new_people()
    cohort = given(tmp_path, frame[frame["site"] == "Leeds"], models)
    assert set(cohort.sites) == {"Leeds"}
    assert len(make_arms(cohort).arms) == 3


def test_features_must_be_those_of_the_model(models, tmp_path):
    frame = new_people()
    with pytest.raises(UnusableDataError, match=r"lacks 1: lh_r2_thickness; give the same"):
        given(tmp_path, frame.drop(columns="lh_r2_thickness"), models)
    frame.insert(6, "lh_extra_thickness", np.arange(len(frame)) % 5 + frame[FEATURES[0]])
    cohort = given(tmp_path, frame, models)
    assert list(cohort.features.columns) == list(FEATURES)
    assert "1 feature(s) that the given ComBat does not know" in cohort.left_out


def test_covariates_of_the_model_are_found_or_asked_for(models, tmp_path):
    frame = new_people()
    men = given(tmp_path, frame[frame["sex"] == "M"], models)
    assert "sex_m" not in men.covariates  # the same for all of them
    assert (men.given.design[:, men.given.covariates.index("sex_m")] == 1).all()
    with pytest.raises(UnusableDataError, match="keeps age, sex_m, and age is not known"):
        given(tmp_path, frame.drop(columns="age"), models)


def test_people_who_were_fitted_on_are_told(models, tmp_path):
    cohort = given(tmp_path, make_cases(n_per_site=40, seed=1), models)
    assert any("was fitted on 60 of these people" in words for words in cohort.left_out)


def test_other_tables_and_runs_without_a_model_are_left_alone(models, tmp_path):
    context = make_context(tmp_path, new_people())
    cohort = cohort_of(context)
    assert read_given(context.settings) is None
    assert with_given(cohort, None) is cohort
    harmonized = replace(cohort, arm="harmonized")
    settings = make_feature_settings(tmp_path / "table.tsv", model_dir=str(models))
    assert with_given(harmonized, read_given(settings)) is harmonized
