import shutil
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.config import ClassifierSettings, ResourceSettings
from bids_harmonize.imaging.intensity import Scaling
from bids_harmonize.stages.classification.models import FoldModel, unseen_predictions
from bids_harmonize.stages.evaluation.forest_probe import forest_predictions, texture_table
from bids_harmonize.stages.evaluation.fresh_probe import FreshProbe, ProbeTraining, fresh_answers
from bids_harmonize.stages.evaluation.probes import (
    histogram_mmd,
    person_predictions,
    probe_row,
    too_small_half,
)
from bids_harmonize.stages.kept_answers import KeptAnswers
from bids_harmonize.stages.trainings import Trainers
from bids_harmonize.training.classifier import TrainingPlan, train_classifier
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.splits import make_halves
from bids_harmonize.training.volumes import ScanFiles, SelectedVolumes

SHAPE = (16, 16, 16)
SETTINGS = ClassifierSettings(
    n_epochs=15, flip_probability=0, mask_block_probability=0, keep_block_probability=0
)


@dataclass
class BrightVolumes:
    """Noise; at site B the left half is brighter by ``step``, as by a coil."""

    step: float
    n_per_site: int = 10

    def __post_init__(self):
        self.scans = tuple(
            ScanFiles(f"sub-{site}{n}_run-{run}", f"sub-{site}{n}", site, None, None, None)
            for site in "AB"
            for n in range(self.n_per_site)
            for run in ((1, 2) if n == 0 else (1,))
        )
        self.shape = SHAPE
        self.voxel_size_mm = 4.0

    def __len__(self):
        return len(self.scans)

    def volume(self, index):
        rng = np.random.default_rng(index)
        texture = 0.5 + 0.1 * rng.normal(size=SHAPE)
        texture[:8] += self.step * (self.scans[index].site == "B")
        return np.where(self.head_mask(index), texture, 0).astype(np.float32)

    def head_mask(self, index):
        return np.pad(np.ones((12, 12, 12), dtype=bool), 2)

    def brain_mask(self, index):
        return self.head_mask(index)

    def scaling(self, index):
        return Scaling(0.0, 1.0)


@pytest.fixture(scope="module", autouse=True)
def _short_training():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("bids_harmonize.training.classifier_fit._LEAST_ITERATIONS", 24)
        yield


RESOURCES = ResourceSettings(device="cpu", nprocs=1)
"""What a test changes in this process would not be changed in others."""


@pytest.fixture(scope="module")
def runtime():
    return make_runtime(RESOURCES)


def _halves(images):
    return make_halves({scan.participant_id: scan.site for scan in images.scans}, seed=0)


def _training(**changes):
    wanted = {"settings": SETTINGS, "n_folds": 2, "seed": 0} | changes
    return ProbeTraining(name="identity", **wanted)


def _fresh(images, runtime, folder, *, resume=True, **changes):
    probe = FreshProbe(images, _halves(images), _training(**changes))
    with Trainers(runtime, RESOURCES, SHAPE) as trainers:
        (found,) = fresh_answers([probe], trainers=trainers, kept=KeptAnswers(folder, resume))
    return found


def _row(predictions, probe="reseeded"):
    return probe_row(predictions, probe=probe, reference_site="A", rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def answers_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def found(runtime, answers_folder):
    return _fresh(BrightVolumes(step=0.5), runtime, answers_folder)


def test_every_scan_is_predicted_once_by_a_fresh_probe(found):
    keys = found.predictions["key"]
    assert sorted(keys) == sorted(scan.key for scan in BrightVolumes(step=0.5).scans)


def test_a_fresh_probe_finds_a_site_that_is_there(found):
    row = _row(found.predictions)
    assert row["balanced_accuracy"] > 0.9
    assert row["leak_suspected"] is False
    assert row["n"] == 20
    assert found.train_accuracy == 1
    assert row["chance"] == 0.5


def test_a_killed_run_trains_only_the_folds_that_are_missing(
    found, runtime, answers_folder, monkeypatch
):
    """The folds that are kept are equal to the last bit; the other is trained again, as it was."""
    trained = []

    def train(*args, plan, **settings):
        trained.append(plan.name)
        return train_classifier(*args, plan=plan, **settings)

    monkeypatch.setattr("bids_harmonize.stages.evaluation.fresh_probe.train_classifier", train)
    (answers_folder / "identity_seed-0_fold-2-1.json").unlink()
    again = _fresh(BrightVolumes(step=0.5), runtime, answers_folder)
    assert trained == ["probe-half2-1"]
    pd.testing.assert_frame_equal(again.predictions, found.predictions, check_exact=True)
    assert again.train_accuracy == found.train_accuracy


@pytest.mark.parametrize(
    ("step", "changes"),
    [(0.4, {}), (0.5, {"length": 2}), (0.5, {"resume": False})],
    ids=["other images", "a longer training", "--no-resume"],
)
def test_answers_that_something_else_shaped_are_not_used(
    step, changes, found, runtime, answers_folder, tmp_path, monkeypatch
):
    """The network is taken away, so whoever asks it fails."""
    shutil.copytree(answers_folder, tmp_path / "answers")
    monkeypatch.delattr("bids_harmonize.stages.evaluation.fresh_probe.train_classifier")
    with pytest.raises(NameError, match="train_classifier"):
        _fresh(BrightVolumes(step=step), runtime, tmp_path / "answers", **changes)


def test_a_fresh_probe_stays_near_chance_where_no_site_is(runtime, tmp_path):
    found = _fresh(BrightVolumes(step=0.0), runtime, tmp_path)
    row = _row(found.predictions)
    assert found.train_accuracy > 0.9  # it has learnt its own scans by heart
    assert row["low"] <= 0.5 <= row["high"]
    assert 0.2 <= row["balanced_accuracy"] <= 0.8
    assert row["leak_suspected"] is False


def test_a_longer_training_is_longer_for_few_scans_too():
    """Few scans get more epochs than the settings say; those count."""
    training = _training(length=4)
    assert training.settings_for(["A", "B"] * 30).n_epochs == 4 * 15
    assert training.settings_for(["A", "B"] * 2).n_epochs == 4 * 24  # one batch, 24 steps at least


def test_folds_stay_inside_a_half(found):
    halves = _halves(BrightVolumes(step=0.5))
    for fold, rows in found.predictions.groupby("fold"):
        assert set(rows["participant_id"]) <= halves[int(fold[0]) - 1]


def test_the_frozen_probe_is_fooled_by_images_made_to_look_like_the_reference(runtime):
    raw, made = BrightVolumes(step=0.5), BrightVolumes(step=0.0)
    plan = TrainingPlan(runtime=runtime, seed=0, name="fold")
    folds = []
    for half in _halves(raw):
        chosen = [n for n, scan in enumerate(raw.scans) if scan.participant_id not in half]
        seen = SelectedVolumes(raw, chosen)
        labels = [scan.site for scan in seen.scans]
        classifier = train_classifier(seen, labels, sites="AB", settings=SETTINGS, plan=plan)
        folds.append(FoldModel(classifier, held_out=half))
    before = _row(unseen_predictions(raw, folds), probe="frozen")
    after = _row(unseen_predictions(made, folds), probe="frozen")
    assert before["balanced_accuracy"] > 0.9
    assert before["share_reference"] < 0.2
    assert after["share_reference"] > 0.8
    assert after["leak_suspected"] is None


def test_a_probe_below_every_permutation_is_a_suspected_leak():
    people = 40
    true = ["A", "B"] * (people // 2)
    frame = pd.DataFrame(
        {
            "key": [f"k{n}" for n in range(people)],
            "participant_id": [f"sub-{n}" for n in range(people)],
            "site": true,
            "fold": [str(n // 20) for n in range(people)],
            "p_A": [0.1 if site == "A" else 0.9 for site in true],
            "p_B": [0.9 if site == "A" else 0.1 for site in true],
        }
    )
    row = _row(frame)
    assert row["balanced_accuracy"] == 0.0
    assert 0.1 < row["null_q001"] < 0.45
    assert row["leak_suspected"] is True


def test_the_scans_of_a_person_are_averaged_before_the_site_is_named():
    frame = pd.DataFrame(
        {
            "key": ["a", "b", "c", "d"],
            "participant_id": ["sub-1", "sub-1", "sub-1", "sub-2"],
            "site": "A",
            "fold": "0",
            "p_A": [0.4, 0.9, 0.4, 0.3],
            "p_B": [0.6, 0.1, 0.6, 0.7],
        }
    )
    assert list(person_predictions(frame)["predicted"]) == ["A", "B"]


def test_histograms_of_a_brighter_site_are_farther_away():
    near = histogram_mmd(BrightVolumes(step=0.0), reference_site="A")
    far = histogram_mmd(BrightVolumes(step=0.5), reference_site="A")
    assert abs(near) < 0.1
    assert far > near + 0.3


def test_a_half_with_four_people_of_a_site_cannot_tell():
    site_of = {f"sub-{site}{n}": site for site in "AB" for n in range(9)}
    halves = make_halves(site_of, seed=0)
    assert "has 4 participants" in too_small_half(site_of, halves, ("A", "B"))
    more = {f"sub-{site}{n}": site for site in "AB" for n in range(10)}
    assert too_small_half(more, make_halves(more, seed=0), ("A", "B")) is None


def test_without_half_models_nothing_can_be_told():
    assert "no harmonizer was fitted on halves" in too_small_half({}, (), ("A", "B"))


def _forest(step, *, seed=0):
    images = BrightVolumes(step)
    table = texture_table(images)
    predictions = forest_predictions(table, _halves(images), n_folds=5, seed=seed)
    rng = np.random.default_rng(0)
    return table, probe_row(predictions, probe="forest", reference_site="A", rng=rng)


def test_a_forest_on_texture_names_a_site_whose_coil_is_brighter_on_one_side():
    table, row = _forest(0.1)
    assert len(table) == 22
    assert row["n"] == 20
    assert row["balanced_accuracy"] == 1.0
    assert row["leak_suspected"] is False


def test_a_forest_finds_nothing_where_sites_are_alike():
    accuracies = [_forest(0.0, seed=seed)[1]["balanced_accuracy"] for seed in range(3)]
    assert np.mean(accuracies) == pytest.approx(0.5, abs=0.25)


def test_the_same_seed_grows_the_same_forest_and_every_scan_is_asked_once():
    images = BrightVolumes(0.02)
    table = texture_table(images)
    first, again = (
        forest_predictions(table, _halves(images), n_folds=5, seed=3) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert sorted(first["key"]) == sorted(table.index)
