"""The whole training on a card: run, alarm, one restart."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from bids_harmonize.training.card_training import CardSettings, CardTarget, CardTraining
from bids_harmonize.training.pair_data import PairData
from bids_harmonize.training.pairs import PairRun, train_attempts
from bids_harmonize.training.runtime import Runtime


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
    training, rows, diverged = train_attempts(
        partial(CardTraining, data, target, seed=seed, sharpens=sharpens),
        settings,
        runtime=runtime.alone(),
        run=run,
    )
    weights = dict(training.state["best"]["weights"])
    return CardResult(weights=weights, rows=rows, diverged=diverged)
