"""The scans that a participant-level run works on, with their sites and given brain masks."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bids_harmonize.bids.brain_masks import attach_brain_masks
from bids_harmonize.bids.closed_folders import closed_folders
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.layout import IndexFolder, remove_index
from bids_harmonize.bids.raw_datasets import (
    RawDataset,
    index_datasets,
    resolve_dataset_sites,
    selected_labels,
)
from bids_harmonize.cli.outcome import Tally
from bids_harmonize.cli.request import Request
from bids_harmonize.errors import MissingInputError, ScanError, SelectionError

LOGGER = logging.getLogger(__name__)


def find_scans(request: Request, tally: Tally) -> tuple[Scan, ...]:
    """The selected scans with their sites; what has none is named in a warning.

    Parameters
    ----------
    request
        Names the dataset, the selection and where sites are read.
    tally
        Folders that may not be looked into are added to its failures.

    Returns
    -------
    tuple of Scan
        At least one.

    Raises
    ------
    ScanError
        If there is no scan but in folders that may not be looked into.
    HarmonizeError
        As ``index_datasets`` and ``resolve_sites``.
    """
    settings = request.settings
    scans = _index(request, tally)
    scans = resolve_dataset_sites(
        scans, request.datasets, settings=settings.site, site_map=request.site_map
    )
    scans = attach_brain_masks(scans, named_derivatives(request))
    found = {scan.participant_id for scan in scans}
    without = [name for name in settings.selection.participant_label if f"sub-{name}" not in found]
    if without:
        LOGGER.warning("no T1w image of participants %s", ", ".join(without))
    n_sites = Counter(scan.site or "n/a" for scan in scans)
    told = ", ".join(f"{site} ({n})" for site, n in sorted(n_sites.items()))
    LOGGER.info("%d scans of %d participants; sites: %s", len(scans), len(found), told)
    unknown = [scan.stem for scan in scans if scan.site is None]
    if unknown:
        LOGGER.warning(
            "the site of %d scans is unknown (%s); the group level will want it: --site-map or "
            "another --site-* option",
            len(unknown),
            some_of(unknown),
        )
    _tell_of_masks(request, scans)
    _warn_of_unused(request, scans)
    return scans


def named_derivatives(request: Request) -> dict[str, Path]:
    """Name to root of the derivative datasets whose brain masks are taken."""
    named = request.settings.selection.derivatives
    return {name: Path(path).absolute() for name, path in named.items()}


def some_of(names: Sequence[str], n_shown: int = 5) -> str:
    """The first names of many, for a message."""
    return ", ".join(names[:n_shown]) + (", ..." if len(names) > n_shown else "")


def _index(request: Request, tally: Tally) -> tuple[Scan, ...]:
    """The selected scans without their sites; closed folders are told, and are failures."""
    selection = request.settings.selection
    indexes = _index_folders(request)
    try:
        scans = index_datasets(request.datasets, selection=selection, indexes=indexes)
    except (MissingInputError, SelectionError) as error:
        closed = [words for dataset in request.datasets for words in _closed(dataset, request)]
        if closed:
            raise ScanError("\n".join([*closed, str(error)])) from None
        raise
    for dataset in request.datasets:
        for words in _closed(dataset, request):
            LOGGER.error("%s", words)
            folder = Path(words.partition(": ")[0]).relative_to(dataset.root)
            tally.failures.append(f"{folder} could not be looked into")
    return scans


def _closed(dataset: RawDataset, request: Request) -> tuple[str, ...]:
    selection = request.settings.selection
    labels = selected_labels(dataset, selection.participant_label)
    if labels is None:
        return ()
    return closed_folders(dataset.root, participants=labels, sessions=selection.session_label)


def _index_folders(request: Request) -> dict[str, IndexFolder]:
    """Where the index of each dataset lies; those that shall be wiped are taken away."""
    folder = request.settings.selection.bids_database_dir
    if folder is None:
        return {}
    found = {
        dataset.name: IndexFolder(
            Path(folder).absolute() / dataset.name, may_write=not request.dry_run
        )
        for dataset in request.datasets
    }
    if request.wipe_database and not request.dry_run:
        for index in found.values():
            remove_index(index.path)
    return found


def _tell_of_masks(request: Request, scans: Sequence[Scan]) -> None:
    """Say which scans have no brain mask in ``--derivatives``, and that tissue needs one."""
    settings = request.settings.preprocessing
    names = request.settings.selection.derivatives
    without = [scan.stem for scan in scans if scan.given_mask is None]
    if names and without:
        LOGGER.warning(
            "%d of %d scans have no desc-brain_mask in %s, so --brain-mask %s holds for them: %s",
            len(without),
            len(scans),
            " or ".join(names),
            settings.brain_mask,
            some_of(without),
        )
    if settings.tissue and settings.brain_mask == "none" and without:
        LOGGER.info("no brain mask, so no tissue maps (--brain-mask none)")


def _warn_of_unused(request: Request, scans: Sequence[Scan]) -> None:
    used = {scan.participant_id for scan in scans}
    unused = sorted(key for key in request.site_map if key.split("_")[0] not in used)
    if unused and not request.settings.selection.participant_label:
        LOGGER.warning("--site-map names participants without a scan: %s", ", ".join(unused[:10]))
