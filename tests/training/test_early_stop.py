"""Scans kept aside: they choose the epoch and the temperature, and give no gradient."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bids_harmonize.config import ClassifierSettings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.training.classifier import (
    TrainingPlan,
    ask,
    load_classifier,
    predict,
    save_classifier,
    train_classifier,
)
from bids_harmonize.training.volumes import SelectedVolumes, TransformedVolumes
from tests.training.toys import SITES, ToyVolumes, cpu_runtime

TOYS = ToyVolumes(n_per_site=10, n_sites=2, shape=(16, 20, 16))
ASIDE = (8, 9, 18, 19)
# 24 epochs of 3 batches: long enough for a least loss before the end
SETTINGS = ClassifierSettings(n_epochs=24, early_stop=True, min_epochs=2, patience_epochs=2)


class KilledError(Exception):
    """Stands for kill -9."""


def train(source=TOYS, *, monitor=ASIDE, settings=SETTINGS, path=None):
    plan = TrainingPlan(runtime=cpu_runtime(), seed=0, name="toy", checkpoint_path=path)
    named = [scan.site for scan in source.scans]
    return train_classifier(
        source, named, sites=SITES[:2], settings=settings, plan=plan, monitor=monitor
    )


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    path = tmp_path_factory.mktemp("stop") / "state.pt"
    return train(path=path), torch.load(path, weights_only=True)


def test_the_training_ends_patience_epochs_after_the_least_loss(stopped):
    classifier, state = stopped
    losses = [row.get("monitor_loss", np.inf) for row in state["history"]]
    kept = classifier.stopping.kept_epoch
    assert losses.index(min(losses)) == kept - 1
    assert len(losses) == min(kept + SETTINGS.patience_epochs, SETTINGS.n_epochs)
    assert len(losses) < SETTINGS.n_epochs
    assert classifier.stopping.n_monitor == 4


def test_the_weights_of_the_least_loss_are_kept(stopped):
    classifier, state = stopped
    aside = SelectedVolumes(TOYS, ASIDE)
    logits = torch.from_numpy(ask(classifier, aside).logits)
    targets = torch.tensor([0, 0, 1, 1])
    loss = F.cross_entropy(logits, targets, label_smoothing=SETTINGS.label_smoothing).item()
    least = min(row.get("monitor_loss", np.inf) for row in state["history"])
    assert loss == pytest.approx(least, rel=1e-4)
    assert state["history"][-1]["monitor_loss"] > 1.001 * least


def test_a_killed_training_with_scans_aside_ends_with_the_same_bits(stopped, tmp_path):
    reads = iter(range(130))  # within the fourth epoch

    def read(_, volume):
        if next(reads, None) is None:
            raise KilledError
        return volume

    with pytest.raises(KilledError):
        train(TransformedVolumes(TOYS, read), path=tmp_path / "state.pt")
    assert (tmp_path / "state.pt").is_file()
    again = train(path=tmp_path / "state.pt")
    one, two = again.network.state_dict(), stopped[0].network.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert again.temperature == stopped[0].temperature


def test_scans_aside_give_no_gradient():
    to_the_end = replace(SETTINGS, n_epochs=4, min_epochs=24)

    def darker(index, volume):
        return volume * np.float32(0.5) if index in ASIDE else volume

    first, second = (
        train(settings=to_the_end),
        train(TransformedVolumes(TOYS, darker), settings=to_the_end),
    )
    one, two = first.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_without_scans_aside_the_last_weights_stay_and_the_temperature_is_one():
    found = train(monitor=(), settings=replace(SETTINGS, n_epochs=2))
    assert (found.temperature, found.stopping.n_monitor) == (1.0, 0)
    assert found.stopping.kept_epoch == found.stopping.n_epochs


@pytest.mark.parametrize("network", ["sfcn", "densenet121", "resnet18"])
def test_every_network_trains_with_batches_of_two_and_is_saved_whole(network, tmp_path):
    toys = ToyVolumes(n_per_site=2, n_sites=2, shape=(32, 32, 32))
    settings = ClassifierSettings(n_epochs=1, batch_size=2, network=network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bids_harmonize.training.classifier_fit._LEAST_ITERATIONS", 1)
        trained = train(toys, monitor=(), settings=settings)
    assert trained.architecture == network
    save_classifier(tmp_path, trained, {})
    loaded, model = load_classifier(tmp_path, cpu_runtime())
    assert model["architecture"] == network
    assert np.array_equal(predict(loaded, toys), predict(trained, toys))


def test_a_grid_too_small_for_the_network_is_refused_with_a_way_out():
    with pytest.raises(UnusableDataError, match="finer --network-resolution"):
        train(monitor=(), settings=ClassifierSettings(network="densenet121"))


def test_a_site_that_was_never_seen_lies_farther_than_those_that_were():
    toys = ToyVolumes(n_per_site=12, n_sites=2, seed=3)
    seen = SelectedVolumes(toys, [*range(8), *range(12, 20)])
    known = SelectedVolumes(toys, [*range(8, 12), *range(20, 24)])
    # A plainly different scanner: the toys' own third site lies among the others' odd scans.
    far = ToyVolumes(n_per_site=12, n_sites=3, seed=3, effect=10)
    strange = SelectedVolumes(far, list(range(24, 36)))
    classifier = train(seen, monitor=(), settings=ClassifierSettings(n_epochs=2))
    scores = ask(classifier, strange).unseen_scores
    assert np.median(scores) > ask(classifier, known).unseen_scores.max()
