"""Several processes in one run: which one this is, and the others that help it."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bids_harmonize.cli.outcome import INTERNAL_ERROR
from bids_harmonize.errors import UsageError
from bids_harmonize.training.places import find_place

if TYPE_CHECKING:
    from bids_harmonize.cli.request import Request
    from bids_harmonize.training.crew import Crew


def helps(request: "Request") -> bool:
    """Whether a launcher started this process to help another one."""
    place = find_place(os.environ)
    return place is not None and place.rank > 0 and "group" in request.levels


def help_out(request: "Request") -> int:
    """Do what the leading process orders, until it ends; returns the exit code.

    It says nothing, locks nothing and writes nothing but what it is told to: the run is the
    leader's.
    """
    place = find_place(os.environ)
    if place is None or not _trains(request):
        return 0
    from bids_harmonize.training.crew_start import count_devices, serve

    try:
        count_devices(request.settings.resources, place)
        return serve(place, request.settings.resources)
    except UsageError as error:  # the leader finds it as well, and says so
        return error.exit_code
    except Exception:  # noqa: BLE001 - the leader, who sees it gone, has the last word
        sys.stderr.write(f"process {place.rank} of {place.size}: {traceback.format_exc()}")
        return INTERNAL_ERROR


@contextmanager
def crew_of(request: "Request") -> Iterator["Crew | None"]:
    """The processes of this run, or ``None`` where it is one.

    Raises
    ------
    UsageError
        If there are not as many devices as ``--devices`` says.
    WorkerError
        If a process that a launcher started does not come.
    """
    place = find_place(os.environ)
    if not _trains(request) or (place is None and (request.settings.resources.devices or 1) == 1):
        yield None
        return
    from bids_harmonize.training.crew_start import crew_in

    with crew_in(request.settings.resources, place) as crew:
        yield crew


def _trains(request: "Request") -> bool:
    if "group" not in request.levels:
        return False
    return not (request.dry_run or request.reports_only or request.boilerplate_only)
