"""Where a scan was made: read from the tables, names and sidecars of the dataset.

``auto`` asks, scan by scan, the site map, ``--site-from-session`` if given, ``scans.tsv``,
``sessions.tsv``, ``participants.tsv`` and the sidecar, and takes the first answer. An explicit
source is asked alone (after the site map).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.scans import ScanRow
from bids_harmonize.bids.site_sources import SiteFinder, describe_candidates
from bids_harmonize.config import SiteSettings
from bids_harmonize.errors import SiteError

MAX_LISTED = 40


def resolve_sites(
    scans: Sequence[Scan],
    bids_dir: Path,
    *,
    settings: SiteSettings,
    site_map: Mapping[str, str] | None = None,
) -> tuple[Scan, ...]:
    """The scans with their sites.

    Parameters
    ----------
    scans
        From ``index_scans``.
    bids_dir
        Root of the raw dataset.
    settings
        Which source is asked, and for which columns or keys.
    site_map
        Stem, ``sub-01_ses-A`` or ``sub-01`` to site; overrides everything else.

    Returns
    -------
    tuple of Scan
        In the given order; ``site`` stays ``None`` where nothing is known.

    Raises
    ------
    UnusableDataError
        If rows of a table disagree about one participant, session or scan.
    """
    finder = SiteFinder(bids_dir.resolve(), settings=settings, site_map=site_map)
    found = (finder.find(scan.stem, scan.path, source_stem=scan.source_stem) for scan in scans)
    return tuple(
        replace(scan, site=site, site_source=source)
        for scan, (site, source) in zip(scans, found, strict=True)
    )


def group_sites(
    rows: Sequence[ScanRow],
    output_dir: Path,
    *,
    settings: SiteSettings,
    site_map: Mapping[str, str] | None = None,
    unknown: str | None = None,
) -> dict[str, tuple[str, str]]:
    """Stem to site and its source, from the derivative alone.

    Parameters
    ----------
    rows
        Rows of the derivative's ``scans.tsv`` files.
    output_dir
        Root of the derivative.
    settings
        An explicit source is asked again, on what the derivative has; else the row counts.
    site_map
        Overrides everything else.
    unknown
        What stands for a site that nobody knows; ``None`` makes that an error.

    Returns
    -------
    dict
        Stem to (site, source).

    Raises
    ------
    SiteError
        If the site of a scan is unknown and may not be; lists every scan and where a site could
        be read.
    """
    asked_again = settings.site_source != "auto" or bool(
        settings.site_key or settings.site_from_session
    )
    finder = SiteFinder(output_dir, settings=settings, site_map=site_map)
    found: dict[str, tuple[str | None, str | None]] = {}
    for row in rows:
        recorded = row.cells.get("site"), row.cells.get("site_source")
        site, source = finder.from_map(row.stem)
        if site is None and asked_again:
            site, source = finder.find(row.stem, scan_output(output_dir, row.stem, "preproc"))
        if site is None and (not asked_again or finder.is_asked(recorded[1])):
            site, source = recorded
        found[row.stem] = site, source
    known = {stem: (site, source or "scans.tsv") for stem, (site, source) in found.items() if site}
    if len(known) < len(found):
        if unknown is None:
            raise SiteError(_unknown_sites(found, output_dir))
        known = {stem: known.get(stem, (unknown, unknown)) for stem in found}
    return known


def _unknown_sites(found: Mapping[str, tuple[str | None, str | None]], output_dir: Path) -> str:
    without = [stem for stem, (site, _) in found.items() if not site]
    lines = [f"the site of {len(without)} of {len(found)} scans is unknown:"]
    ordered = sorted(found, key=lambda stem: (stem not in without, stem))
    for stem in ordered[:MAX_LISTED]:
        site, source = found[stem]
        lines.append(f"  {stem}\t{site or 'n/a'}\t{source or 'n/a'}")
    if len(ordered) > MAX_LISTED:
        lines.append(f"  and {len(ordered) - MAX_LISTED} more")
    lines.append("the site could be read from:")
    lines += [f"  {line}" for line in describe_candidates(output_dir, sorted(found))]
    lines.append("give --site-map TSV (participant_id, [session_id], site), or another --site-*")
    return "\n".join(lines)
