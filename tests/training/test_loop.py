"""The loop and its checkpoints: a killed training ends as an uninterrupted one."""

import logging
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bids_harmonize.errors import PreemptedError
from bids_harmonize.preemption import stopping_on_signals
from bids_harmonize.training.checkpoint import load_checkpoint
from bids_harmonize.training.loop import Checkpointing, iterate


class KilledError(Exception):
    """Stands for kill -9."""


def train(
    path: Path | None,
    *,
    kill_at: int | None = None,
    signal_at: int | None = None,
    fingerprint: str = "a",
    n: int = 20,
):
    """A small regression with dropout, momentum, a schedule and augmentation noise."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=n)
    state = {
        "network": network,
        "optimizer": optimizer,
        "schedule": schedule,
        "rng": np.random.default_rng(0),
        "torch": torch.Generator().manual_seed(1),
        "best": float("inf"),
        "order": [],
    }

    def step(iteration: int) -> dict[str, float]:
        if iteration == kill_at:
            raise KilledError
        if iteration == signal_at:
            os.kill(os.getpid(), signal.SIGUSR1)
        values = torch.from_numpy(state["rng"].random((3, 4), dtype=np.float32))
        noise = torch.rand(3, 1, generator=state["torch"])
        loss = (network(values) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        state["best"] = min(state["best"], loss.item())
        return {"loss": loss.item()}

    history = iterate(
        step,
        n_iterations=n,
        state=state,
        checkpoint=Checkpointing(path=path, every=5, fingerprint=fingerprint),
        validate=lambda done: {"half": done / 2},
    )
    return network.state_dict(), history, state["best"]


def assert_equal(first, second) -> None:
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
    assert first[1:] == second[1:]


def test_a_killed_training_ends_with_the_same_bits(tmp_path):
    whole = train(tmp_path / "whole.pt")
    with pytest.raises(KilledError):
        train(tmp_path / "killed.pt", kill_at=13)
    assert_equal(train(tmp_path / "killed.pt"), whole)


@pytest.mark.parametrize("signal_at", [0, 4, 12, 19])
def test_a_signal_saves_the_step_at_hand_and_the_training_ends_with_the_same_bits(
    tmp_path, signal_at
):
    whole, path = train(tmp_path / "whole.pt"), tmp_path / "stopped.pt"
    with pytest.raises(PreemptedError) as raised, stopping_on_signals():
        train(path, signal_at=signal_at)
    assert raised.value.has_checkpoint
    assert load_checkpoint(path)["iteration"] == signal_at + 1
    assert_equal(train(path, kill_at=signal_at), whole)


def test_without_a_checkpoint_a_signal_ends_the_training_too():
    with pytest.raises(PreemptedError) as raised, stopping_on_signals():
        train(None, signal_at=7)
    assert not raised.value.has_checkpoint


def test_saving_checkpoints_changes_nothing(tmp_path):
    assert_equal(train(tmp_path / "whole.pt"), train(None))


def test_a_finished_training_is_only_read(tmp_path):
    whole = train(tmp_path / "whole.pt")
    assert_equal(train(tmp_path / "whole.pt", kill_at=0), whole)


def test_a_checkpoint_of_other_data_is_not_gone_on_from(tmp_path, caplog):
    train(tmp_path / "whole.pt")
    with caplog.at_level(logging.INFO), pytest.raises(KilledError):
        train(tmp_path / "whole.pt", kill_at=0, fingerprint="b")
    assert "starting anew" in caplog.text


def test_history_holds_the_mean_loss_and_what_validation_returned():
    history = train(None)[1]
    assert [row["iteration"] for row in history] == [5, 10, 15, 20]
    assert [row["half"] for row in history] == [2.5, 5, 7.5, 10]
    assert all(0 < row["loss"] < 1 for row in history)


def test_a_log_that_is_no_terminal_gets_plain_lines(caplog):
    with caplog.at_level(logging.INFO):
        train(None)
    assert "training: 20 of 20, loss" in caplog.text
