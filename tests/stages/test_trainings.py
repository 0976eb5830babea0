"""Trainings in processes: the same answers, each kept, and a killed process loses none."""

import logging
import os
import signal
import time
from functools import partial
from multiprocessing import parent_process

import pandas as pd
import pytest
import torch

from bids_harmonize.config import ResourceSettings
from bids_harmonize.stages import trainings
from bids_harmonize.stages.kept_answers import KeptAnswers
from bids_harmonize.stages.trainings import Trainers, Training
from bids_harmonize.training.runtime import make_runtime

SHAPE = (16, 16, 16)


def told(number, runtime):
    """Who works when, on how many threads, and a sum whose order threads change."""
    values = torch.randn(1 << 16, generator=torch.Generator().manual_seed(number))
    return pd.DataFrame(
        {
            "pid": [os.getpid()],
            "threads": [torch.get_num_threads()],
            "device": [str(runtime.device)],
            "sum": [float(values.sum())],
            "made_at": [time.monotonic_ns()],
        }
    )


def told_by_the_living(number, runtime):
    """Whoever works for another process is killed at the second question."""
    if number == 1 and parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return told(number, runtime)


def told_but_for_one(number, runtime):
    if number == 2:
        message = "no network for the third"
        raise ValueError(message)
    return told(number, runtime)


@pytest.fixture
def _starts_at_once(monkeypatch):
    """Processes pay after the first training, however short."""
    monkeypatch.setattr(trainings, "_START_S", 0.0)


def ask(folder, *, n=4, answers=told, **resources):
    resources = ResourceSettings(**{"device": "cpu", "mem_gb": 64.0} | resources)
    wanted = [Training(f"t{i}", f"print-{i}", partial(answers, i)) for i in range(n)]
    with Trainers(make_runtime(resources), resources, SHAPE) as trainers:
        found = trainers.ask(KeptAnswers(folder), wanted)
        again = trainers.ask(KeptAnswers(folder), wanted)
    for one, other in zip(found, again, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)  # kept, not made again
    return pd.concat(found, ignore_index=True)


@pytest.mark.usefixtures("_starts_at_once")
def test_two_processes_give_the_answers_of_one(tmp_path):
    one = ask(tmp_path / "one", nprocs=1)
    two = ask(tmp_path / "two", nprocs=2)
    assert list(one["sum"]) == list(two["sum"])
    assert set(one["pid"]) == {os.getpid()}
    first, *others = two["pid"]
    assert first == os.getpid()  # it says how long one takes
    assert os.getpid() not in others
    assert set(one["threads"]) == set(two["threads"]) == {1}
    assert set(two["device"]) == {"cpu"}


def test_short_trainings_are_not_worth_a_process(tmp_path):
    assert set(ask(tmp_path, nprocs=2)["pid"]) == {os.getpid()}


@pytest.mark.usefixtures("_starts_at_once")
@pytest.mark.parametrize(
    "resources", [{"nprocs": 4, "mem_gb": 1.0}, {"nprocs": 4, "low_mem": True}]
)
def test_little_memory_means_one_process(tmp_path, resources):
    assert set(ask(tmp_path, **resources)["pid"]) == {os.getpid()}


@pytest.mark.usefixtures("_starts_at_once")
def test_one_training_needs_no_other_process(tmp_path):
    assert set(ask(tmp_path, n=1, nprocs=4)["pid"]) == {os.getpid()}


def test_threads_are_as_before(tmp_path):
    resources = ResourceSettings(device="cpu", nprocs=2, low_mem=True)
    runtime = make_runtime(resources)
    with Trainers(runtime, resources, SHAPE) as trainers:
        trainers.ask(KeptAnswers(tmp_path), [Training("t", "print", partial(told, 0))])
    assert torch.get_num_threads() == 2
    make_runtime(ResourceSettings(device="cpu", nprocs=1))


@pytest.mark.usefixtures("_starts_at_once")
def test_a_killed_process_is_told_and_the_rest_is_trained_here(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        found = ask(tmp_path, answers=told_by_the_living, nprocs=2)
    assert list(found["sum"]) == list(ask(tmp_path / "other", nprocs=1)["sum"])
    assert list(found["pid"])[:2] == [os.getpid()] * 2
    assert "out of memory?" in caplog.text


@pytest.mark.usefixtures("_starts_at_once")
@pytest.mark.parametrize("nprocs", [1, 2])
def test_a_training_that_fails_loses_none_that_ended(tmp_path, nprocs):
    with pytest.raises(ValueError, match="no network for the third"):
        ask(tmp_path, n=3, answers=told_but_for_one, nprocs=nprocs)
    kept = KeptAnswers(tmp_path)
    assert kept.find("t2", "print-2") is None
    assert kept.find("t0", "print-0")["pid"].tolist() == [os.getpid()]


def test_answers_of_another_fingerprint_are_made_anew(tmp_path):
    ask(tmp_path, n=2, nprocs=1)
    kept = KeptAnswers(tmp_path)
    assert kept.find("t1", "print-1") is not None
    assert kept.find("t1", "print-0") is None
    assert KeptAnswers(tmp_path, resume=False).find("t1", "print-1") is None
