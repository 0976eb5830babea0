"""A study made of a table of features: who was where, and who may be trained on."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.control_group import ControlGroup, find_control_group
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.roles import Roles, assign_roles, stratum_of_participant
from bids_harmonize.bids.site_sources import SiteFinder, site_columns
from bids_harmonize.bids.sites import MAX_LISTED
from bids_harmonize.bids.tables import MISSING, read_people, read_tsv
from bids_harmonize.config import Settings
from bids_harmonize.errors import ScanError, SiteError, UsageError
from bids_harmonize.tables.features import (
    COVARIATES,
    covariate,
    read_feature_rows,
    select_features,
)
from bids_harmonize.tables.own import HARMONIZED, RAW


@dataclass(frozen=True)
class FeatureSource:
    """A table that a user gave: its arm (``raw``, ``harmonized``), path and SHA-256."""

    arm: str
    path: Path
    sha256: str

    @property
    def words(self) -> str:
        """One phrase for logs and descriptions; the folder is nobody's business."""
        return f"feature table {self.path.name}, sha256 {self.sha256}"


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureStudy(Roles):
    """One arm: rows with their sites and features, and who does what.

    Attributes
    ----------
    source
        The table.
    rows
        participant_id, session_id, site, age (years) and sex (text) of every row; NA where
        unknown, the site never.
    features
        Float64, shape (n_rows, n_features), in the order of ``rows``.
    skipped
        Columns passed over because they hold text.
    details
        Everything that the table and ``participants.tsv`` say of each row, as text, NA where they
        do not; columns of the table first, none twice in another case.
    """

    source: FeatureSource
    rows: pd.DataFrame
    features: pd.DataFrame
    skipped: tuple[str, ...]
    details: pd.DataFrame

    @property
    def trains(self) -> np.ndarray:
        """Bool, shape (n_rows,): rows that models are fitted on."""
        return self._at_trained_sites(self.trainees)

    @property
    def is_asked(self) -> np.ndarray:
        """Bool, shape (n_rows,): rows at trained sites of people who never train."""
        return self._at_trained_sites(self.travelling | self.held_back)

    def _at_trained_sites(self, participants: Collection[str]) -> np.ndarray:
        at_trained = self.rows["site"].isin(self.trained_sites)
        return (at_trained & self.rows["participant_id"].isin(participants)).to_numpy()

    def site_of_participant(self) -> dict[str, str]:
        """Participant who trains to the site by which splits are stratified."""
        rows = self.rows[self.trains]
        visits = zip(rows["participant_id"], rows["site"], strict=True)
        return stratum_of_participant(visits, self.trained_sites)


def feature_sources(settings: Settings) -> tuple[FeatureSource, ...]:
    """The tables of ``--features``, with the SHA-256 of their content.

    Parameters
    ----------
    settings
        Of the run.

    Returns
    -------
    tuple of FeatureSource
        In the order in which they were given.

    Raises
    ------
    UsageError
        If one cannot be read.
    """
    try:
        return tuple(
            FeatureSource(arm=arm, path=Path(path).absolute(), sha256=file_sha256(Path(path)))
            for arm, path in settings.group.features.items()
        )
    except ScanError as error:
        message = f"--features {error}"
        raise UsageError(message) from None


def own_sources(path: Path) -> tuple[FeatureSource, ...]:
    """The arms of our own table of features, raw and harmonized, as far as it has them."""
    arms = set(read_tsv(path)["arm"].dropna())
    digest = file_sha256(path)
    return tuple(FeatureSource(arm, path, digest) for arm in (RAW, HARMONIZED) if arm in arms)


def load_feature_study(
    source: FeatureSource,
    *,
    output_dir: Path,
    settings: Settings,
    site_map: Mapping[str, str] | None = None,
) -> FeatureStudy:
    """The study that one table makes.

    Parameters
    ----------
    source
        The table; site, age and sex are read there first.
    output_dir
        Its ``participants.tsv``, if any, says what the table does not.
    settings
        Which columns are features, how the site is called, who trains.
    site_map
        Stem, ``sub-01_ses-A`` or ``sub-01`` to site; overrides both tables.

    Returns
    -------
    FeatureStudy
        Everything the stages need.

    Raises
    ------
    UsageError
        If the table has no ``participant_id``, no column matches, or the group column or its word
        for controls is not there.
    SiteError
        If the site of a row is unknown, or fewer than two sites can be trained.
    UnusableDataError
        If rows disagree, or a column cannot be a feature.
    """
    rows = read_feature_rows(source.path, arm=source.arm)
    sites = site_columns(list(rows.columns), wanted=settings.site.site_key)
    column = settings.group.group_column
    selected = select_features(
        rows,
        path=source.path,
        patterns=settings.group.feature_columns,
        reserved=[*sites, *([column] if column else [])],
    )
    known = _with_people(rows, sites, output_dir, settings)
    finder = SiteFinder(output_dir, settings=settings.site, site_map=site_map)
    stems = [
        "_".join(key.dropna()) for _, key in known[["participant_id", "session_id"]].iterrows()
    ]
    mapped = pd.Series([finder.from_map(stem)[0] for stem in stems], dtype=object)
    known["site"] = mapped.where(mapped.notna(), known["site"])
    _require_sites(known, source.path, stems)
    group = _control_group(rows, source, output_dir=output_dir, settings=settings)
    roles = _roles(known, settings, group)
    return FeatureStudy(
        source=source,
        rows=known,
        features=selected.values,
        skipped=selected.skipped,
        details=_details(rows, output_dir / "participants.tsv"),
        **vars(roles),
    )


def _with_people(
    rows: pd.DataFrame, sites: list[str], output_dir: Path, settings: Settings
) -> pd.DataFrame:
    """Keys, site, age and sex of every row; cells that the table lacks come from people."""
    found = rows[["participant_id", "session_id"]].copy()
    found["site"] = _joined(rows, sites)
    for name in COVARIATES:
        found[name] = covariate(rows, name)
    path = output_dir / "participants.tsv"
    if path.is_file():
        people = read_people(path)
        own = site_columns(list(people.columns), wanted=settings.site.site_key)
        told = {name: covariate(people, name) for name in COVARIATES}
        for name, column in {"site": _joined(people, own), **told}.items():
            found[name] = found[name].fillna(found["participant_id"].map(column))
    found["age"] = pd.to_numeric(found["age"], errors="coerce").astype(np.float64)
    return found.astype({"site": object, "sex": object})


def _details(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The table's columns, and those of ``participants.tsv`` that it lacks or leaves empty."""
    found = rows.drop(columns=["participant_id", "session_id"]).astype(object)
    people = read_people(path)
    own = {str(name).lower(): name for name in reversed(found.columns)}
    told = {
        own.get(str(name).lower(), name): rows["participant_id"].map(people[name])
        for name in people.columns
    }
    known = pd.DataFrame(told, index=rows.index, dtype=object)
    return found.combine_first(known)[[*found.columns, *known.columns.difference(found.columns)]]


def _joined(rows: pd.DataFrame, columns: list[str]) -> pd.Series:
    """The columns as one text a row; NA where all are."""
    if not columns:
        return pd.Series(pd.NA, index=rows.index, dtype=object)
    words = rows[columns].apply(lambda row: " ".join(row.dropna()) or pd.NA, axis=1)
    return words.astype(object)


def _require_sites(rows: pd.DataFrame, path: Path, stems: list[str]) -> None:
    missing = [stem for stem, site in zip(stems, rows["site"], strict=True) if pd.isna(site)]
    if not missing:
        return
    lines = [f"{path}: the site of {len(missing)} of {len(rows)} rows is unknown:"]
    lines += [f"  {stem}\t{MISSING}" for stem in missing[:MAX_LISTED]]
    if len(missing) > MAX_LISTED:
        lines.append(f"  and {len(missing) - MAX_LISTED} more")
    lines.append(
        "expected it in a column site of the table, in the participants.tsv of output_dir, or in "
        "--site-map TSV (participant_id, [session_id], site); --site-key names another column"
    )
    raise SiteError("\n".join(lines))


def _control_group(
    rows: pd.DataFrame, source: FeatureSource, *, output_dir: Path, settings: Settings
) -> ControlGroup | None:
    """The controls by the table's own column, else by that of ``participants.tsv``."""
    column = settings.group.group_column
    if column is None:
        return None
    people, path = rows.drop_duplicates("participant_id").set_index("participant_id"), source.path
    if column.lower() not in {str(name).lower() for name in people.columns}:
        path = output_dir / "participants.tsv"
        people = read_people(path).reindex(people.index)
    label = settings.group.control_label
    return find_control_group(people, column=column, label=label, source=str(path))


def _roles(rows: pd.DataFrame, settings: Settings, control_group: ControlGroup | None) -> Roles:
    visits: dict[str, set[str]] = {}
    for participant, site in zip(rows["participant_id"], rows["site"], strict=True):
        visits.setdefault(participant, set()).add(site)
    return assign_roles(
        visits,
        visits,
        settings=settings.site,
        seed=settings.run.random_seed,
        control_group=control_group,
    )
