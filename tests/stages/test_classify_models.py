"""How the folds' networks and the final one are calibrated, and who may steer a training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_harmonize.config import make_settings
from bids_harmonize.stages.classification.models import (
    LEAST_BESIDE_MONITOR,
    ClassifierTraining,
    cross_validate,
    sites_of,
)
from bids_harmonize.stats.calibration import fit_temperature
from bids_harmonize.training.classifier import Classifier, ask
from bids_harmonize.training.site_model import FeatureSpread, Stopping
from bids_harmonize.training.splits import make_folds
from bids_harmonize.training.views import SelectedVolumes, TransformedVolumes
from tests.training.toys import SITES, ToyVolumes, cpu_runtime

SHAPE = (8, 8, 8)
TRAIN = "bids_harmonize.stages.classification.models.train_classifier"
TOYS = ToyVolumes(n_per_site=6, n_sites=2, shape=SHAPE)
SLOPES = {"fold-1": 2.0, "fold-2": 0.7, "fold-3": 5.0, "final": 1.0}


def make_levels(levels=None):
    """Flat volumes of a level each; by default one in three is on the other site's side."""
    if levels is None:
        levels = [side * (-1.0 if n % 3 == 0 else 1.0 + 0.1 * n)
                  for side in (-1, 1) for n in range(6)]  # fmt: skip

    def flat(index, _):
        return np.full(SHAPE, levels[index], dtype=np.float32)

    return TransformedVolumes(TOYS, flat)


class Mean(torch.nn.Module):
    """Log-odds of the second site: slope times the mean of the volume."""

    def __init__(self, slope):
        super().__init__()
        self.head = torch.nn.Linear(1, 2)
        weights = {"weight": torch.tensor([[0.0], [slope]]), "bias": torch.zeros(2)}
        self.head.load_state_dict(weights)

    def embed(self, volumes):
        return volumes.mean(dim=(1, 2, 3, 4))[:, None]  # (B, 1)


def make_classifier(slope, *, kept=4, n_monitor=0, temperature=1.0):
    return Classifier(
        network=Mean(slope),
        sites=SITES[:2],
        shape=SHAPE,
        voxel_size_mm=TOYS.voxel_size_mm,
        device=torch.device("cpu"),
        temperature=temperature,
        spread=FeatureSpread(np.array([[-1.0], [1.0]]), np.eye(1) * slope**2),
        stopping=Stopping(n_epochs=8, kept_epoch=kept, n_monitor=n_monitor),
    )


def make_training(folder, source, *, classifier=None):
    site_of = {scan.participant_id: scan.site for scan in source.scans}
    return ClassifierTraining(
        source=source,
        folds=make_folds(site_of, n_folds=3, seed=0),
        sites=SITES[:2],
        settings=make_settings({"classifier": classifier or {}}, source="test"),
        runtime=cpu_runtime(),
        folder=folder,
        fingerprint="levels",
    )


@pytest.fixture
def fits(monkeypatch):
    """Every call of the training, answered by a network of a known slope."""
    seen = []

    def train(source, labels, *, plan, monitor=(), **_):
        seen.append((plan, list(labels), list(monitor), source))
        kept = {"fold-1": 2, "fold-2": 8, "fold-3": 6}.get(plan.name, 4)
        return make_classifier(slopes.get(plan.name, 1.0), kept=kept, n_monitor=len(monitor))

    slopes = dict(SLOPES)
    monkeypatch.setattr(TRAIN, train)
    return seen, slopes


def temperatures(folds):
    return [fold.classifier.temperature for fold in folds]


def thresholds(folds):
    return [fold.classifier.unseen_threshold for fold in folds]


def unseen_answers(training, number):
    """Logits, true columns and scores of the people that a fold's network has not seen."""
    people = training.folds[number].validation
    places = [n for n, s in enumerate(training.source.scans) if s.participant_id in people]
    scans = SelectedVolumes(training.source, places)
    found = ask(make_classifier(SLOPES[f"fold-{number + 1}"]), scans)
    return found.logits, [SITES.index(site) for site in sites_of(scans)], found.unseen_scores


def test_a_folds_temperature_is_fitted_on_the_unseen_people_of_the_other_folds(tmp_path, fits):
    training = make_training(tmp_path, make_levels())
    folds = cross_validate(training)
    for number, fold in enumerate(folds):
        others = [unseen_answers(training, n) for n in range(3) if n != number]
        logits = np.concatenate([other[0] for other in others])
        true = np.concatenate([other[1] for other in others])
        assert fold.classifier.temperature == fit_temperature(logits, true)
        scores = np.sort(np.concatenate([other[2] for other in others]))
        assert fold.classifier.unseen_threshold == scores[int(np.ceil(0.95 * len(scores))) - 1]
    assert len(set(temperatures(folds))) == 3


def test_a_folds_temperature_never_sees_its_own_unseen_people(tmp_path, fits):
    first = make_training(tmp_path / "one", make_levels())
    before = cross_validate(first)
    own = first.folds[1].validation
    levels = [
        -9.0 if scan.participant_id in own else float(make_levels().volume(index)[0, 0, 0])
        for index, scan in enumerate(TOYS.scans)
    ]
    after = cross_validate(make_training(tmp_path / "two", make_levels(levels)))
    for found in (temperatures, thresholds):
        same = [a == b for a, b in zip(found(before), found(after), strict=True)]
        assert same == [False, True, False]


def test_a_folds_temperature_does_not_depend_on_its_own_network(tmp_path, fits):
    training = make_training(tmp_path, make_levels())
    before = cross_validate(training)
    fits[1]["fold-3"] = 0.01
    after = cross_validate(training)
    same = [a == b for a, b in zip(temperatures(before), temperatures(after), strict=True)]
    assert same == [False, False, True]


def test_a_temperature_of_the_early_stops_own_people_is_kept(tmp_path, monkeypatch):
    def train(*_, plan, **__):
        return make_classifier(SLOPES[plan.name], n_monitor=4, temperature=3.25)

    monkeypatch.setattr(TRAIN, train)
    folds = cross_validate(make_training(tmp_path, make_levels()))
    assert temperatures(folds) == [3.25] * 3
    assert all(found > 0 for found in thresholds(folds))


def test_the_final_network_ends_where_the_folds_were_best_and_is_calibrated_by_all(tmp_path, fits):
    training = make_training(tmp_path, make_levels(), classifier={"early_stop": True})
    final = training.train_final(cross_validate(training))
    plan, labels, monitor, source = fits[0][-1]
    assert (plan.name, plan.checkpoint_path) == ("final", tmp_path / "final.pt")
    assert plan.share == 6 / 8  # of 2, 8 and 6 epochs of 8 the median
    assert (len(source), labels, monitor) == (12, sites_of(TOYS), [])
    answers = [unseen_answers(training, n) for n in range(3)]
    logits, true, scores = (np.concatenate(part) for part in zip(*answers, strict=True))
    assert final.temperature == fit_temperature(logits, true)
    assert final.unseen_threshold == np.sort(scores)[int(np.ceil(0.95 * 12)) - 1]
    assert final.network.head.weight[1].item() == SLOPES["final"]


def test_the_folds_are_trained_on_everybody_else_under_their_own_names(tmp_path, fits):
    training = make_training(tmp_path, make_levels())
    cross_validate(training)
    for (_, labels, monitor, source), fold in zip(fits[0], training.folds, strict=True):
        people = {scan.participant_id for scan in source.scans}
        assert people == fold.train
        assert not people & fold.validation
        assert labels == sites_of(source)
        assert monitor == []
    assert [plan.name for plan, *_ in fits[0]] == ["fold-1", "fold-2", "fold-3"]
    assert {plan.share for plan, *_ in fits[0]} == {1.0}


def steered_by(training, fits, source):
    training.train(source, sites_of(source), "fold-1")
    return fits[0][-1][2]


def test_a_monitor_needs_eight_people_a_site_beside_it(tmp_path, fits, caplog):
    caplog.set_level("INFO")
    toys = ToyVolumes(n_per_site=LEAST_BESIDE_MONITOR + 2, n_sites=2, shape=SHAPE)
    training = make_training(tmp_path, toys, classifier={"early_stop": True})
    monitor = steered_by(training, fits, toys)
    assert sorted(toys.scans[index].site for index in monitor) == ["Leeds"] * 2 + ["Nara"] * 2
    assert "no early stop" not in caplog.text
    fewer = SelectedVolumes(toys, range(1, len(toys)))  # one of the first site is missing
    assert steered_by(training, fits, fewer) == []
    assert "fold-1: no early stop and no calibration" in caplog.text
    assert "would have 7 to train on, fewer than 8" in caplog.text


def test_all_scans_of_a_steering_person_give_no_gradient(tmp_path, fits):
    toys = ToyVolumes(n_per_site=LEAST_BESIDE_MONITOR + 2, n_sites=2, shape=SHAPE)
    twice = SelectedVolumes(toys, [*range(len(toys)), *range(len(toys))])
    training = make_training(tmp_path, toys, classifier={"early_stop": True})
    monitor = steered_by(training, fits, twice)
    steering = {twice.scans[index].participant_id for index in monitor}
    assert (len(monitor), len(steering)) == (8, 4)
    rest = {s.participant_id for n, s in enumerate(twice.scans) if n not in monitor}
    assert not rest & steering


def test_without_early_stop_nobody_steers(tmp_path, fits):
    toys = ToyVolumes(n_per_site=12, n_sites=2, shape=SHAPE)
    assert steered_by(make_training(tmp_path, toys), fits, toys) == []
    settings = replace(make_settings({}, source="test").classifier, early_stop=True)
    training = make_training(tmp_path, toys)
    stops = replace(training, settings=replace(training.settings, classifier=settings))
    assert len(steered_by(stops, fits, toys)) == 4
