"""Who is where, and who trains, in a study made of a table."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.errors import SiteError
from bids_harmonize.stages.feature_table.controls import covariate_features, exchanged_sites
from bids_harmonize.training.splits import make_folds
from tests.stages.feature_tables import (
    SITES,
    make_feature_context,
    make_feature_settings,
    make_table,
    write_tsv,
)


def load(tmp_path, frame, *, site_map=None, **settings):
    path = write_tsv(tmp_path / "table.tsv", frame)
    settings = make_feature_settings(path, **settings)
    return make_feature_context(tmp_path / "out", settings, site_map).studies[0]


def test_the_table_is_known_by_name_and_content(tmp_path):
    study = load(tmp_path, make_table())
    content = (tmp_path / "table.tsv").read_bytes()
    assert study.source.sha256 == hashlib.sha256(content).hexdigest()
    assert study.source.words == f"feature table table.tsv, sha256 {study.source.sha256}"
    assert study.trained_sites == SITES
    assert study.features.shape == (36, 6)


def test_site_age_and_sex_come_from_the_table_first_and_then_from_participants(tmp_path):
    frame = make_table().drop(columns=["sex"])
    frame.loc[0, ["site", "age"]] = None
    people = pd.DataFrame(
        {"participant_id": frame["participant_id"], "Scanner": "Leeds", "age": 99, "Gender": "F"}
    )
    (tmp_path / "out").mkdir()
    write_tsv(tmp_path / "out" / "participants.tsv", people)
    rows = load(tmp_path, frame).rows
    assert (rows["site"][0], rows["site"][1]) == ("Leeds", "Kyoto")
    assert rows["age"][0] == 99
    assert rows["age"][1] == frame["age"][1]
    assert set(rows["sex"]) == {"F"}


def test_the_site_map_overrides_and_another_column_can_be_the_site(tmp_path):
    frame = make_table().rename(columns={"site": "clinic"})
    study = load(tmp_path, frame, site={"site_key": ["clinic"]}, site_map={"sub-Kyoto0": "Leeds"})
    assert study.rows["site"][0] == "Leeds"
    assert "clinic" not in study.features.columns


def test_a_row_without_a_site_is_named_with_what_to_do(tmp_path):
    frame = make_table()
    frame.loc[3, "site"] = None
    with pytest.raises(SiteError, match="1 of 36 rows is unknown:\n  sub-Kyoto3\tn/a") as caught:
        load(tmp_path, frame)
    assert "--site-map" in str(caught.value)


def test_one_site_is_too_few(tmp_path):
    frame = make_table()
    with pytest.raises(SiteError, match=r"1 site\(s\) can be trained"):
        load(tmp_path, frame[frame["site"] == "Nara"])


def test_people_at_two_sites_travel_and_small_sites_take_no_part(tmp_path):
    frame = make_table().assign(session_id="1")
    again = frame.iloc[[0]].assign(session_id="2", site="Leeds", f0_thickness=9.0)
    alone = frame.iloc[[1]].assign(participant_id="sub-x", site="Oslo")
    study = load(tmp_path, pd.concat([frame, again, alone]))
    assert study.travelling == {"sub-Kyoto0"}
    assert "sub-Kyoto0" not in study.eligible
    assert list(study.left_out) == ["Oslo"]
    assert (study.trains.sum(), study.is_asked.sum()) == (35, 2)


def test_exchanged_sites_keep_their_number_in_every_fold(tmp_path):
    study = load(tmp_path, make_table())
    folds = make_folds(study.site_of_participant(), n_folds=3, seed=0)
    exchanged = exchanged_sites(study, folds, seed=0)
    own = study.rows["site"].to_numpy()
    assert 0.1 < np.mean(exchanged == own) < 0.6
    for fold in folds:
        inside = study.rows["participant_id"].isin(fold.validation)
        assert sorted(exchanged[inside]) == sorted(own[inside])


def test_covariates_are_age_sex_and_what_is_unknown_of_them(tmp_path):
    frame = make_table()
    frame["age"] = frame["age"].astype(float)
    frame.loc[0, "age"] = None
    frame.loc[1, "sex"] = "female"
    columns = covariate_features(load(tmp_path, frame))
    assert columns.shape == (36, 4)  # age, f, m, age unknown
    assert np.isnan(columns[0, 0])
    assert columns[:2, 1].tolist() == [1, 1]
    assert columns[:, 3].tolist() == [1, *[0] * 35]
    assert covariate_features(load(tmp_path, frame.drop(columns=["age", "sex"]))) is None
