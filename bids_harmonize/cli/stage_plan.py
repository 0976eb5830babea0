"""Which stages run, and what is told of one that has run."""

import logging
from collections.abc import Callable

from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.request import Request
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.stages import STAGES, StageResult

LOGGER = logging.getLogger(__name__)


def plan_stages(request: Request, reason_of: Callable[[str], str | None]) -> tuple[str, ...]:
    """The stages that will run, in their order.

    Parameters
    ----------
    request
        Names stages, or leaves the choice to the data.
    reason_of
        Takes a stage's name, gives the reason why it cannot run here, or ``None``.

    Returns
    -------
    tuple of str
        Those that can run.

    Raises
    ------
    UnusableDataError
        If a stage that was asked for by name cannot run, or none can.
    """
    asked = request.settings.group.stages
    stages, reasons = [], []
    for name in STAGES:
        if asked is not None and name not in asked:
            continue
        reason = reason_of(name)
        if reason is None:
            stages.append(name)
        else:
            reasons.append(f"stage {name} cannot run: {reason}")
    if reasons and (asked is not None or not stages):
        raise UnusableDataError("\n".join(reasons))
    for reason in reasons:
        LOGGER.warning("%s", reason)
    return tuple(stages)


def tally_stage(result: StageResult, tally: Tally) -> None:
    """Log what a stage has to say, and add it to the summary."""
    for note in result.notes:
        LOGGER.info("%s: %s", result.name, note)
    for warning in result.warnings:
        LOGGER.warning("%s: %s", result.name, warning)
    for failure in result.failures:
        LOGGER.error("%s: %s", result.name, failure)
        tally.failures.append(f"{result.name}: {failure}")
    summary = f" ({result.summary})" if result.summary else ""
    tally.done.append(f"stage {result.name} done{summary}")
