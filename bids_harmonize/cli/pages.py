"""The participants' pages: which are out of date, and how they are drawn.

A page takes a second or two. Many are drawn in several processes; a page that fails is told in
the summary and loses nothing but itself.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.files import remove_leftovers
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import figures_folder, participant_page
from bids_harmonize.bids.study_measures import StudyMeasures, read_study_measures
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.config import ResourceSettings
from bids_harmonize.errors import BusyError, OutputError, StorageError
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.machine import follow_parent
from bids_harmonize.stages.processes import count_processes

LOGGER = logging.getLogger(__name__)

PAGE_MEMORY_GB = 0.7
"""Peak of a process that draws pages of 1 mm images."""

MIN_POOL = 4
"""Fewer pages are drawn sooner than processes have started."""

Fault = str | BusyError | None
"""Why a page could not be drawn: what went wrong, or who holds it; None where it is drawn."""

LOST = "the process that drew it ended without a word: out of memory?"


def needs_page(output_dir: Path, participant_id: str) -> bool:
    """Whether a participant has no page, or one older than what it shows.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    participant_id
        With ``sub-``.

    Returns
    -------
    bool
        By the files' times; a folder of logs is as old as the last crash file that came or went.
    """
    written = _changed_ns(participant_page(output_dir, participant_id))
    shown = [
        path
        for pattern in (
            *("*_scans.tsv", "anat/*_desc-preproc_T1w.json", "anat/*_desc-harmonized*_T1w.json"),
            *("figures", "log/*"),
        )
        for start in ("", "ses-*/")
        for path in (output_dir / participant_id).glob(f"{start}{pattern}")
    ]
    return written == 0 or any(_changed_ns(path) > written for path in shown)


def _changed_ns(path: Path) -> int:
    """When a file last changed; 0 where there is none: another run may be writing it anew."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def write_pages(
    output_dir: Path,
    people: Mapping[str, Sequence[Scan]],
    resources: ResourceSettings,
    *,
    claims: Claims,
    tally: Tally,
) -> None:
    """Write pages of participants, and first the pictures of their raw images.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    people
        With ``sub-``, and the scans whose raw images are drawn while they are at hand.
    resources
        How many processes and how much memory there is.
    claims
        Of this process on ``output_dir``: a page that another run writes at the same time is
        waited for, so that the later one has seen all.
    tally
        What was done, what failed and what another run holds is added to it.

    Raises
    ------
    OutputError, StorageError
        If no page can be written any more.
    """
    missing = 0
    study = read_study_measures(output_dir, tuple(QUALITY_MEASURES))
    for person, fault in _draw_all(output_dir, people, resources, claims, study):
        if isinstance(fault, BusyError):
            missing += 1
            LOGGER.warning("the page of %s was not drawn: %s", person, fault)
            tally.busy.append(participant_page(output_dir, person).name)
        elif fault is not None:
            missing += 1
            LOGGER.error("the page of %s could not be drawn: %s", person, fault)
            tally.failures.append(f"page of {person} failed")
    tally.done.append(f"{len(people) - missing} participant pages written to {output_dir}")


def draw_page(
    output_dir: Path,
    participant_id: str,
    scans: Sequence[Scan],
    study: StudyMeasures,
    claims: Claims | None = None,
) -> str | None:
    """Write one page; returns what of it could not be drawn and why, or ``None``.

    ``study`` holds the measures of all scans, which is read once for all pages.

    Raises
    ------
    BusyError
        If another run holds the page all the time.
    OutputError, StorageError
        If no page can be written any more.
    """
    from bids_harmonize.report.participant import draw_raw_figures, write_participant_page

    if claims is None:
        with Claims(output_dir) as own:
            return draw_page(output_dir, participant_id, scans, study, own)
    page = participant_page(output_dir, participant_id)
    faults: list[str] = []

    def draw() -> None:
        with claims.holding(page.name):  # pictures too are written only by who holds the page
            remove_leftovers(output_dir, of=page.name)
            for folder in {figures_folder(output_dir, scan.stem) for scan in scans}:
                remove_leftovers(folder)
            faults.append(_fault_of(lambda: draw_raw_figures(scans, output_dir)))
            write_participant_page(output_dir, participant_id, study=study)

    faults.append(_fault_of(draw))
    return "; ".join(filter(None, faults)) or None


def _fault_of(draw: Callable[[], object]) -> str:
    try:
        draw()
    except (BusyError, OutputError, StorageError):
        raise
    except Exception as error:  # a picture is no reason to lose the run
        LOGGER.debug("not drawn:", exc_info=error)
        return f"{type(error).__name__}: {error}"
    return ""


def _draw_all(
    output_dir: Path,
    people: Mapping[str, Sequence[Scan]],
    resources: ResourceSettings,
    claims: Claims,
    study: StudyMeasures,
) -> Iterator[tuple[str, Fault]]:
    n_procs = count_processes(resources, len(people), gb_each=PAGE_MEMORY_GB)
    if n_procs == 1 or len(people) < MIN_POOL:
        for person, scans in people.items():
            try:
                yield person, draw_page(output_dir, person, scans, study, claims)
            except BusyError as error:
                yield person, error
        return
    lost: dict[str, Sequence[Scan]] = {}
    for person, fault in _draw_pooled(output_dir, people, n_procs, study):
        if fault == LOST:
            lost[person] = people[person]
        else:
            yield person, fault
    while lost:  # a process died and took the others with it: who dies alone is the one
        answers = dict(_draw_pooled(output_dir, lost, 1, study))
        died = [person for person, fault in answers.items() if fault == LOST]
        lost = {person: lost[person] for person in died[1:]}
        yield from ((person, fault) for person, fault in answers.items() if person not in lost)


def _draw_pooled(
    output_dir: Path,
    people: Mapping[str, Sequence[Scan]],
    n_procs: int,
    study: StudyMeasures,
) -> Iterator[tuple[str, Fault]]:
    pool = ProcessPoolExecutor(n_procs, get_context("spawn"), follow_parent)
    try:
        futures = [
            (person, pool.submit(draw_page, output_dir, person, scans, study))
            for person, scans in people.items()
        ]
        for person, future in futures:
            try:
                yield person, future.result()
            except BrokenProcessPool:
                yield person, LOST
            except BusyError as error:
                yield person, error
    finally:
        pool.shutdown(cancel_futures=True)
