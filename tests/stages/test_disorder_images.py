"""``disorder`` and ``subtypes`` on the table that the stage ``features`` wrote."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.config import make_settings
from bids_harmonize.stages.disorder import run as compare
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
        volumes = {f"{p}_volume_ml": frame[f] for p, f in zip(PARCELS, FEATURES, strict=True)}
        densities = {f"{p}_density": np.nan for p in PARCELS}
        parts.append(pd.DataFrame({**keys, **volumes, **densities}))
    table = pd.concat(parts, ignore_index=True)
    table.to_csv(folder / "group_features.tsv", sep="\t", index=False, na_rep="n/a")
    described = {"arm": {"Sample": sample}}
    (folder / "group_features.json").write_text(json.dumps(described))
    people = raw[["participant_id", "site", "age", "sex", "diagnosis", "score"]]
    people.to_csv(folder / "participants.tsv", sep="\t", index=False, na_rep="n/a")


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


def test_both_arms_of_the_table_are_compared_in_the_volumes_of_the_parcels(folder):
    result = compare(make_context(folder))
    table = pd.read_csv(folder / "group_casecontrol.tsv", sep="\t")
    assert list(table["arm"].unique()) == ["raw", "covariate", "combat", "harmonized"]
    assert set(table["feature"]) == {f"{name}_volume_ml" for name in PARCELS}
    assert "adjusted for age, sex_m, tiv" in result.notes[0]
    assert (table["n_cases"] == 60).all()
    own = table[table["arm"] == "harmonized"].set_index("feature")["d"]
    assert own[f"{PARCELS[0]}_volume_ml"] < -0.5
    assert abs(own[f"{PARCELS[5]}_volume_ml"]) < 0.5
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
    assert set(rows["variable"]) == {"score"}


def test_a_sample_is_told_of(tmp_path):
    write_own_table(tmp_path, sample="--effort quick: 8 scans a site")
    result = compare(make_context(tmp_path))
    assert result.warnings[0] == "not everybody was measured: --effort quick: 8 scans a site"
