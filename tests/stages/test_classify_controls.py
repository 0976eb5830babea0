"""Controls of the site classifier: what they are given, and which cannot run."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.stages.classification.controls import (
    ablated_models,
    control_view,
    run_controls,
)
from bids_harmonize.stages.classification.models import ClassifierTraining, FoldModel
from bids_harmonize.stages.classification.shortcuts import (
    participant_covariates,
    scan_metadata,
    shortcut_predictions,
)
from bids_harmonize.stages.classification.tables import accuracy_row
from tests.stages.control_toys import SHAPE, make_training, stand_in, study_of
from tests.training.toys import SITES, ToyVolumes


def test_age_and_sex_are_found_whatever_the_case_and_the_words():
    index = pd.Index(["sub-1", "sub-2", "sub-3"], name="participant_id")
    people = pd.DataFrame({"AGE": ["30", "n/k", None], "Gender": ["Female", "m", None]}, index)
    found = participant_covariates(study_of(people))
    assert found["age"].tolist()[0] == 30.0
    assert found["age"].isna().tolist() == [False, True, True]
    assert found["sex"].tolist() == ["f", "m", None]


def test_columns_that_nobody_has_a_value_in_are_no_covariates():
    people = pd.DataFrame({"age": [None, None], "handedness": ["r", "l"]}, ["sub-1", "sub-2"])
    assert participant_covariates(study_of(people)).empty


def test_metadata_are_what_reaches_the_network_and_no_more(tmp_path):
    names = ("native_i_mm", "snr", "head_outside_grid")
    row = {
        "site": "Leeds", "native_shape": "192x256x170", "native_orientation": "LPS",
        "native_datatype": "int16", "native_i_mm": 1.5, "snr": 8.0, "head_outside_grid": 0.02,
    }  # fmt: skip
    measures = {name: {"Description": name} for name in names}
    write_scan_rows(tmp_path, {"sub-1": row}, measures=measures)
    found = scan_metadata(study_of(pd.DataFrame(), tmp_path), ["sub-1", "sub-2"])
    assert found.loc["sub-1"].to_dict() == {
        "native_i_mm": 1.5,
        "head_outside_grid": 0.02,
        "native_orientation": "LPS",
        "native_datatype": "int16",
        "native_i_voxels": 192.0,
        "native_j_voxels": 256.0,
        "native_k_voxels": 170.0,
    }
    assert found.loc["sub-2"].isna().all()


def test_a_protocol_between_two_others_names_its_site(tmp_path):
    training = make_training(tmp_path, n_sites=3, n_per_site=6)
    size = {"Leeds": 1.0, "Nara": 1.1, "Oslo": 1.2}
    features = pd.DataFrame(
        {"mm": [size[s.site] for s in training.source.scans]},
        [s.key for s in training.source.scans],
    )
    found = shortcut_predictions(training, features, method="forest", name="metadata")
    row = accuracy_row(found, model="metadata", split="validation", effort="full")
    assert row["balanced_accuracy"] == 1.0
    again = shortcut_predictions(training, features, method="forest", name="metadata")
    pd.testing.assert_frame_equal(found, again)


@pytest.mark.parametrize("method", ["forest", "logistic"])
def test_one_protocol_for_all_tells_nothing(tmp_path, method):
    training = make_training(tmp_path, n_sites=3, n_per_site=6)
    keys = [scan.key for scan in training.source.scans]
    features = pd.DataFrame({"mm": 1.0, "datatype": "int16"}, keys)
    found = shortcut_predictions(training, features, method=method, name="metadata")
    row = accuracy_row(found, model="metadata", split="validation", effort="full")
    assert row["balanced_low"] < row["chance"] < row["balanced_high"]


def test_unknown_ages_of_one_site_give_it_away(tmp_path):
    training = make_training(tmp_path)
    keys = [scan.key for scan in training.source.scans]
    ages = np.random.default_rng(0).normal(40, 5, len(keys))
    known = np.array([scan.site == SITES[0] for scan in training.source.scans])
    features = pd.DataFrame({"age": np.where(known, ages, np.nan), "sex": "f"}, keys)
    found = shortcut_predictions(training, features, method="logistic", name="covariates")
    row = accuracy_row(found, model="covariates", split="validation", effort="full")
    assert row["balanced_accuracy"] == 1.0


def test_a_missing_value_is_filled_from_the_training_fold_alone(tmp_path):
    training = make_training(tmp_path)
    keys = [scan.key for scan in training.source.scans]
    ages = np.random.default_rng(0).normal(40, 5, len(keys))
    first = sorted(training.folds[0].validation)
    ages[[keys.index(first[0]), keys.index(first[1])]] = np.nan
    features = pd.DataFrame({"age": ages}, keys)
    changed = features.copy()
    others = first[2:]
    changed.loc[others, "age"] += 500  # of people who are unseen in the first fold
    before, after = (
        shortcut_predictions(training, table, method="logistic", name="x").set_index("key")
        for table in (features, changed)
    )
    columns = [f"p_{site}" for site in SITES[:2]]
    assert (before.loc[first[:2], columns] == after.loc[first[:2], columns]).all().all()
    assert not (before.loc[others, columns] == after.loc[others, columns]).any().any()


def test_control_networks_see_less_than_the_image():
    source = ToyVolumes(n_per_site=1, shape=SHAPE)
    volume, head, brain = source.volume(1), source.head_mask(1), source.brain_mask(1)
    outline = control_view(source, "headmask").volume(1)
    assert np.array_equal(outline, head.astype(np.float32))
    inside = control_view(source, "brainonly").volume(1)
    assert np.array_equal(inside[brain], volume[brain])
    assert not inside[~brain].any()
    around = control_view(source, "headwithoutbrain").volume(1)
    assert not around[brain].any()
    assert np.array_equal(around[~brain], volume[~brain])
    assert around.dtype == inside.dtype == outline.dtype == np.float32
    assert np.array_equal(control_view(source, "shuffled").volume(1), volume)


def test_an_ablation_trains_without_its_augmentation(tmp_path, monkeypatch):
    seen = []

    def record(self, source, labels, name):
        seen.append((name, self.settings.classifier, len(source)))
        return stand_in(source)

    monkeypatch.setattr(ClassifierTraining, "train", record)
    training = make_training(tmp_path)
    models = ablated_models(training, "withoutkeepblock", n_folds=1)
    assert models[0].held_out == training.folds[0].validation
    ((name, settings, n),) = seen
    assert (name, n) == ("withoutkeepblock-1", 10)
    own = training.settings.classifier
    assert (settings.keep_block_probability, own.keep_block_probability) == (0.0, 0.25)
    assert replace(settings, keep_block_probability=0.25) == own


def test_controls_that_cannot_run_are_named_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(ClassifierTraining, "train", lambda self, source, *_: stand_in(source))
    training = make_training(tmp_path, classifier={"mask_block_probability": 0})
    people = pd.DataFrame(index=sorted({s.participant_id for s in training.source.scans}))
    folds = [FoldModel(stand_in(training.source), fold.validation) for fold in training.folds]
    study = study_of(people, tmp_path)
    study.scaling_mask = "head"
    found = run_controls(study, training, tuple(folds), seconds_per_fold=1.0)
    assert set(found.predictions) == {
        "shuffled", "headmask", "histogram", "withoutkeepblock", "withoutblocks",
    }  # fmt: skip
    assert set(found.skipped) == {
        "brainonly", "headwithoutbrain", "withoutmaskblock", "covariates", "metadata",
    }  # fmt: skip
    assert "--brain-mask none" in found.skipped["brainonly"]
    assert "mask_block_probability = 0" in found.skipped["withoutmaskblock"]
    assert "neither age nor sex" in found.skipped["covariates"]
    assert "scans.tsv" in found.skipped["metadata"]
    assert set(found.visible) == {"network", "withoutkeepblock", "withoutblocks"}


def test_skull_stripped_images_have_no_head_without_a_brain(tmp_path, monkeypatch):
    monkeypatch.setattr(ClassifierTraining, "train", lambda self, source, *_: stand_in(source))
    training = make_training(tmp_path)
    monkeypatch.setattr(ToyVolumes, "brain_mask", ToyVolumes.head_mask)
    people = pd.DataFrame(index=sorted({s.participant_id for s in training.source.scans}))
    folds = [FoldModel(stand_in(training.source), fold.validation) for fold in training.folds]
    study = study_of(people, tmp_path)
    found = run_controls(study, training, tuple(folds), seconds_per_fold=1.0)
    assert "skull-stripped" in found.skipped["headwithoutbrain"]
    assert "brainonly" in found.predictions
