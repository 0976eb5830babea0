"""One answer a source: which site a table, a session label or a sidecar names for a scan."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from bids_harmonize.bids.names import stem_folder
from bids_harmonize.bids.sidecars import read_sidecar
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import SiteSettings
from bids_harmonize.errors import ScanError, UnusableDataError

ALIASES = (
    "site",
    "site_id",
    "siteid",
    "site_name",
    "sitename",
    "center",
    "centre",
    "center_id",
    "centre_id",
    "institution",
    "institution_name",
    "scanner",
    "scanner_id",
)
"""Columns that hold the site, in lower case; the first that a table has is taken."""

SIDECAR_KEYS = ("InstitutionName", "ManufacturersModelName", "DeviceSerialNumber")
"""Keys that together name a scanner."""

_AUTO = ("scans", "sessions", "participants", "metadata")

Answer = tuple[str | None, str | None]


class SiteFinder:
    """Asks the sources of one dataset, in order, for the site of a scan.

    Parameters
    ----------
    root
        Root of the dataset, raw or derivative.
    settings
        Which source is asked, and for which columns or keys.
    site_map
        Stem, ``sub-01_ses-A`` or ``sub-01`` to site.
    """

    def __init__(
        self, root: Path, *, settings: SiteSettings, site_map: Mapping[str, str] | None = None
    ) -> None:
        self.root = root
        self.settings = settings
        self.site_map = site_map or {}
        self._table = cache(_table_of(root))
        self._sources: dict[str, Callable[[str, Path], Answer]] = {
            "scans": self._from_scans,
            "sessions": self._from_sessions,
            "participants": self._from_participants,
            "metadata": self._from_metadata,
            "session-label": self._from_session_label,
        }

    def find(self, stem: str, path: Path, *, source_stem: str | None = None) -> Answer:
        """Site and source of a scan, or (None, None).

        Parameters
        ----------
        stem
            Name of the scan; the site map knows this one.
        path
            Its image, beside which the sidecar lies.
        source_stem
            Name of the scan in the tables of this dataset, where that is another one.

        Returns
        -------
        tuple
            Site and, for instance, ``participants.tsv:site``.
        """
        site, source = self.from_map(stem)
        if site is not None:
            return site, source
        for name in self._order():
            site, source = self._sources[name](source_stem or stem, path)
            if site is not None:
                return site, source
        return None, None

    def from_map(self, stem: str) -> Answer:
        """Site from the site map alone; the most exact entry wins."""
        for key in (stem, "_".join(stem_folder(stem).parts), stem.split("_")[0]):
            if key in self.site_map:
                return self.site_map[key], "site-map"
        return None, None

    def is_asked(self, source: str | None) -> bool:
        """Whether ``source`` is one that the settings ask, with the same columns."""
        names = {"metadata": "sidecar", "session-label": "session-label"}
        starts = [names.get(name, f"{name}.tsv") for name in self._order()]
        head, _, column = (source or "").partition(":")
        keys = "+".join(self.settings.site_key)
        return head in starts and (not keys or column == keys)

    def _order(self) -> Sequence[str]:
        wanted = self.settings.site_source
        if wanted != "auto":
            return (wanted,)
        return ("session-label", *_AUTO) if self.settings.site_from_session else _AUTO

    def _from_scans(self, stem: str, path: Path) -> Answer:
        folder = stem_folder(stem)
        table = folder / f"{'_'.join(folder.parts)}_scans.tsv"
        name = path.relative_to(self.root / folder).as_posix()
        return self._from_table(table, "filename", (name,))

    def _from_sessions(self, stem: str, path: Path) -> Answer:
        del path
        folder = stem_folder(stem)
        if len(folder.parts) < 2:
            return None, None
        person, session = folder.parts
        table = Path(person) / f"{person}_sessions.tsv"
        return self._from_table(table, "session_id", (session, session.removeprefix("ses-")))

    def _from_participants(self, stem: str, path: Path) -> Answer:
        del path
        person = stem.split("_")[0]
        names = (person, person.removeprefix("sub-"))
        return self._from_table(Path("participants.tsv"), "participant_id", names)

    def _from_table(self, table: Path, key: str, names: tuple[str, ...]) -> Answer:
        frame = self._table(table)
        if frame is None or key not in frame.columns:
            return None, None
        columns = site_columns(list(frame.columns), wanted=self.settings.site_key)
        if not columns:
            return None, None
        rows = frame.loc[frame[key].isin(names), columns].dropna(how="all").drop_duplicates()
        if len(rows) > 1:
            values = " | ".join(" ".join(row.dropna()) for _, row in rows.iterrows())
            message = f"{self.root / table}: rows of {names[0]} disagree about the site: {values}"
            raise UnusableDataError(message)
        if rows.empty:
            return None, None
        return " ".join(rows.iloc[0].dropna()), f"{_kind(table)}:{'+'.join(columns)}"

    def _from_metadata(self, stem: str, path: Path) -> Answer:
        del stem
        try:
            metadata = read_sidecar(path, root=self.root)
        except ScanError:
            return None, None  # the scan itself fails on it later, with this message
        keys = self.settings.site_key or SIDECAR_KEYS
        used = [key for key in keys if str(metadata.get(key, "")).strip() not in ("", "n/a")]
        if not used:
            return None, None
        return " ".join(str(metadata[key]).strip() for key in used), f"sidecar:{'+'.join(used)}"

    def _from_session_label(self, stem: str, path: Path) -> Answer:
        del path
        folder = stem_folder(stem)
        if len(folder.parts) < 2:
            return None, None
        pattern = self.settings.site_from_session or "(?P<site>.+)"
        match = re.search(pattern, folder.parts[1].removeprefix("ses-"))
        if match is None or not match["site"]:
            return None, None
        return match["site"], "session-label"


def site_columns(columns: Sequence[str], *, wanted: Sequence[str]) -> list[str]:
    """Columns that hold the site: those that are wanted, or the first known alias.

    Parameters
    ----------
    columns
        Of a table.
    wanted
        Names from ``--site-key``, in any case; if one is missing, the table has no answer.

    Returns
    -------
    list of str
        Empty if the table has none.
    """
    lower = {name.lower(): name for name in reversed(columns)}
    if wanted:
        found = [lower[name.lower()] for name in wanted if name.lower() in lower]
        return found if len(found) == len(wanted) else []
    return next(([lower[alias]] for alias in ALIASES if alias in lower), [])


def describe_candidates(root: Path, stems: Sequence[str]) -> list[str]:
    """Lines that name what could be the site: columns, session labels, sidecar keys.

    Parameters
    ----------
    root
        Root of the dataset.
    stems
        Its scans.

    Returns
    -------
    list of str
        At least one line.
    """
    lines = []
    table = _table_of(root)(Path("participants.tsv"))
    if table is not None:
        n_rows = len(table)
        for name in table.columns:
            n_values = table[name].nunique()
            if name != "participant_id" and 2 <= n_values <= max(2, n_rows // 2):
                lines.append(f"participants.tsv, column {name} ({n_values} values): --site-key")
    sessions = sorted({stem_folder(stem).parts[-1] for stem in stems if "_ses-" in stem})
    if sessions:
        some = ", ".join(sessions[:5]) + (", ..." if len(sessions) > 5 else "")
        lines.append(f"session labels ({some}): --site-source session-label, --site-from-session")
    return lines or ["nothing in the tables and names of the dataset"]


def _kind(table: Path) -> str:
    return f"{table.stem.rpartition('_')[2]}.tsv"


def _table_of(root: Path) -> Callable[[Path], pd.DataFrame | None]:
    def read(table: Path) -> pd.DataFrame | None:
        path = root / table
        return read_tsv(path) if path.is_file() else None

    return read
