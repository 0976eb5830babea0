"""Control networks in their folds: who is trained on, under which site, with which effort."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stages.classification.controls import control_predictions, run_controls
from bids_harmonize.stages.classification.models import ClassifierTraining, FoldModel
from bids_harmonize.stages.classification.shortcuts import head_histograms, shortcut_predictions
from bids_harmonize.training.views import SelectedVolumes, TransformedVolumes
from tests.stages.control_toys import SHAPE, make_training, stand_in, study_of
from tests.training.toys import SITES, ToyVolumes


@pytest.fixture
def trained(monkeypatch):
    """Name of every training to the people and the sites that it was given."""
    seen = {}

    def record(self, source, labels, name):
        seen[name] = {scan.key: label for scan, label in zip(source.scans, labels, strict=True)}
        return stand_in(source)

    monkeypatch.setattr(ClassifierTraining, "train", record)
    return seen


def people_of(part):
    return sorted(part["participant_id"])


def test_shuffled_sites_are_exchanged_inside_each_fold_and_judged_as_exchanged(tmp_path, trained):
    training = make_training(tmp_path)
    true = {scan.key: scan.site for scan in training.source.scans}
    found = control_predictions(training, "shuffled", n_folds=2)
    given = dict(zip(found["key"], found["site"], strict=True))
    assert given.keys() == true.keys()
    moved = [key for key in true if given[key] != true[key]]
    assert 4 <= len(moved) <= 16
    for number, fold in enumerate(training.folds, start=1):
        own = found[found["fold"] == str(number)]
        assert people_of(own) == sorted(fold.validation)
        assert Counter(own["site"]) == Counter(true[key] for key in own["key"])
        # What the network learnt are the same exchanged sites, of the other fold's people.
        learnt = trained[f"shuffled-{number}"]
        assert learnt == {key: given[key] for key in true if key not in set(own["key"])}


def test_other_controls_learn_the_true_sites_of_the_people_of_their_fold(tmp_path, trained):
    training = make_training(tmp_path)
    found = control_predictions(training, "headmask", n_folds=1)
    assert people_of(found) == sorted(training.folds[0].validation)
    assert set(found["fold"]) == {"1"}
    assert trained == {
        "headmask-1": {
            scan.key: scan.site
            for scan in training.source.scans
            if scan.participant_id in training.folds[0].train
        }
    }
    assert [key.removeprefix("sub-")[:-2] for key in found["key"]] == list(found["site"])


@pytest.mark.parametrize(("effort", "n_folds"), [("quick", 1), ("full", 2)])
def test_a_quick_run_trains_controls_on_one_fold_and_says_so(tmp_path, trained, effort, n_folds):
    training = make_training(tmp_path, effort=effort)
    folds = tuple(FoldModel(stand_in(training.source), f.validation) for f in training.folds)
    everybody = sorted(scan.participant_id for scan in training.source.scans)
    asked = sorted(training.folds[0].validation) if n_folds == 1 else everybody
    people = pd.DataFrame({"age": 30.0}, index=everybody)
    found = run_controls(study_of(people, tmp_path), training, folds, seconds_per_fold=1.0)
    networks = ["shuffled", "headmask", "brainonly", "headwithoutbrain", "withoutblocks"]
    if effort == "full":
        networks += ["withoutmaskblock", "withoutkeepblock"]
        assert set(found.skipped) == {"metadata"}
    else:
        assert {found.skipped[f"without{part}block"] for part in ("mask", "keep")} == {
            "--effort quick"
        }
    assert sorted(trained) == sorted(f"{n}-{f}" for n in networks for f in range(1, n_folds + 1))
    for name in networks:
        assert found.predictions[name][1] == effort
        assert people_of(found.predictions[name][0]) == asked
    for name in ("covariates", "histogram"):  # these take seconds
        assert found.predictions[name][1] == "full"
        assert people_of(found.predictions[name][0]) == everybody
    assert set(found.visible) == {"network", *(n for n in networks if n.startswith("without"))}
    for shares in found.visible.values():
        assert sorted(set(shares["participant_id"])) == asked


def test_the_histogram_is_that_of_the_head_alone():
    toys = ToyVolumes(n_per_site=2, n_sites=2, shape=SHAPE)
    half = TransformedVolumes(toys, lambda index, _: toys.head_mask(index) * np.float32(0.5))
    table = head_histograms(half)
    assert list(table.index) == [scan.key for scan in toys.scans]
    assert table.sum(axis=1).to_numpy() == pytest.approx(np.ones(4))
    # One level in the head; with the air, 0 would lead everywhere.
    assert (table["bin_0"] == 0).all()
    assert (table.max(axis=1) == 1).all()


@pytest.mark.parametrize("method", ["forest", "logistic"])
def test_a_large_site_has_no_advantage_before_anything_is_known(tmp_path, method):
    toys = ToyVolumes(n_per_site=16, n_sites=2, shape=SHAPE)
    uneven = SelectedVolumes(toys, range(20))  # 16 and 4
    training = make_training(tmp_path, source=uneven)
    features = pd.DataFrame({"mm": 1.0}, [scan.key for scan in uneven.scans])
    found = shortcut_predictions(training, features, method=method, name="metadata")
    # Unweighted it would be .8 for everybody.
    assert found[f"p_{SITES[0]}"].to_numpy() == pytest.approx(0.5, abs=0.03)
