"""``participant --model-dir``: what is checked before any work, and done once scans are there."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.derived_scans import derived_scan
from bids_harmonize.bids.harmonized import harmonized_sidecars, record_harmonized
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.tables import MISSING
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.request import Request
from bids_harmonize.errors import BusyError
from bids_harmonize.stages import applies_harmonizer

if TYPE_CHECKING:
    from bids_harmonize.stages.harmonization.apply import AppliedModel

LOGGER = logging.getLogger(__name__)


def load_model_to_apply(request: Request, scans: Sequence[Scan]) -> "AppliedModel | None":
    """The harmonizer of ``--model-dir``, once it is sure that it can serve the scans.

    Parameters
    ----------
    request
        What the user wants.
    scans
        With their sites.

    Returns
    -------
    AppliedModel or None
        ``None`` where no harmonizer is applied.

    Raises
    ------
    UsageError
        If images of another harmonizer or reference are there.
    UnusableDataError
        If the model is not whole, or serves none of the scans.
    """
    if not applies_harmonizer(request.settings):
        return None
    from bids_harmonize.stages.harmonization.apply import check_served, load_applied, served_scans
    from bids_harmonize.stages.harmonization.images import check_present_images
    from bids_harmonize.training.runtime import make_runtime

    applied = load_applied(request.settings)
    frame = applied.harmonizer.frame
    people = sorted({scan.participant_id for scan in scans})
    check_present_images(
        request.output_dir,
        harmonized_sidecars(request.output_dir, people),
        wanted=(applied.harmonizer.name, frame.reference_site),
        overwrite=request.settings.group.overwrite_harmonized,
    )
    check_served(served_scans({scan.stem: _site(scan) for scan in scans}, applied), applied)
    make_runtime(request.settings.resources)
    LOGGER.info("harmonized images will be made by %s", applied.words)
    return applied


def harmonize_participants(
    request: Request,
    applied: "AppliedModel",
    outcomes: Sequence[Any],
    *,
    claims: Claims,
    run_id: str,
    tally: Tally,
) -> None:
    """Make the harmonized images of scans that are done, and tell what became of them.

    Parameters
    ----------
    request
        What the user wants.
    applied
        From :func:`load_model_to_apply`.
    outcomes
        Of the participant level; those that are neither ``done`` nor ``reused`` are passed over.
    claims
        Of this process on the output directory.
    run_id
        Name of this run.
    tally
        Is added to.

    Raises
    ------
    OutputError, StorageError
        If nothing can be written any more.
    """
    from bids_harmonize.stages.harmonization.apply import (
        left_out_words,
        served_scans,
        served_words,
    )
    from bids_harmonize.stages.harmonization.apply_scans import harmonize_scans

    output_dir = request.output_dir.resolve()
    finished = [outcome for outcome in outcomes if outcome.status in ("done", "reused")]
    if not finished:
        return
    sites = {outcome.scan.stem: _site(outcome.scan) for outcome in finished}
    served = served_scans(sites, applied)
    scans = [
        derived_scan(
            output_dir,
            outcome.scan.stem,
            site=(_site(outcome.scan), outcome.scan.site_source or MISSING),
            usable=not outcome.doubtful,
        )
        for outcome in finished
        if outcome.scan.stem in served.stems
    ]
    found = harmonize_scans(
        scans,
        applied.maker(output_dir, None),
        claims=claims,
        resume=request.settings.run.resume,
        run_id=run_id,
    )
    for stem, message in found.failures.items():
        LOGGER.error("%s: not harmonized: %s", stem, message)
        tally.failures.append(f"{stem} not harmonized")
    tally.busy += found.busy
    try:
        record_harmonized(output_dir, [scan.stem for scan in scans], claims)
    except BusyError as error:  # the images are there; the next run writes the rows
        LOGGER.warning("the tables do not name all harmonized images yet: %s", error)
        tally.busy.append("scans.tsv")
    for words in served_words(served, applied):
        LOGGER.warning("%s", words)
    done = f"{len(found.made)} scans harmonized, {len(found.kept)} unchanged, by {applied.words}"
    tally.done.append(done + left_out_words(served))


def expected_images(request: Request, scans: Sequence[Scan]) -> list[Path]:
    """Harmonized images that a run would leave, for ``--dry-run``; raises as it would."""
    from bids_harmonize.bids.names import scan_output

    applied = load_model_to_apply(request, scans)
    if applied is None:
        return []
    frame = applied.harmonizer.frame
    return [
        scan_output(request.output_dir, scan, "harmonized", reference=frame.reference_site)
        for scan in scans
        if frame.serves(_site(scan))
    ]


def _site(scan: Scan) -> str:
    return scan.site or MISSING
