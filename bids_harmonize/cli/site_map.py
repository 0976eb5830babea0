"""``--site-map``: the user's own table of who was scanned where."""

from pathlib import Path

from bids_harmonize.errors import UnusableDataError, UsageError
from bids_harmonize.tables.plain import read_plain_table


def read_site_map(path: Path) -> dict[str, str]:
    """Scan, session or participant to site.

    Parameters
    ----------
    path
        TSV with ``participant_id`` and ``site``, and optionally ``session_id`` or ``filename``
        where people have scans at several sites. Labels with or without prefix.

    Returns
    -------
    dict
        Keys are stems (``sub-01_ses-A_run-1``), ``sub-01_ses-A`` or ``sub-01``.

    Raises
    ------
    UsageError
        If the file is no such table, or a participant or site is missing.
    UnusableDataError
        If two rows disagree.
    """
    frame = read_plain_table(path, required=("participant_id", "site"))
    sites: dict[str, str] = {}
    for number, record in enumerate(frame.where(frame.notna(), "").to_dict("records"), start=1):
        row = {str(name): str(value) for name, value in record.items()}
        if not row["participant_id"] or not row["site"]:
            message = f"{path}: record {number} lacks participant_id or site"
            raise UsageError(message)
        key = _key(row)
        if sites.setdefault(key, row["site"]) != row["site"]:
            message = f"{path}: {key} is at {sites[key]!r} and at {row['site']!r}; keep one row"
            raise UnusableDataError(message)
    return sites


def _key(row: dict[str, str]) -> str:
    if row.get("filename"):
        return Path(row["filename"]).name.partition(".")[0].removesuffix("_T1w")
    person = f"sub-{row['participant_id'].removeprefix('sub-')}"
    session = row.get("session_id", "").removeprefix("ses-")
    return f"{person}_ses-{session}" if session else person
