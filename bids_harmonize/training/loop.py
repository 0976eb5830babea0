"""The training loop: step, now and then validate, then checkpoint; all state in one dict.

The dict *is* the checkpoint. It holds modules, optimizers, schedules, generators and plain values;
``iterate`` adds ``iteration``, ``history`` and the losses since its last row. A run that was
killed or ended by a signal (which has a checkpoint written after the step at hand) takes
the last checkpoint and ends with the same weights, bit for bit on one CPU, because every random
number comes from a generator inside the dict or from PyTorch's own, which are saved with it.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tqdm import tqdm

from bids_harmonize.errors import PreemptedError
from bids_harmonize.preemption import signals_deferred
from bids_harmonize.training.checkpoint import (
    capture_state,
    load_checkpoint,
    restore_state,
    save_checkpoint,
)

LOGGER = logging.getLogger(__name__)

STOPPED: Final = "stopped"
_LOG_LINES: Final = 10  # at most, for one training
_START: Final[Mapping[str, Any]] = {"iteration": 0, "history": [], "row_sums": {}, "row_start": 0}

Step = Callable[[int], Mapping[str, float]]
Validate = Callable[[int], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Checkpointing:
    """When and where the state is saved.

    Attributes
    ----------
    path
        The checkpoint file; ``None`` saves nothing.
    every
        Iterations between checkpoints; validation and a row of the history come at the same time.
    resume
        Go on from an existing checkpoint.
    fingerprint
        Hash of the data and settings; a checkpoint with another one is not gone on from.
    """

    path: Path | None
    every: int
    resume: bool = True
    fingerprint: str = ""


def iterate(
    step: Step,
    *,
    n_iterations: int,
    state: dict[str, Any],
    checkpoint: Checkpointing,
    validate: Validate | None = None,
    description: str = "training",
) -> list[dict[str, float]]:
    """Run a training to its end, from the start or from its last checkpoint.

    Parameters
    ----------
    step
        Takes the number of the iteration, changes what is in ``state``, returns named losses.
    n_iterations
        Length of the whole training.
    state
        Everything that training changes; changed in place. Plain values must be replaced in the
        dict (``state["best"] = ...``), for only the dict is restored. ``state["stopped"]``, where
        ``validate`` sets it to true, ends the training.
    checkpoint
        When and where to save.
    validate
        Called after every ``checkpoint.every`` iterations and after the last one with the number
        of iterations done; may change ``state``; what it returns joins the history's row.
    description
        What is trained, for the progress display.

    Returns
    -------
    list of dict
        ``state["history"]``: one row a checkpoint with ``iteration``, the mean of each loss since
        the row before, and what ``validate`` returned.

    Raises
    ------
    PreemptedError
        If the process was asked to stop; the checkpoint holds all that was done.
    """
    for name, value in _START.items():
        state.setdefault(name, value)
    _resume(state, checkpoint, description)
    first = state["iteration"]
    started = time.monotonic()
    steps = range(first, n_iterations)
    if state.get(STOPPED, False):
        steps = range(0)
    with signals_deferred() as must_stop:
        for iteration in tqdm(
            steps, desc=description, disable=not sys.stderr.isatty(), leave=False
        ):
            _add(state, step(iteration))
            done = iteration + 1
            has_row = not done % checkpoint.every or done == n_iterations
            if has_row:
                before = state["row_start"]
                _close_row(state, done, validate)
            is_last = must_stop()
            if not has_row and not is_last:
                continue
            state["iteration"] = done
            _save(state, checkpoint)
            if has_row:
                progress = (done, before, first, n_iterations)
                _log_row(description, state["history"][-1], progress, time.monotonic() - started)
            if is_last:
                LOGGER.warning("%s: asked to stop after %d of %d", description, done, n_iterations)
                raise PreemptedError(has_checkpoint=checkpoint.path is not None)
            if state.get(STOPPED, False):
                LOGGER.info("%s: stopped early, after %d of %d", description, done, n_iterations)
                break
    history: list[dict[str, float]] = state["history"]
    return history


def _add(state: dict[str, Any], losses: Mapping[str, float]) -> None:
    """Add the losses of a step to those since the last row of the history."""
    sums = dict(state["row_sums"])
    for name, loss in losses.items():
        sums[name] = sums.get(name, 0.0) + float(loss)
    state["row_sums"] = sums


def _close_row(state: dict[str, Any], done: int, validate: Validate | None) -> None:
    """Add a row to the history, and begin the next one."""
    n_steps = done - state["row_start"]
    row = {name: total / n_steps for name, total in state["row_sums"].items()}
    if validate is not None:
        row |= validate(done)
    state["history"] = [*state["history"], {"iteration": done, **row}]
    state |= {"row_sums": {}, "row_start": done}


def _resume(state: dict[str, Any], checkpoint: Checkpointing, description: str) -> None:
    if checkpoint.path is None or not checkpoint.resume or not checkpoint.path.is_file():
        return
    saved = load_checkpoint(checkpoint.path)
    if saved.pop("fingerprint", None) != checkpoint.fingerprint:
        LOGGER.info("%s: data or settings have changed, starting anew", description)
        return
    restore_state(state, {"row_sums": {}, "row_start": saved["iteration"], **saved})
    LOGGER.info("%s: going on after iteration %d", description, state["iteration"])


def _save(state: Mapping[str, Any], checkpoint: Checkpointing) -> None:
    if checkpoint.path is not None:
        captured = capture_state(state) | {"fingerprint": checkpoint.fingerprint}
        save_checkpoint(checkpoint.path, captured)


def _log_row(
    description: str,
    row: Mapping[str, float],
    progress: tuple[int, int, int, int],
    elapsed_s: float,
) -> None:
    done, since, first, n_iterations = progress
    row = {name: value for name, value in row.items() if name != "iteration"}
    left_s = elapsed_s / (done - first) * (n_iterations - done)
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
    # A line for every tenth of the training; a classifier validates more often than that.
    tenths_before = (_LOG_LINES * since) // n_iterations
    level = logging.INFO if (_LOG_LINES * done) // n_iterations > tenths_before else logging.DEBUG
    words = "%s: %d of %d, %s, about %.0f s left"
    LOGGER.log(level, words, description, done, n_iterations, numbers, left_s)
