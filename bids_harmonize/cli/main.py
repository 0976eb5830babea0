"""The command: from words to an exit code; the only place that catches every error.

The last line of the log is one summary line that agrees with the exit code.
"""

import errno
import logging
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bids_harmonize import __version__
from bids_harmonize.cli.outcome import INTERNAL_ERROR, INTERRUPTED, Tally, preempted, stopped
from bids_harmonize.cli.parser import parse
from bids_harmonize.errors import (
    BusyError,
    HarmonizeError,
    InvalidDatasetError,
    OutputError,
    PreemptedError,
)
from bids_harmonize.preemption import stopping_on_signals

if TYPE_CHECKING:
    import argparse

    from bids_harmonize.cli.logs import RunLog
    from bids_harmonize.cli.request import Request
    from bids_harmonize.stages.feature_table.study import FeatureSource
    from bids_harmonize.training.crew import Crew

LOGGER = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the app.

    Parameters
    ----------
    argv
        Words after the program's name; ``None`` means those of this process.

    Returns
    -------
    int
        The exit code; ``--help`` lists the meanings.
    """
    try:
        with stopping_on_signals():
            return _main(argv)
    except PreemptedError as error:  # before there was a log
        sys.stderr.write(f"{preempted(error)}\n")
        return error.exit_code


def _main(argv: Sequence[str] | None) -> int:
    try:
        words = parse(argv)
        request = _checked(words)
    except SystemExit as leaving:  # argparse has printed --help or --version
        return int(leaving.code or 0)
    except HarmonizeError as error:
        sys.stderr.write(f"{error}\n{stopped(error.exit_code)}\n")
        return error.exit_code
    from bids_harmonize.cli.environment import prepare_environment
    from bids_harmonize.cli.helpers import help_out, helps
    from bids_harmonize.cli.logs import run_log

    prepare_environment(request)
    if helps(request):
        return help_out(request)
    with run_log(verbose=request.verbose) as log:
        return _run_caught(request, log)


def _checked(words: "argparse.Namespace") -> "Request":
    from bids_harmonize.cli.request import make_request  # pydantic: --help can do without it

    return make_request(words)


def _run_caught(request: "Request", log: "RunLog") -> int:
    """The exit code of a run, once its summary line is written."""
    from bids_harmonize.bids.provenance import make_run_id
    from bids_harmonize.cli.helpers import crew_of

    run_id = make_run_id(datetime.now())
    try:
        with crew_of(request) as crew:
            tally = _run(request, log, run_id, crew)
    except KeyboardInterrupt:
        LOGGER.error("%s", stopped(INTERRUPTED))
        return INTERRUPTED
    except PreemptedError as error:
        LOGGER.error("%s", preempted(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the boundary: nothing may pass without a summary
        return _explain(_as_ours(error, request), request, run_id)
    level = logging.ERROR if tally.exit_code else logging.INFO
    LOGGER.log(level, "%s", tally.summary())
    return tally.exit_code


def _run(request: "Request", log: "RunLog", run_id: str, crew: "Crew | None") -> Tally:
    from bids_harmonize.bids.claims import TABLES
    from bids_harmonize.bids.dataset import check_output_dir, check_place, output_in_use
    from bids_harmonize.bids.scans import require_scan_rows
    from bids_harmonize.cli.participant import Run, run_participant_level
    from bids_harmonize.cli.scans import find_scans
    from bids_harmonize.cli.work import work_dir_in_use

    raw = request.bids_dir if "participant" in request.levels else None
    further = [dataset.root for dataset in request.datasets[1:]] if raw is not None else []
    tally = Tally()
    LOGGER.info("bids-harmonize %s, run %s: %s", __version__, run_id, " ".join(request.levels))
    for root in (raw, *further):
        check_place(root, request.output_dir)
    if request.dry_run:
        from bids_harmonize.cli.dry_run import describe_run

        sys.stdout.write(describe_run(request, tally))
        tally.done.append("dry run, nothing was written")
        return tally
    if request.reports_only:
        return _rewrite_pages(request, tally)
    if request.boilerplate_only:
        return _write_boilerplate(request, tally)
    scans = find_scans(request, tally) if raw is not None else ()
    if raw is None and not request.settings.group.features:
        require_scan_rows(request.output_dir)
    check_output_dir(raw, request.output_dir)
    people = None if raw is None else sorted({scan.participant_id for scan in scans})
    with output_in_use(request.output_dir, people) as claims:
        log.open_file(request.output_dir / "logs" / f"{run_id}.log")
        _write_settings(request, run_id)
        with work_dir_in_use(request) as work_dir:
            run = Run(run_id=run_id, work_dir=work_dir, claims=claims, tally=tally, crew=crew)
            if raw is not None:
                run_participant_level(request, scans, run)
            if "group" in request.levels and not (
                tally.failures and request.settings.run.stop_on_first_crash
            ):
                from bids_harmonize.cli.group import cite_group, run_group_level

                run_group_level(request, run)
                try:
                    with claims.holding(TABLES):
                        cite_group(request)
                except BusyError as error:
                    LOGGER.warning("CITATION.md was not written again: %s", error)
                    tally.busy.append("CITATION.md")
    return tally


def _rewrite_pages(request: "Request", tally: Tally) -> Tally:
    from bids_harmonize.bids.dataset import output_in_use
    from bids_harmonize.bids.scans import require_scan_rows
    from bids_harmonize.cli.group import rewrite_group_page
    from bids_harmonize.cli.participant import rewrite_participant_pages

    if not request.output_dir.is_dir():
        require_scan_rows(request.output_dir)  # says what is missing; no folder is made for it
    with output_in_use(request.output_dir, ()) as claims:
        if "participant" in request.levels:
            rewrite_participant_pages(request, claims=claims, tally=tally)
        if "group" in request.levels:
            if not any(request.output_dir.glob("group_*.tsv")):
                require_scan_rows(request.output_dir)
            rewrite_group_page(request, tally)
    return tally


def _write_boilerplate(request: "Request", tally: Tally) -> Tally:
    from bids_harmonize.bids.claims import TABLES
    from bids_harmonize.bids.dataset import check_output_dir, output_in_use
    from bids_harmonize.bids.scans import require_scan_rows
    from bids_harmonize.cli.group import cite_group
    from bids_harmonize.cli.participant import cite_participants

    if "group" in request.levels:
        require_scan_rows(request.output_dir)
    check_output_dir(None, request.output_dir)
    with output_in_use(request.output_dir, ()) as claims, claims.holding(TABLES):
        for level, cite in (("participant", cite_participants), ("group", cite_group)):
            if level in request.levels:
                tally.done.append(f"methods of the {level} level written to {cite(request)}")
    return tally


def _write_settings(request: "Request", run_id: str) -> None:
    from bids_harmonize.bids.files import write_text
    from bids_harmonize.config import dump_toml

    head = (
        f"# bids-harmonize {__version__}, run {run_id}: {' '.join(request.levels)}\n"
        f"# bids_dir: {request.bids_dir}\n# output_dir: {request.output_dir}\n\n"
    )
    head += "".join(f"# {source.arm}: {source.words}\n" for source in _sources(request))
    path = request.output_dir / "logs" / f"{run_id}.toml"
    write_text(path, head + dump_toml(request.settings))


def _sources(request: "Request") -> "tuple[FeatureSource, ...]":
    if not request.settings.group.features:
        return ()
    from bids_harmonize.stages.feature_table.study import feature_sources

    return feature_sources(request.settings)


def _as_ours(error: Exception, request: "Request") -> Exception:
    """What the system said about files, as an error of our tree; anything else unchanged."""
    from bids_harmonize.bids.files import STORAGE_ERRORS, writing_fault

    cannot_write = {errno.EACCES, errno.EPERM, errno.EROFS}
    if isinstance(error, OSError) and error.errno in STORAGE_ERRORS | cannot_write:
        fault = writing_fault(error, error.filename or "a file")
        path = Path(error.filename or request.output_dir)
        if not _lies_in(path, request.output_dir, request.work_dir):
            roots = [dataset.root for dataset in request.datasets]
            raw = isinstance(fault, OutputError) and _lies_in(path, *roots)
            kind = InvalidDatasetError if raw else type(fault)
            fault = kind(f"{error.filename}: cannot be used: {error.strerror}")
        return fault.with_traceback(error.__traceback__)
    return error


def _lies_in(path: Path, *folders: Path) -> bool:
    above = {place for way in (path.absolute(), path.resolve()) for place in (way, *way.parents)}
    return any({folder.absolute(), folder.resolve()} & above for folder in folders)


def _explain(error: Exception, request: "Request", run_id: str) -> int:
    code = error.exit_code if isinstance(error, HarmonizeError) else INTERNAL_ERROR
    if code == INTERNAL_ERROR:
        where = _write_crash(error, request, run_id)
        LOGGER.error("internal error, please report it with %s: %s", where, error)
    else:
        LOGGER.error("%s", error)
        LOGGER.debug("where it was raised:", exc_info=error)
    LOGGER.error("%s", stopped(code))
    return code


def _write_crash(error: Exception, request: "Request", run_id: str) -> str:
    """Write the traceback to a file, or to the terminal if there is no place."""
    from bids_harmonize.bids.files import write_text

    text = "".join(traceback.format_exception(error))
    path = request.output_dir / "logs" / f"crash-{run_id}.txt"
    try:
        if request.dry_run:
            raise OutputError
        write_text(path, f"bids-harmonize {__version__}, run {run_id}\n{request}\n\n{text}")
    except HarmonizeError:
        sys.stderr.write(text)
        return "the traceback above"
    return str(path)
