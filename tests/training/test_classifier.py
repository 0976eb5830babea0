"""Training the site classifier on toy heads."""

from collections import Counter

import numpy as np
import pytest
import torch

from bids_harmonize.config import ClassifierSettings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.training import classifier_fit
from bids_harmonize.training.augmentation import draw_augmentation
from bids_harmonize.training.classifier import (
    TrainingPlan,
    balanced_order,
    load_classifier,
    predict,
    save_classifier,
    train_classifier,
)
from bids_harmonize.training.classifier_plan import augmentation_settings
from bids_harmonize.training.volumes import SelectedVolumes, TransformedVolumes
from tests.training.toys import SITES, ToyVolumes, cpu_runtime

TOYS = ToyVolumes(n_per_site=12, n_sites=2)
SEEN = SelectedVolumes(TOYS, [*range(8), *range(12, 20)])
UNSEEN = SelectedVolumes(TOYS, [*range(8, 12), *range(20, 24)])
SHORT = ClassifierSettings(n_epochs=2)  # 60 steps are the least


class KilledError(Exception):
    """Stands for kill -9."""


def labels(source):
    return [scan.site for scan in source.scans]


def train(source=SEEN, *, settings=SHORT, seed=0, path=None, name="toy"):
    plan = TrainingPlan(runtime=cpu_runtime(), seed=seed, name=name, checkpoint_path=path)
    return train_classifier(source, labels(source), sites=SITES[:2], settings=settings, plan=plan)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(path=tmp_path_factory.mktemp("whole") / "state.pt")


def same_weights(first, second):
    one, two = (classifier.network.state_dict() for classifier in (first, second))
    return all(torch.equal(one[name], two[name]) for name in one)


def test_it_names_the_site_of_heads_it_has_not_seen(trained):
    probabilities = predict(trained, UNSEEN)
    assert np.allclose(probabilities.sum(axis=1), 1)
    named = [SITES[index] for index in probabilities.argmax(axis=1)]
    assert sum(a == b for a, b in zip(named, labels(UNSEEN), strict=True)) >= 7


def test_a_training_that_was_killed_ends_with_the_same_weights(trained, tmp_path):
    reads = iter(range(200))  # a little more than half of the 360 volumes

    def read(_, volume):
        if next(reads, None) is None:
            raise KilledError
        return volume

    with pytest.raises(KilledError):
        train(TransformedVolumes(SEEN, read), path=tmp_path / "state.pt")
    assert (tmp_path / "state.pt").is_file()
    assert same_weights(train(path=tmp_path / "state.pt"), trained)


def test_the_seed_decides_the_weights(trained):
    assert not same_weights(train(seed=1), trained)


def test_saved_and_loaded_it_says_the_same(trained, tmp_path):
    save_classifier(tmp_path, trained, {"fold": 1})
    loaded, model = load_classifier(tmp_path, cpu_runtime())
    assert np.array_equal(predict(loaded, UNSEEN), predict(trained, UNSEEN))
    assert (model["fold"], model["sites"], model["voxel_size_mm"]) == (1, list(SITES[:2]), 8.0)


def test_the_order_of_scans_does_not_change_predictions(trained):
    backwards = SelectedVolumes(UNSEEN, range(len(UNSEEN))[::-1])
    assert np.allclose(predict(trained, backwards)[::-1], predict(trained, UNSEEN), atol=1e-6)


def test_volumes_of_another_grid_are_refused(trained):
    other = ToyVolumes(n_per_site=1, n_sites=1, shape=(16, 16, 16))
    with pytest.raises(UnusableDataError, match="network-resolution"):
        predict(trained, other)


def test_a_site_without_training_scans_is_named():
    plan = TrainingPlan(runtime=cpu_runtime(), seed=0, name="toy")
    with pytest.raises(UnusableDataError, match="Nara"):
        train_classifier(
            SelectedVolumes(TOYS, [0, 1]),
            ["Leeds", "Leeds"],
            sites=SITES[:2],
            settings=SHORT,
            plan=plan,
        )


def test_a_small_site_is_drawn_as_often_as_a_large_one():
    classes = [0] * 8 + [1] * 32
    order = balanced_order(classes, np.random.default_rng(0))
    assert Counter(classes[index] for index in order) == {0: 20, 1: 20}
    counts = Counter(index for index in order if classes[index] == 0)
    assert set(counts.values()) == {2, 3}
    assert max(Counter(index for index in order if classes[index] == 1).values()) == 1


def test_a_training_draws_more_blocks_from_step_to_step(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        classifier_fit,
        "draw_augmentation",
        lambda rng, shape, how: (
            drawn.append(how.keep_block_probability) or draw_augmentation(rng, shape, how)
        ),
    )
    train(settings=ClassifierSettings(n_epochs=2, keep_block_probability=0.6))
    assert drawn[0] == 0
    assert drawn == sorted(drawn)
    assert drawn[-1] == pytest.approx(0.6 * 59 / 60, abs=0.02)


def test_blocks_come_as_the_training_goes_on() -> None:
    settings = ClassifierSettings(flip_probability=0.4, keep_block_probability=0.5)
    start, half, end = (augmentation_settings(settings, share) for share in (0, 0.5, 1))
    assert [one.mask_block_probability for one in (start, half, end)] == [0, 0.125, 0.25]
    assert [one.keep_block_probability for one in (start, half, end)] == [0, 0.25, 0.5]
    assert [one.flip_probability for one in (start, half, end)] == [0.4, 0.4, 0.4]
