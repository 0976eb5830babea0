"""The whole training on a card: run, alarm, one restart."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from bids_harmonize.training.card_training import CardSettings, CardTarget, CardTraining
from bids_harmonize.training.loop import Checkpointing, iterate
from bids_harmonize.training.pair_data import PairData
from bids_harmonize.training.pairs import N_ATTEMPTS, RESTART_RATE, PairRun
from bids_harmonize.training.runtime import Runtime

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class CardResult:
    """What came out of the training on a card.

    Attributes
    ----------
    weights
        Averaged weights at the check where the monitor scans were nearest to the card.
    rows
        One row a check: attempt, iteration, mean losses, distance of the monitor scans.
    diverged
        The restart left the target too: the weights must not be used.
    """

    weights: Mapping[str, Tensor]
    rows: tuple[Mapping[str, float], ...]
    diverged: bool


class _DivergedError(Exception):
    """Training left the card; caught in :func:`_attempt` alone."""


def train_on_card(
    data: PairData,
    target: CardTarget,
    settings: CardSettings,
    *,
    runtime: Runtime,
    seed: int,
    sharpens: bool,
    run: PairRun,
) -> CardResult:
    """Train towards a card; restart at half the rate when the monitor scans raise the alarm.

    Parameters
    ----------
    data
        Scans of the source site.
    target
        The card.
    settings
        Weights and rates.
    runtime
        Device and precision.
    seed
        Everything random follows from it.
    sharpens
        Whether the generator learns sharpening weights.
    run
        Name, folder of checkpoints, and whether to resume.

    Returns
    -------
    CardResult
        The averaged weights at the check where the monitor scans were nearest to the card.
    """
    rows: list[dict[str, float]] = []
    for attempt in range(1, N_ATTEMPTS + 1):
        rate = settings.learning_rate * RESTART_RATE ** (attempt - 1)
        rated = replace(settings, learning_rate=rate)
        training = CardTraining(data, target, rated, runtime=runtime, seed=seed, sharpens=sharpens)
        diverged = _attempt(training, run, attempt)
        rows += [{"attempt": attempt, **row} for row in training.state["history"]]
        if not diverged:
            break
        words = "%s: the distance of the monitor scans to the card doubled (attempt %d of %d)"
        LOGGER.warning(words, run.name, attempt, N_ATTEMPTS)
    weights = dict(training.state["best"]["weights"])
    return CardResult(weights=weights, rows=tuple(rows), diverged=diverged)


def _attempt(training: CardTraining, run: PairRun, attempt: int) -> bool:
    checkpoint = Checkpointing(
        path=run.folder / f"attempt-{attempt}.pt",
        every=training.settings.check_every,
        resume=run.resume,
        fingerprint=run.fingerprint,
    )

    def step(iteration: int) -> dict[str, float]:
        if training.state["diverged"]:
            raise _DivergedError
        return training.step(iteration)

    try:
        iterate(
            step,
            n_iterations=training.settings.n_iterations,
            state=training.state,
            checkpoint=checkpoint,
            validate=training.check,
            description=run.name,
        )
    except _DivergedError:
        return True
    return bool(training.state["diverged"])
