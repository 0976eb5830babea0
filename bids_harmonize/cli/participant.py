"""The participant level: from raw images to derivatives and pages."""

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bids_harmonize.bids.claims import TABLES, Claims
from bids_harmonize.bids.dataset import prepare_output
from bids_harmonize.bids.index import Scan, select_participants
from bids_harmonize.bids.people import write_participants
from bids_harmonize.cli.environment import find_container
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.pages import needs_page, write_pages
from bids_harmonize.cli.participant_harmonize import (
    harmonize_participants,
    load_model_to_apply,
)
from bids_harmonize.cli.request import Request
from bids_harmonize.cli.scans import named_derivatives, some_of
from bids_harmonize.errors import BusyError, MissingInputError

if TYPE_CHECKING:
    from bids_harmonize.preprocessing.outcome import ScanOutcome
    from bids_harmonize.training.crew import Crew

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What a run has in hand while it works.

    Parameters
    ----------
    run_id
        Its name.
    work_dir
        It exists.
    claims
        On the output directory.
    tally
        What was done and what failed is added to it.
    crew
        The processes that train together; ``None`` for one.
    """

    run_id: str
    work_dir: Path
    claims: Claims
    tally: Tally
    crew: "Crew | None" = None


def run_participant_level(request: Request, scans: Sequence[Scan], run: Run) -> None:
    """Process the scans and write the participants' pages.

    Parameters
    ----------
    request
        What the user wants.
    scans
        From :func:`find_scans`.
    run
        Its tally is added to.

    Raises
    ------
    HarmonizeError
        If no scan can be processed at all.
    """
    from bids_harmonize.preprocessing.run import run_participants

    applied = load_model_to_apply(request, scans)
    output_dir, bids_dir = request.output_dir, request.bids_dir
    with run.claims.holding(TABLES):
        prepare_output(
            output_dir,
            bids_dir,
            container=find_container(os.environ),
            derivatives=named_derivatives(request),
            further=request.datasets[1:],
        )
    outcomes = run_participants(
        scans,
        output_dir=output_dir,
        work_dir=run.work_dir,
        settings=request.settings,
        run_id=run.run_id,
        claims=run.claims,
    )
    try:
        with run.claims.holding(TABLES):
            write_participants(output_dir, bids_dir, further=request.datasets[1:])
            cite_participants(request)
    except BusyError as error:  # the scans are done; the next run's table holds them too
        LOGGER.warning("participants.tsv and CITATION.md were not written again: %s", error)
        run.tally.busy.append("participants.tsv")
    for outcome in outcomes:
        for flag in outcome.flags:
            LOGGER.warning("%s: %s", outcome.scan.stem, flag)
        if outcome.status == "failed":
            run.tally.failures.append(f"{outcome.scan.stem} failed")
        if outcome.status == "busy":
            run.tally.busy.append(outcome.scan.stem)
    tables = (outcome.busy_table for outcome in outcomes if outcome.busy_table is not None)
    run.tally.busy += dict.fromkeys(tables)
    n_by_status = Counter(outcome.status for outcome in outcomes)
    run.tally.done.append(
        f"{n_by_status['done']} scans processed, {n_by_status['reused']} unchanged"
    )
    run.tally.done += _doubtful_words(outcomes)
    if applied is not None and not (
        run.tally.failures and request.settings.run.stop_on_first_crash
    ):
        harmonize_participants(
            request,
            applied,
            outcomes,
            claims=run.claims,
            run_id=run.run_id,
            tally=run.tally,
        )
    _draw(request, outcomes, run)


def _draw(request: Request, outcomes: "Sequence[ScanOutcome]", run: Run) -> None:
    """Draw what changed, and what has no page that is as new as its outputs."""
    people: dict[str, list[Scan]] = {}
    changed = set()
    for outcome in outcomes:
        if outcome.status != "busy":
            people.setdefault(outcome.scan.participant_id, []).append(outcome.scan)
        if outcome.status in ("done", "failed"):
            changed.add(outcome.scan.participant_id)
    people = {
        person: scans
        for person, scans in people.items()
        if person in changed or needs_page(request.output_dir, person)
    }
    write_pages(
        request.output_dir,
        people,
        request.settings.resources,
        claims=run.claims,
        tally=run.tally,
    )


def cite_participants(request: Request) -> Path:
    """Write what the participant level does to ``logs/CITATION.md``, once claimed; its path."""
    from bids_harmonize.report.citation import cite_participant_level

    return cite_participant_level(
        request.output_dir,
        asdict(request.settings.preprocessing),
        derivatives=tuple(request.settings.selection.derivatives),
    )


def rewrite_participant_pages(request: Request, *, claims: Claims, tally: Tally) -> None:
    """Write the pages of the selected participants again, from the derivative alone.

    Raises
    ------
    SelectionError
        If a participant is not in the derivative.
    MissingInputError
        If there is no participant-level output.
    """
    labels = request.settings.selection.participant_label
    people = [f"sub-{label}" for label in select_participants(request.output_dir, labels)]
    if not people:
        message = (
            f"{request.output_dir}: no participant-level output, so there is no page to write"
        )
        raise MissingInputError(message)
    write_pages(
        request.output_dir,
        dict.fromkeys(people, ()),
        request.settings.resources,
        claims=claims,
        tally=tally,
    )


def _doubtful_words(outcomes: Sequence["ScanOutcome"]) -> list[str]:
    """What the summary says of masks that should not be trusted."""
    doubtful = [
        f"{outcome.scan.stem} ({', '.join(outcome.doubtful)})"
        for outcome in outcomes
        if outcome.doubtful
    ]
    return [f"{len(doubtful)} with doubtful masks: {some_of(doubtful)}"] if doubtful else []
