"""Controls that are given less, and what only a block of the head tells."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.config import make_settings
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
from bids_harmonize.stages.classification.visibility import (
    head_block,
    visibility_rows,
    visible_shares,
)
from bids_harmonize.training.classifier import Classifier
from bids_harmonize.training.sources import TransformedVolumes
from bids_harmonize.training.splits import make_folds
from tests.training.toys import SITES, ToyVolumes, cpu_runtime

SHAPE = (12, 14, 12)


def make_training(tmp_path, *, n_per_site=10, n_sites=2, classifier=None) -> ClassifierTraining:
    source = ToyVolumes(n_per_site=n_per_site, n_sites=n_sites, shape=SHAPE)
    site_of = {scan.participant_id: scan.site for scan in source.scans}
    values = {"group": {"effort": "full"}, "classifier": classifier or {}}
    return ClassifierTraining(
        source=source,
        folds=make_folds(site_of, n_folds=2, seed=0),
        sites=SITES[:n_sites],
        settings=make_settings(values, source="test"),
        runtime=cpu_runtime(),
        folder=tmp_path,
        fingerprint="toys",
    )


def stand_in(source) -> Classifier:
    """A network that names the second site where the whole volume is bright enough."""

    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Linear(1, 2)
            weights = {"weight": torch.tensor([[0.0], [1.0]]), "bias": torch.tensor([0.0, -6.0])}
            self.head.load_state_dict(weights)

        def embed(self, volumes):
            return volumes.flatten(1).sum(dim=1, keepdim=True)  # (B, 1)

        def forward(self, volumes):
            return self.head(self.embed(volumes))

    return Classifier(
        network=Sum(),
        sites=SITES[:2],
        shape=source.shape,
        voxel_size_mm=source.voxel_size_mm,
        device=torch.device("cpu"),
    )


def study_of(people: pd.DataFrame, output_dir=None):
    return SimpleNamespace(participants=people, output_dir=output_dir, scaling_mask="brain")


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


@pytest.mark.parametrize("fraction", [0.5, 0.25, 0.125])
def test_a_block_has_its_fraction_of_the_heads_box_and_lies_inside(fraction):
    head = np.zeros((40, 48, 40), dtype=bool)
    head[5:37, 4:44, 8:32] = True
    rng = np.random.default_rng(0)
    for _ in range(50):
        block = head_block(rng, head, fraction)
        inside = np.zeros_like(head)
        inside[block] = True
        assert not (inside & ~head).any()
        assert inside.sum() / head.sum() == pytest.approx(fraction, rel=0.06)


def bright_source():
    """Flat heads: the second site is brighter inside, the same everywhere in the head."""
    toys = ToyVolumes(n_per_site=4, n_sites=2, shape=SHAPE)

    def flat(index, _):
        level = 0.02 if toys.scans[index].site == SITES[1] else 0.0
        return (toys.head_mask(index) * level).astype(np.float32)

    return TransformedVolumes(toys, flat)


def test_less_visible_is_less_often_right_and_every_network_sees_the_same_blocks():
    source = bright_source()
    people = frozenset(scan.participant_id for scan in source.scans)
    folds = [FoldModel(stand_in(source), people)]
    shares = visible_shares(source, folds, seed=0)
    second = shares[shares["site"] == SITES[1]].groupby("visible_fraction")["right"].mean()
    # About 600 voxels of .02 sum to 12, and the network asks for 6: a quarter has too few.
    assert second.loc[1.0] == 1.0
    assert second.loc[0.125] == 0.0
    assert (shares[shares["site"] == SITES[0]]["right"] == 1.0).all()
    pd.testing.assert_frame_equal(shares, visible_shares(source, folds, seed=0))


def test_differences_are_paired_by_participant():
    people = [f"sub-{number}" for number in range(20)]
    frame = {
        "participant_id": people * 4,
        "site": "A",
        "visible_fraction": np.repeat([1.0, 0.5, 0.25, 0.125], 20),
    }
    # Everybody gains exactly a quarter: unpaired the spread between people would hide it.
    base = np.tile(np.repeat([0.0, 0.25, 0.5, 0.75], 5), 4)
    shares = {
        "network": pd.DataFrame({**frame, "right": base + 0.25}),
        "withoutblocks": pd.DataFrame({**frame, "right": base}),
    }
    rows = pd.DataFrame(visibility_rows(shares, effort="full"))
    own = rows[rows["model"] == "network"]
    assert own["accuracy"].tolist() == pytest.approx([0.625] * 4)
    assert own["difference"].tolist() == pytest.approx([0.25] * 4)
    # Tango's interval of 5 gained and none lost in 20, which has a width though all gain alike.
    assert own["difference_low"].tolist() == pytest.approx([0.04859] * 4, abs=1e-5)
    assert own["difference_high"].tolist() == pytest.approx([0.46870] * 4, abs=1e-5)
    assert rows[rows["model"] == "withoutblocks"]["difference"].isna().all()
    # Wilson's interval of 12.5 in 20.
    assert own["accuracy_low"].iloc[0] == pytest.approx(0.40949, abs=1e-5)
    alone = visibility_rows({"network": shares["network"]}, effort="full")
    assert np.isnan([row["difference"] for row in alone]).all()
