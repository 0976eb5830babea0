"""``disorder`` and ``subtypes`` on the table that the stage ``features`` wrote."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.config import make_settings
from bids_harmonize.stages.case_control.arms import Arm
from bids_harmonize.stages.case_control.prediction import held_out_sites
from bids_harmonize.stages.disorder import run as compare
from bids_harmonize.stages.heterogeneity.quality import read_quality, with_quality
from bids_harmonize.stages.subtypes import run as look_for_kinds
from tests.stages.disorder_tables import FEATURES, make_subtypes

PARCELS = tuple(f"parcel_net_left_{i:02d}" for i in range(len(FEATURES)))


def write_own_table(folder, *, sample="every scan"):
    """A table as the stage ``features`` writes it, and the participants' table."""
    raw, harmonized = (make_subtypes(n_per_site=40, seed=4) for _ in range(2))
    for name in FEATURES:  # what is left of the sites in the harmonized arm: nothing
        harmonized[name] -= harmonized.groupby("site")[name].transform("mean")
    parts = []
    for arm, frame in (("raw", raw), ("harmonized", harmonized)):
        keys = {
            "filename": frame["participant_id"] + "/anat/x.nii.gz",
            "participant_id": frame["participant_id"],
            "session_id": "n/a",
            "site": frame["site"],
            "arm": arm,
            "fit": "n/a",
            "gm_volume_ml": 600 + frame[FEATURES[0]],
            "intracranial_volume_ml": 1400 + np.arange(len(frame)) % 7,
        }
        volumes = {f"{p}_volume_ml": np.nan for p in PARCELS}
        densities = {f"{p}_density": frame[f] for p, f in zip(PARCELS, FEATURES, strict=True)}
        parts.append(pd.DataFrame({**keys, **volumes, **densities}))
    table = pd.concat(parts, ignore_index=True)
    table.to_csv(folder / "group_features.tsv", sep="\t", index=False, na_rep="n/a")
    described = {"arm": {"Sample": sample}}
    (folder / "group_features.json").write_text(json.dumps(described))
    write_quality(folder, raw)
    people = raw[["participant_id", "site", "age", "sex", "diagnosis", "score"]]
    people.to_csv(folder / "participants.tsv", sep="\t", index=False, na_rep="n/a")


def write_quality(folder, frame):
    """A scans table a person: cjv is worse in the first kind, at Kyoto too; efc is noise."""
    rng = np.random.default_rng(5)
    for person, site, kind in zip(
        frame["participant_id"], frame["site"], frame["kind"], strict=True
    ):
        own = folder / person
        own.mkdir()
        cells = {
            "filename": f"anat/{person}_desc-preproc_T1w.nii.gz",
            "site": site,
            "cjv": 0.4 + 0.1 * (kind == 1) + 0.3 * (site == "Kyoto") + rng.normal(0, 0.05),
            "efc": rng.normal(0.5, 0.05),
            "head_volume_l": 3.0 + (kind == 1),  # a size, no quality
        }
        pd.DataFrame([cells]).to_csv(own / f"{person}_scans.tsv", sep="\t", index=False)


def make_context(folder, **group):
    values = {"group": {"group_column": "diagnosis", "effort": "quick", **group}}
    study = SimpleNamespace(output_dir=folder)
    settings = make_settings(values, source="t")
    return SimpleNamespace(study=study, settings=settings, run_id="r", work_dir=folder / "work")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("own")
    write_own_table(path)
    return path


def test_both_arms_of_the_table_are_compared_in_the_densities_of_the_parcels(folder):
    result = compare(make_context(folder))
    table = pd.read_csv(folder / "group_casecontrol.tsv", sep="\t")
    assert list(table["arm"].unique()) == ["raw", "covariate", "combat", "harmonized"]
    assert set(table["feature"]) == {f"{name}_density" for name in PARCELS}
    assert "adjusted for age, sex_m, tiv" in result.notes[0]
    assert (table["n_cases"] == 60).all()
    own = table[table["arm"] == "harmonized"].set_index("feature")["d"]
    assert own[f"{PARCELS[0]}_density"] < -0.5
    assert abs(own[f"{PARCELS[5]}_density"]) < 0.5
    (warning,) = result.warnings
    assert warning.startswith(
        "no voxel-wise map: 120 of 120 scans of the table raw have no density"
    )
    assert "run the stages features and disorder with one work directory" in warning


def test_other_columns_can_be_named(folder):
    compare(make_context(folder, feature_columns=["gm_*"]))
    table = pd.read_csv(folder / "group_casecontrol.tsv", sep="\t")
    assert set(table["feature"]) == {"gm_volume_ml"}


def test_kinds_are_looked_for_in_the_same_table(folder):
    result = look_for_kinds(make_context(folder))
    assert [note.split(":")[0] for note in result.notes] == [
        *("raw", "covariate", "combat", "harmonized")
    ]
    rows = pd.read_csv(folder / "group_subtypeassociations.tsv", sep="\t")
    assert set(rows["variable"]) == {"score", "cjv", "efc"}
    rows = rows[rows["arm"] == "harmonized"].set_index("variable")
    assert list(rows["kind"]) == ["numbers", "quality", "quality"]
    assert rows.loc["cjv", "strength"] == pytest.approx(0.5, abs=0.15)  # 0.1 apart, noise 0.05
    assert rows.loc["cjv", "q"] < 1e-6 < rows.loc["efc", "q"]
    assert (rows["n"] == 60).all()
    validity = pd.read_csv(folder / "group_subtypevalidity.tsv", sep="\t")
    chosen = validity[(validity["arm"] == "harmonized") & (validity["chosen"] == 1)].iloc[0]
    assert chosen["quality_measure"] == "cjv"
    assert chosen["eta2_quality"] == pytest.approx(rows.loc["cjv", "strength"])


def test_quality_that_goes_with_the_site_alone_says_little(folder):
    people = pd.read_csv(folder / "participants.tsv", sep="\t").set_index("participant_id")
    cases = people["diagnosis"] == "SZ"
    cohort = SimpleNamespace(
        people=people,
        is_case=cases.to_numpy(),
        sites=people["site"].to_numpy(),
        covariates=people[["age"]],
    )
    quality = read_quality(folder)
    assert quality.loc["sub-Kyoto00", "cjv"] > 0.5
    assert quality["snr"].isna().all()
    at_kyoto = (people.loc[cases, "site"] == "Kyoto").to_numpy().astype(int)
    told = with_quality(at_kyoto, cohort, quality[["cjv"]])
    assert told["eta2_quality"] == pytest.approx(0, abs=1e-9)  # clusters are sites: nothing beyond
    nobody = with_quality(at_kyoto, cohort, quality.iloc[:0])
    assert np.isnan(nobody["eta2_quality"])
    assert nobody["quality_measure"] is None


def test_a_sample_is_told_of(tmp_path):
    write_own_table(tmp_path, sample="--effort quick: 8 scans a site")
    result = compare(make_context(tmp_path))
    assert result.warnings[0] == "not everybody was measured: --effort quick: 8 scans a site"


@pytest.mark.parametrize("case_network", [False, True])
def test_a_network_is_asked_where_it_is_wanted(folder, monkeypatch, case_network):
    """What it says of images is tried elsewhere; here it knows the cases of two sites of three."""
    asked = []

    def scores(context, cohort):
        del context
        asked.append(cohort.arm)
        folds = held_out_sites(Arm(cohort.arm, cohort, cohort.features.to_numpy()), seed=0)
        parts = [
            pd.DataFrame(
                {
                    "arm": cohort.arm,
                    "model": "network",
                    "participant_id": cohort.people.index[fold.test],
                    "site": fold.site,
                    "is_case": cohort.is_case[fold.test],
                    "score": cohort.is_case[fold.test] * (fold.site != "Kyoto") * 1.0,
                }
            )
            for fold in folds
        ]
        return pd.concat(parts, ignore_index=True), folds

    monkeypatch.setattr("bids_harmonize.stages.disorder.network_scores", scores)
    compare(make_context(folder, case_network=case_network))
    table = pd.read_csv(folder / "group_classification.tsv", sep="\t")
    own = table[table["model"] == "network"]
    assert asked == (["raw", "harmonized"] if case_network else [])
    assert set(own["arm"]) == set(asked)
    if case_network:
        by_site = own[own["arm"] == "raw"].set_index("held_out_site")["auc"]
        assert by_site["Kyoto"] == 0.5
        assert set(by_site.drop(["Kyoto", "all"])) == {1.0}
