import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from bids_harmonize.errors import PreemptedError
from bids_harmonize.preemption import stopping_on_signals
from bids_harmonize.training import pair_training
from bids_harmonize.training.pair_data import PairSettings
from bids_harmonize.training.pair_steps import rate_share
from bids_harmonize.training.pair_training import PairTraining
from tests.harmonizers.small_study import cpu_runtime, make_volumes
from tests.training.pair_cases import GAN, KilledError, equal, train, two_sites


@pytest.fixture(scope="module")
def data():
    return two_sites()


RESIDUAL = replace(
    GAN, generator="residual", residual_width=4, residual_blocks=1, histogram_weight=0.0,
    smoothness_weight=0.0, identity_weight=5.0, cycle_weight=10.0, adversarial_weight=1.0,
)  # fmt: skip


@pytest.mark.parametrize(("settings", "iteration"), [(GAN, 3), (GAN, 4), (RESIDUAL, 3)])
def test_a_killed_training_goes_on_to_the_same_weights(
    data, tmp_path, monkeypatch, settings, iteration
):
    whole = train(data, settings, tmp_path / "whole")
    step = PairTraining.step

    def killing_step(self, number):
        if number == iteration:
            raise KilledError
        return step(self, number)

    monkeypatch.setattr(PairTraining, "step", killing_step)
    with pytest.raises(KilledError):
        train(data, settings, tmp_path / "killed")
    monkeypatch.setattr(PairTraining, "step", step)
    torch.rand(3)  # whatever the process did in between
    resumed = train(data, settings, tmp_path / "killed")
    assert equal(whole, resumed)
    assert whole.rows == resumed.rows


def test_a_training_stopped_by_a_signal_goes_on_to_the_same_weights(data, tmp_path, monkeypatch):
    whole = train(data, GAN, tmp_path / "whole")
    step, done = PairTraining.step, []

    def noted_step(self, number):
        done.append(number)
        if done == [0, 1, 2]:  # checkpoints come after 2 and 4
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, number)

    monkeypatch.setattr(PairTraining, "step", noted_step)
    with pytest.raises(PreemptedError), stopping_on_signals():
        train(data, GAN, tmp_path / "stopped")
    torch.rand(3)  # whatever the process did in between
    resumed = train(data, GAN, tmp_path / "stopped")
    assert done == list(range(6))
    assert equal(whole, resumed)
    assert whole.rows == resumed.rows


def test_the_seed_fixes_the_weights(data, tmp_path):
    first, again, other = (
        train(data, GAN, tmp_path / name, seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert equal(first, again)
    assert not equal(first, other)


def test_other_data_start_anew(data, tmp_path, monkeypatch):
    train(data, GAN, tmp_path)
    seen = []
    step = PairTraining.step
    monkeypatch.setattr(PairTraining, "step", lambda self, n: seen.append(n) or step(self, n))
    train(data, GAN, tmp_path)
    assert seen == []  # finished: nothing left to do
    train(data, GAN, tmp_path, fingerprint="y")
    assert seen == list(range(6))


def test_monitor_scans_give_no_gradient(data, tmp_path):
    changed = make_volumes(4)
    changed.native[0] = changed.native[0] * np.float32(1.3) + np.float32(7)
    other = replace(data, volumes=changed)
    first, second = (
        PairTraining(d, GAN, runtime=cpu_runtime(), seed=0, sharpens=False) for d in (data, other)
    )
    for training in (first, second):
        for number in range(3):
            training.step(number)
    weights = [list(t.generators["to_reference"].parameters()) for t in (first, second)]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_without_adversary_the_directions_do_not_know_each_other(data):
    settings = PairSettings(n_iterations=4)
    training = PairTraining(data, settings, runtime=cpu_runtime(), seed=0, sharpens=False)
    assert training.adversary is None
    assert set(training.step(1)) == {"local_histogram", "smoothness", "identity"}
    assert set(training.step(2)) == {"local_histogram", "smoothness"}


def test_with_adversary_all_losses_are_there(data):
    training = PairTraining(data, GAN, runtime=cpu_runtime(), seed=0, sharpens=True)
    before = training.adversary.discriminators["source"].layers[-1].weight.clone()
    losses = training.step(1)
    assert set(losses) == {
        "local_histogram", "smoothness", "identity", "cycle", "adversarial", "discriminator",
    }  # fmt: skip
    assert all(np.isfinite(value) for value in losses.values())
    assert not torch.equal(before, training.adversary.discriminators["source"].layers[-1].weight)


def test_a_weight_of_zero_leaves_its_term_out_and_changes_no_other(data):
    fewer = replace(GAN, histogram_weight=0.0, smoothness_weight=0.0)
    found, all_terms = (
        PairTraining(data, s, runtime=cpu_runtime(), seed=0, sharpens=True).step(1)
        for s in (fewer, GAN)
    )
    assert set(all_terms) - set(found) == {"local_histogram", "smoothness"}
    assert all(value == all_terms[name] for name, value in found.items())


def test_a_diverging_training_restarts_at_half_the_rate_and_then_gives_up(
    data, tmp_path, monkeypatch
):
    rates = []
    make = pair_training.PairTraining.__init__

    def noting_init(self, data, settings, **kwargs):
        rates.append(settings.learning_rate)
        make(self, data, settings, **kwargs)

    monkeypatch.setattr(pair_training.PairTraining, "__init__", noting_init)
    wild = PairSettings(n_iterations=20, check_every=5, learning_rate=2.0, identity_weight=0.0)
    result = train(data, wild, tmp_path)
    assert rates == [2.0, 1.0]
    assert result.diverged
    assert {row["attempt"] for row in result.rows} == {1, 2}


def test_the_distance_of_untouched_monitor_scans_is_the_first_row(data, tmp_path):
    rows = train(data, GAN, tmp_path).rows
    assert [row["iteration"] for row in rows] == [0, 2, 4, 6]
    assert 0.02 < rows[0]["distance_to_reference"] < 0.3


def test_the_rate_falls_to_zero_after_a_constant_part():
    shares = [rate_share(n, 100) for n in (0, 40, 70, 99)]
    assert shares == pytest.approx([1, 1, 0.5, 1 / 60])


@pytest.mark.parametrize(
    ("settings", "to_reference", "to_source"),
    [
        (GAN, (128.93954680923122, 1540.0427648833152), (115.74804523078716, 1541.2078931666606)),
        (
            PairSettings(n_iterations=6, check_every=2),
            (134.5417452113752, 1539.879995597374),
            (119.1397561725754, 1541.3289742070428),
        ),
    ],
)
def test_a_pair_trains_to_the_weights_it_had_before_there_were_joint_trainings(
    data, tmp_path, settings, to_reference, to_source
):
    """Sum and absolute sum, with plain means as targets; another processor may round otherwise."""
    weights = train(data, replace(settings, splits_differences=False), tmp_path).weights
    for direction, (total, size) in zip(
        ("to_reference", "to_source"), (to_reference, to_source), strict=True
    ):
        tensors = [tensor.double() for tensor in weights[direction].values()]
        assert float(sum(t.sum() for t in tensors)) == pytest.approx(total, rel=1e-5)
        assert float(sum(t.abs().sum() for t in tensors)) == pytest.approx(size, rel=1e-6)
