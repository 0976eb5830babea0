"""Several processes in one training: what they give is what one gives."""

import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from bids_harmonize.config import ResourceSettings
from bids_harmonize.training.crew import ALONE
from bids_harmonize.training.crew_start import crew_in
from bids_harmonize.training.generation import generate
from bids_harmonize.training.joint import train_joint
from bids_harmonize.training.pair_data import PairData
from bids_harmonize.training.pair_training import PairTraining
from bids_harmonize.training.pairs import PairRun, PairTask, train_pairs
from bids_harmonize.training.runtime import make_runtime
from tests.harmonizers.small_study import make_volumes
from tests.training.pair_cases import GAN, equal, farthest, two_sites

TWENTY = replace(GAN, n_iterations=20, check_every=10)
TWO = ResourceSettings(device="cpu", devices=2, nprocs=2)
LOCAL = {"cycle_weight": 0.0, "adversarial_weight": 0.0}
RESIDUAL = {
    "generator": "residual",
    "residual_width": 4,
    "residual_blocks": 1,
    "histogram_weight": 0.0,
    "smoothness_weight": 0.0,
}


@pytest.fixture(scope="module")
def crew():
    with crew_in(TWO, None) as crew:
        yield crew


def runtime(crew):
    return make_runtime(ResourceSettings(device="cpu", nprocs=1), crew)


def task(data, folder, settings=TWENTY, *, resume=True):
    run = PairRun(name="pair", folder=folder, resume=resume, fingerprint="x")
    return PairTask(data=data, settings=settings, seed=0, sharpens=True, run=run)


def image(data, settings, weights):
    """The first scan after a generator with these weights."""
    size = data.volumes.voxel_size_mm
    generator = settings.make_generator(voxel_size_mm=size, sharpened_mm=data.seen.voxel_size_mm)
    generator.load_state_dict(weights)
    head = data.volumes.head_mask(0)
    return generate(generator.eval(), data.volumes.volume(0), head_mask=head, voxel_size_mm=size)


@pytest.mark.parametrize(
    ("of_losses", "fine"),
    [({}, False), ({}, True), (LOCAL, False), (LOCAL, True), (RESIDUAL, False)],
    ids=["gan", "gan-boxes", "local", "local-boxes", "residual"],
)
def test_two_processes_train_a_pair_as_one_does(tmp_path, crew, of_losses, fine):
    data, settings = two_sites(fine=fine), replace(TWENTY, **of_losses)
    one = task(data, tmp_path / "one", settings)(runtime(ALONE))
    two = task(data, tmp_path / "two", settings)(runtime(crew))
    untouched = data.volumes.volume(0)
    for direction, weights in one.weights.items():
        assert farthest(weights, two.weights[direction]) < 1e-5
        alone, together = (
            image(data, settings, found) for found in (weights, two.weights[direction])
        )
        assert np.abs(alone - untouched).max() > 0.002
        assert np.abs(alone - together).max() < 1e-5
    for first, second in zip(one.rows, two.rows, strict=True):
        assert first == pytest.approx(second, rel=1e-4)


@pytest.mark.parametrize("of_losses", [{}, LOCAL], ids=["gan", "local"])
def test_two_processes_train_a_joint_model_as_one_does(tmp_path, crew, of_losses):
    people = {"A": (1, 2, 3), "B": (5, 6), "C": (7,)}
    watched = {"A": (0,), "B": (4,), "C": (7,)}
    data = PairData(volumes=make_volumes(4), train=people, monitor=watched)
    one, two = (
        train_joint(
            data,
            replace(TWENTY, **of_losses),
            reference="A",
            runtime=runtime(who),
            seed=1,
            sharpens=True,
            run=PairRun(name="j", folder=tmp_path / str(n), resume=False, fingerprint="x"),
        )
        for n, who in enumerate((ALONE, crew))
    )
    assert farthest(one.weights, two.weights) < 1e-5
    for first, second in zip(one.rows, two.rows, strict=True):
        assert first.pop("source_site") == second.pop("source_site")
        assert first == pytest.approx(second, rel=1e-4)


def test_with_helpers_a_resumed_training_equals_the_uninterrupted(tmp_path, crew, monkeypatch):
    data = two_sites()
    whole = task(data, tmp_path / "whole", GAN)(runtime(crew))
    with monkeypatch.context() as patch:
        original = PairTraining.step

        def killed(self, iteration):
            if iteration == 3:
                raise ValueError("the power went out")
            return original(self, iteration)

        patch.setattr(PairTraining, "step", killed)
        with pytest.raises(ValueError, match="the power"):
            task(data, tmp_path / "cut", GAN)(runtime(crew))
    again = task(data, tmp_path / "cut", GAN)(runtime(crew))
    assert equal(whole, again)


def test_several_pairs_are_spread_with_equal_bits(tmp_path, crew):
    data = two_sites()
    tasks = {
        who: [
            task(data, tmp_path / f"{name}-{n}", replace(GAN, learning_rate=rate))
            for n, rate in enumerate((1e-3, 2e-3, 3e-3))
        ]
        for name, who in (("one", ALONE), ("two", crew))
    }
    alone, spread = (train_pairs(some, runtime=runtime(who)) for who, some in tasks.items())
    for first, second in zip(alone, spread, strict=True):
        assert equal(first, second)
    assert not equal(alone[0], alone[1])


def own_process(number, runtime):
    assert runtime.crew.is_alone
    return number, os.getpid()


def test_each_process_does_its_part_and_answers_keep_their_order(crew):
    answers = crew.each([partial(own_process, n) for n in range(5)], runtime(crew))
    assert [number for number, _ in answers] == [0, 1, 2, 3, 4]
    assert len({process for _, process in answers}) == 2
