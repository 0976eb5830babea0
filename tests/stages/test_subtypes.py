"""Stage ``subtypes``: planted kinds of cases are found, and none where there is none."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages import run_stage
from tests.stages.disorder_tables import FEATURES, make_cases, make_subtypes
from tests.stages.feature_tables import make_feature_context, make_feature_settings, write_tsv


def subtypes(tmp_path, frame, **group):
    """Run the stage on a table; its result and its tables."""
    path = write_tsv(tmp_path / "table.tsv", frame)
    options = {"group_column": "diagnosis", "effort": "quick", "feature_columns": ["lh_*"]}
    settings = make_feature_settings(path, **options, **group)
    result = run_stage("subtypes", make_feature_context(tmp_path / "out", settings))
    tables = {
        path.stem.removeprefix("group_"): pd.read_csv(path, sep="\t", na_values="n/a")
        for path in result.files
    }
    return result, tables


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """What the stage says of two kinds of cases whose share goes with the site."""
    frame = make_subtypes()
    return frame, *subtypes(tmp_path_factory.mktemp("planted"), frame.drop(columns="kind"))


@pytest.mark.parametrize("arm", ["covariate", "combat"])
def test_two_planted_kinds_are_found_and_claimed(planted, arm):
    frame, _, tables = planted
    validity = tables["subtypevalidity"]
    chosen = validity[(validity["arm"] == arm) & (validity["chosen"] == 1)].iloc[0]
    assert (chosen["k"], chosen["verdict"]) == (2, "discrete")
    assert chosen["bootstrap_ari"] > 0.8
    assert chosen["splithalf_ari"] > 0.7
    assert chosen["leavesite_ari"] > 0.7
    assert chosen["p_null_full"] == pytest.approx(0.01)
    found = tables["subtypes"]
    own = found[found["arm"] == arm].set_index("participant_id")["subtype"]
    truth = frame.set_index("participant_id")["kind"].reindex(own.index)
    assert adjusted_rand_score(truth, own) > 0.85


def test_the_draws_of_both_nulls_are_kept_and_give_the_p_of_the_verdict(planted):
    _, _, tables = planted
    nulls, validity = tables["subtypenulls"], tables["subtypevalidity"]
    chosen = validity[validity["chosen"] == 1].set_index("arm")
    assert set(nulls["arm"]) == set(chosen.index[chosen["k"] > 1])
    for (arm, null), own in nulls.groupby(["arm", "null"]):
        gaps = own.set_index("draw")["separation"]
        assert set(own["k"]) == {chosen.loc[arm, "k"]}
        assert list(gaps.index) == list(range(len(gaps)))
        reached = (gaps.drop(0) >= gaps[0]).sum()
        assert (1 + reached) / len(gaps) == pytest.approx(chosen.loc[arm, f"p_null_{null}"])
    combat = nulls[(nulls["arm"] == "combat") & (nulls["draw"] > 0)]
    assert combat.groupby("null").size().to_dict() == {"full": 99, "subspace": 99}
    assert combat["separation"].between(0, 0.25).all()


def test_the_quality_of_images_is_not_known_from_a_table(planted):
    _, _, tables = planted
    assert tables["subtypevalidity"]["eta2_quality"].isna().all()
    assert tables["subtypevalidity"]["quality_measure"].isna().all()
    assert set(tables["subtypeassociations"]["kind"]) == {"numbers"}


def test_their_shares_by_site_stand_beside_the_verdict(planted):
    _, result, tables = planted
    validity = tables["subtypevalidity"]
    chosen = validity[(validity["arm"] == "combat") & (validity["chosen"] == 1)].iloc[0]
    assert chosen["v_site"] == pytest.approx(0.5, abs=0.15)  # planted: 80, 20 and 50 %
    assert any("combat: discrete" in note and "Cramer's V" in note for note in result.notes)


def test_maps_show_what_was_planted_in_each_kind(planted):
    frame, _, tables = planted
    maps, people = tables["subtypemaps"], tables["subtypes"]
    own = people[people["arm"] == "combat"].merge(frame[["participant_id", "kind"]])
    first = int(own[own["kind"] == 1]["subtype"].mode().iloc[0])
    table = maps[maps["arm"] == "combat"].pivot(index="feature", columns="subtype", values="d")
    assert table.loc[list(FEATURES[:4]), first].max() < -1.2
    assert table.loc[list(FEATURES[-4:]), first].abs().max() < 0.6
    assert table.loc[list(FEATURES[-4:]), 3 - first].max() < -1.2


def test_a_symptom_that_goes_with_them_is_named(planted):
    _, _, tables = planted
    rows = tables["subtypeassociations"]
    own = rows[(rows["arm"] == "combat") & (rows["variable"] == "score")].iloc[0]
    assert own["kind"] == "numbers"
    assert own["strength"] == pytest.approx(0.5, abs=0.15)  # 6 points apart, deviation 3
    assert own["q"] < 1e-6
    assert set(rows["variable"]) == {"score"}  # no key, site, age, sex or group


def test_comparators_stand_beside_by_name(planted):
    _, _, tables = planted
    validity = tables["subtypevalidity"]
    validity = validity[validity["method"] != "mixture"].set_index(["arm", "method"])
    assert validity.loc[("combat", "hydra"), "agreement"] > 0.7
    assert validity.loc[("combat", "som"), "k"] == 6
    assert {"hydra", "som"} <= set(tables["subtypes"].columns)


def test_cases_of_one_kind_are_no_subtypes(tmp_path):
    frame = make_cases(n_per_site=60, d=0.8, seed=2)
    _, tables = subtypes(tmp_path, frame)
    verdicts = tables["subtypevalidity"]["verdict"].dropna()
    assert len(verdicts) == 3
    assert not set(verdicts) & {"discrete", "uncertain"}


def test_every_column_is_described(planted):
    _, result, _ = planted
    assert {path.name for path in result.files} == {
        f"group_{name}.tsv"
        for name in (
            *("subtypes", "subtypevalidity", "subtypenulls"),
            *("subtypemaps", "subtypeassociations"),
        )
    }
    for path in result.files:
        described = json.loads(path.with_suffix(".json").read_text())
        assert set(path.read_text().split("\n", 1)[0].split("\t")) == set(described)


def test_numbers_of_people_and_clusters_are_whole(planted):
    _, result, _ = planted
    path = next(one for one in result.files if one.name == "group_subtypevalidity.tsv")
    cells = pd.read_csv(path, sep="\t", dtype=str)
    assert set(cells["k"]) == set("123456")
    assert set(cells["chosen"].dropna()) <= {"0", "1", "n/a"}


def test_too_few_cases_are_told(tmp_path):
    frame = make_cases(n_per_site=30, shares=(1 / 6, 1 / 6, 1 / 6))
    with pytest.raises(UnusableDataError, match="need 20 patients and 20 controls, found 15"):
        subtypes(tmp_path, frame, stages=["subtypes"])
    result, tables = subtypes(tmp_path, frame)
    assert tables == {}
    assert "found 15" in result.warnings[0]


@pytest.mark.slow
def test_the_seed_fixes_everything_and_the_order_of_rows_nothing(tmp_path):
    frame = make_subtypes(n_per_site=30, seed=3)
    _, one = subtypes(tmp_path, frame)
    _, other = subtypes(tmp_path, frame.sample(frac=1, random_state=0))
    np.testing.assert_array_equal(one["subtypes"]["subtype"], other["subtypes"]["subtype"])
    pd.testing.assert_frame_equal(one["subtypevalidity"], other["subtypevalidity"], rtol=1e-9)
