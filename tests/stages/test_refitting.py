"""p of the AUC of all held-out sites is that of models fitted to groups that were dealt anew."""

from dataclasses import replace

import numpy as np
import pytest

from bids_harmonize.stages.case_control import refitting
from bids_harmonize.stages.case_control.arms import make_arms
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.prediction import (
    classification_rows,
    held_out_sites,
    predicted_scores,
)
from bids_harmonize.stages.case_control.refitting import (
    ENOUGH,
    N_REFITS,
    Refitted,
    deal_groups,
    refitted_p,
    told_by_regression,
)
from tests.stages.disorder_tables import FEATURES, SITES, make_cases
from tests.stages.feature_tables import make_feature_context, make_feature_settings, write_tsv

STRENGTHS = dict.fromkeys(SITES, 0.1)


def raw_arm(folder, frame):
    path = write_tsv(folder / "table.tsv", frame)
    settings = make_feature_settings(path, group_column="diagnosis")
    (study,) = make_feature_context(folder / "out", settings).studies
    return make_arms(make_cohort(study, settings)).arms[0]


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    frame = make_cases(n_per_site=20, d=0.0, shares=(0.2, 0.5, 0.8))
    return raw_arm(tmp_path_factory.mktemp("arm"), frame)


def test_groups_are_dealt_within_sites_and_nothing_else_changes(arm):
    cohort = arm.cohort
    dealt = deal_groups(cohort, np.random.default_rng(0))
    assert not np.array_equal(dealt.is_case, cohort.is_case)
    for site in SITES:
        own = cohort.sites == site
        assert dealt.is_case[own].sum() == cohort.is_case[own].sum()
    assert dealt.people.drop(columns="is_case").equals(cohort.people.drop(columns="is_case"))
    assert dealt.features is cohort.features


def test_deals_end_where_enough_of_them_reach_the_auc(arm, tmp_path):
    nothing = refitted_p(arm, seed=0)
    assert 0.2 < nothing.p < 0.95
    assert nothing.p == ENOUGH / nothing.n_deals
    strong = raw_arm(tmp_path, make_cases(n_per_site=40, d=2.0, site_effect=0.0))
    assert refitted_p(strong, seed=0) == Refitted(1 / (1 + N_REFITS), N_REFITS)


def test_a_deal_that_cannot_be_fitted_never_makes_p_smaller(arm, monkeypatch):
    asked = []

    def first_alone(*words):
        asked.append(words)
        if len(asked) > 1:
            message = "nothing to fit on"
            raise ValueError(message)
        return predicted_scores(*words)

    monkeypatch.setattr(refitting, "predicted_scores", first_alone)
    assert refitted_p(arm, seed=0) == Refitted(1.0, ENOUGH)


def test_two_sites_that_differ_alike_by_chance_are_one_finding(tmp_path, monkeypatch):
    """With one feature its sign at one site decides for the other: kept scores count it twice."""
    monkeypatch.setattr(refitting, "N_REFITS", 999)
    monkeypatch.setattr(refitting, "ENOUGH", 1000)
    frame = make_cases(n_per_site=40, d=0.6, seed=4)
    frame = frame[frame["site"] != SITES[2]].drop(columns=list(FEATURES[1:]))
    arm = raw_arm(tmp_path, frame)
    folds = held_out_sites(arm, seed=0)
    scores, rows = told_by_regression(arm, folds, seed=0)
    kept = classification_rows(scores, folds, rng=np.random.default_rng(0))
    pooled, of_kept = rows[0], kept[0]
    assert pooled["auc"] == of_kept["auc"]
    # twice, were both sites to point one way in every deal that reaches the AUC
    assert 1.5 < pooled["p_permutation"] / of_kept["p_permutation"] < 2.5
    assert (pooled["n_permutations"], of_kept["n_permutations"]) == (999, 2000)


def test_scores_of_dealt_groups_come_from_models_fitted_to_them(arm):
    """Nothing of the true groups is left in a deal but the penalties."""
    dealt = replace(arm, cohort=deal_groups(arm.cohort, np.random.default_rng(1)))
    folds = held_out_sites(dealt, seed=0)
    scores = predicted_scores(dealt, folds, STRENGTHS)
    true = predicted_scores(arm, held_out_sites(arm, seed=0), STRENGTHS)
    assert set(scores["participant_id"]) != set(true["participant_id"])  # others calibrate
    asked = scores.set_index("participant_id")["is_case"].astype(bool)
    assert asked.equals(dealt.cohort.people["is_case"].loc[asked.index].rename("is_case"))
