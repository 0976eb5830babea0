import numpy as np
import pytest
import torch

from bids_harmonize.training.joint import joint_length, train_joint
from bids_harmonize.training.joint_training import JointTraining
from bids_harmonize.training.pair_data import PairData, PairSettings
from bids_harmonize.training.pairs import PairRun
from bids_harmonize.training.site_distance import fit_site_distance
from tests.harmonizers.small_study import cpu_runtime, make_head, make_volumes, scan_at

PLAIN = PairSettings(n_iterations=3, check_every=1)
GAN = PairSettings(n_iterations=2, check_every=1, cycle_weight=2.0, adversarial_weight=0.3)


@pytest.fixture(scope="module")
def data():
    """Sources A, C and D with three, three and five people that train, reference B."""
    volumes = make_volumes(6, "ABCD")
    train = {"A": (1, 2, 3), "B": (7, 8, 9), "C": (13, 14, 15), "D": (19, 20, 21, 22, 23)}
    return PairData(volumes, train, {"A": (0,), "B": (6,), "C": (12,), "D": (18,)})


def train(data, settings, folder, *, seed=0):
    run = PairRun(name="joint", folder=folder, resume=True, fingerprint="x")
    return train_joint(
        data, settings, reference="B", runtime=cpu_runtime(), seed=seed, sharpens=True, run=run
    )


def make(data, settings):
    return JointTraining(
        data, settings, reference="B", runtime=cpu_runtime(), seed=0, sharpens=False
    )


def equal(first, second):
    return all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)


class KilledError(BaseException):
    """Stands for a kill: nothing may catch it."""


def test_a_killed_joint_training_goes_on_to_the_same_weights(data, tmp_path, monkeypatch):
    whole = train(data, GAN, tmp_path / "whole")
    step = JointTraining.step

    def killing_step(self, number):
        if number == 4:  # the last checkpoint is that after 3
            raise KilledError
        return step(self, number)

    monkeypatch.setattr(JointTraining, "step", killing_step)
    with pytest.raises(KilledError):
        train(data, GAN, tmp_path / "killed")
    monkeypatch.setattr(JointTraining, "step", step)
    torch.rand(3)  # whatever the process did in between
    resumed = train(data, GAN, tmp_path / "killed")
    assert equal(whole, resumed)
    assert whole.rows == resumed.rows


def test_the_seed_fixes_the_joint_weights(data, tmp_path):
    first, again, other = (
        train(data, PLAIN, tmp_path / name, seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert equal(first, again)
    assert not equal(first, other)


def test_every_source_has_one_turn_a_round_however_many_people_it_has(data):
    training = make(data, PLAIN)
    turns = [training.source_of(n) for n in range(30)]
    rounds = [tuple(source for source, _ in turns[n : n + 3]) for n in range(0, 30, 3)]
    assert all(sorted(one) == [0, 1, 2] for one in rounds)
    assert len(set(rounds)) > 1  # the order is drawn anew
    assert [turn for _, turn in turns] == [n // 3 for n in range(30)]


def test_a_step_moves_the_running_mean_of_its_own_source_alone(data):
    training = make(data, GAN)
    for iteration in range(3):
        before = {key: list(training.state[key]) for key in ("running", "running_back")}
        training.step(iteration)
        source, _ = training.source_of(iteration)
        for key, means in before.items():
            pairs = zip(means, training.state[key], strict=True)
            assert [not torch.equal(a, b) for a, b in pairs] == [n == source for n in range(3)]


def test_a_step_trains_the_shared_generator_and_one_way_back(data):
    training = make(data, GAN)
    generators = [training.forward, *training.backward]
    before = [[p.clone() for p in one.parameters()] for one in generators]
    losses = training.step(1)
    assert set(losses) == {
        "local_histogram", "smoothness", "identity", "cycle", "adversarial", "discriminator",
    }  # fmt: skip
    source, _ = training.source_of(1)
    changed = [
        any(not torch.equal(a, b) for a, b in zip(old, one.parameters(), strict=True))
        for old, one in zip(before, generators, strict=True)
    ]
    assert changed == [True, *(number == source for number in range(3))]


def test_without_cycle_there_is_no_way_back_and_no_adversary(data):
    training = make(data, PLAIN)
    assert training.backward == []
    assert training.adversary is None
    assert set(training.step(0)) == {"local_histogram", "smoothness"}


def test_the_length_grows_with_the_sources_and_every_check_has_a_row_a_source(data, tmp_path):
    assert [joint_length(PLAIN, n).n_iterations for n in (1, 2, 3, 20)] == [3, 6, 9, 60]
    assert joint_length(PLAIN, 3).check_every == 3
    rows = train(data, PLAIN, tmp_path).rows
    assert [row["iteration"] for row in rows if row["source_site"] == "C"] == [0, 3, 6, 9]
    assert {row["source_site"] for row in rows} == {"A", "C", "D"}
    assert all(0.005 < row["distance_to_reference"] < 0.3 for row in rows)


def test_one_source_that_leaves_the_target_raises_the_alarm(data):
    training = make(data, PLAIN)
    start = dict(training.state["lowest"])
    training._distances = lambda: {**start, "distance_1": 2.1 * max(start["distance_1"], 0.1)}
    training.check(1)
    assert training.state["diverged"]
    assert training.state["kept"]["distances"] == start


def test_the_latest_check_that_is_as_near_as_any_is_kept_and_never_the_start(data):
    training = make(data, PLAIN)
    start = dict(training.state["lowest"])
    kept = []
    for factor in (1.3, 1.0, 1.08, 1.2, 1.05):  # times the untrained start's
        found = {name: factor * value for name, value in start.items()}
        training._distances = lambda found=found: found
        training.check(1)
        kept.append(training.state["kept"]["distances"]["distance_0"] / start["distance_0"])
    assert kept == pytest.approx([1.3, 1.0, 1.08, 1.08, 1.05])
    assert not training.state["diverged"]


def test_a_wild_joint_training_restarts_once_and_says_that_it_diverged(data, tmp_path):
    wild = PairSettings(n_iterations=7, check_every=2, learning_rate=2.0, identity_weight=0.0)
    result = train(data, wild, tmp_path)
    assert result.diverged
    assert {row["attempt"] for row in result.rows} == {1, 2}


@pytest.fixture(scope="module")
def distance():
    volumes = make_volumes(6, "ABC")
    indices = {site: range(6 * place, 6 * place + 6) for place, site in enumerate("ABC")}
    return fit_site_distance(volumes, indices)


def test_people_of_a_training_site_lie_at_about_1_and_another_scanner_farther(distance):
    def measure(site, person):
        tissue, head, brain = make_head(person)
        volume = scan_at(tissue, site) if site != "E" else 900 - scan_at(tissue, "A")
        scaled = np.where(head, volume / np.percentile(volume[brain], 99), 0)
        return distance.measure(scaled.astype(np.float32), head)

    known = [measure(site, person) for site in "ABC" for person in (70, 71)]
    assert min(known) > 0.4
    assert max(known) < 1.3 * distance.usual
    assert measure("E", 70) > 3 * distance.usual
    assert distance.usual >= 1


def test_the_spread_leaves_each_scan_out_of_its_own_mean():
    """Of two scans each is asked of the other alone, so it lies twice as far as from the mean."""
    volumes = make_volumes(2, "A")
    found = fit_site_distance(volumes, {"A": (0, 1)})
    asked = [found.measure(volumes.volume(n), volumes.head_mask(n)) for n in (0, 1)]
    assert np.mean(asked) == pytest.approx(0.5, abs=0.12)
    assert found.usual == pytest.approx(1, abs=0.2)


def test_residual_generators_train_jointly_without_histograms_and_smoothness(data):
    settings = PairSettings(
        generator="residual", residual_width=2, residual_blocks=1, n_iterations=2,
        histogram_weight=0.0, smoothness_weight=0.0, cycle_weight=10.0, adversarial_weight=1.0,
    )  # fmt: skip
    training = make(data, settings)
    before = [weight.clone() for weight in training.forward.parameters()]
    losses = training.step(0)
    assert set(losses) == {"cycle", "adversarial", "discriminator"}
    moved = zip(before, training.forward.parameters(), strict=True)
    assert any(not torch.equal(old, new) for old, new in moved)
    assert len(training.backward) == 3
    assert sum(p.numel() for p in training.average.parameters()) == sum(w.numel() for w in before)
