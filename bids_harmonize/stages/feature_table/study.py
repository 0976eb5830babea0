"""A study made of features alone: who was where, and who may be trained on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.control_group import ControlGroup, find_control_group
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.roles import (
    MIN_TRAINED_SITES,
    Roles,
    assign_roles,
    stratum_of_participant,
)
from bids_harmonize.bids.site_sources import SiteFinder, site_columns
from bids_harmonize.bids.sites import MAX_LISTED
from bids_harmonize.bids.tables import MISSING, read_people, read_tsv
from bids_harmonize.config import Settings
from bids_harmonize.errors import ScanError, SiteError, UsageError
from bids_harmonize.stages.feature_table.people import (
    PEOPLE,
    all_details,
    people_tables,
    with_people,
)
from bids_harmonize.stages.feature_table.segmentations import (
    is_segmentations,
    read_segmentations,
)
from bids_harmonize.tables.features import read_feature_rows, select_features
from bids_harmonize.tables.folders import FolderRows
from bids_harmonize.tables.own import HARMONIZED, RAW
from bids_harmonize.tables.sources import read_folder

_FEWEST = 2  # people of a site where nothing is trained


@dataclass(frozen=True)
class FeatureSource:
    """What a user gave: its arm (``raw``, ``harmonized``), path and SHA-256.

    ``folder`` holds the features of a folder of another tool's results; ``None`` for a table.
    """

    arm: str
    path: Path
    sha256: str
    folder: FolderRows | None = field(default=None, repr=False, compare=False)

    @property
    def words(self) -> str:
        """One phrase for logs and descriptions; where it lies is nobody's business."""
        what = f"{self.folder.kind} in" if self.folder else "feature table"
        return f"{what} {self.path.name}, sha256 {self.sha256}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of a folder."""
        return self.folder.notes if self.folder else ()

    def read(self) -> pd.DataFrame:
        """One row a participant or session; raises as ``read_feature_rows``."""
        if self.folder is not None:
            return self.folder.rows
        return read_feature_rows(self.path, arm=self.arm)


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
    people
        The ``participants.tsv`` files that say what the source does not, the first one first.
    details
        Everything that the source and these files say of each row, as text, NA where they do not;
        columns of the source first, none twice in another case.
    """

    source: FeatureSource
    rows: pd.DataFrame
    features: pd.DataFrame
    skipped: tuple[str, ...]
    people: tuple[Path, ...]
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
    """The tables and folders of ``--features``, with the SHA-256 of their content.

    Parameters
    ----------
    settings
        Of the run.

    Returns
    -------
    tuple of FeatureSource
        In the order in which they were given; folders have been read.

    Raises
    ------
    UsageError
        If a table cannot be read, or a folder is of no tool that is known.
    UnusableDataError
        If subjects in a folder are faulty; all are named.
    """
    return tuple(
        _source(arm, Path(path).absolute()) for arm, path in settings.group.features.items()
    )


def _source(arm: str, path: Path) -> FeatureSource:
    if path.is_dir():
        folder = _read_folder(path)
        return FeatureSource(arm, path, folder.sha256, folder)
    try:
        return FeatureSource(arm, path, file_sha256(path))
    except ScanError as error:
        message = f"--features {error}"
        raise UsageError(message) from None


def _read_folder(path: Path) -> FolderRows:
    """The features in a folder; raises as :func:`feature_sources`."""
    if is_segmentations(path):  # before others look through all that lies below
        return read_segmentations(path)
    try:
        return read_folder(path)
    except UsageError as error:
        message = (
            f"{error}\nNor is it a derivative of sMRIPrep or fMRIPrep with "
            "sub-*/[ses-*/]anat/*_label-GM_probseg.nii.gz or *_dseg.nii.gz in native space "
            "(no space- in the name)"
        )
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
    """The study that one table or folder makes.

    Parameters
    ----------
    source
        Of the features; site, age and sex are read in a table first.
    output_dir
        Its ``participants.tsv``, if any, says what source and its own ``participants.tsv`` do not.
    settings
        Which columns are features, how the site is called, who trains.
    site_map
        Stem, ``sub-01_ses-A`` or ``sub-01`` to site; overrides all tables.

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
    rows = source.read()
    people = people_tables(source.path, output_dir)
    sites = site_columns(list(rows.columns), wanted=settings.site.site_key)
    column = settings.group.group_column
    selected = select_features(
        rows,
        path=source.path,
        patterns=settings.group.feature_columns,
        reserved=[*sites, *([column] if column else [])],
    )
    known = with_people(rows, sites, people, settings.site)
    finder = SiteFinder(output_dir, settings=settings.site, site_map=site_map)
    stems = [
        "_".join(key.dropna()) for _, key in known[["participant_id", "session_id"]].iterrows()
    ]
    mapped = pd.Series([finder.from_map(stem)[0] for stem in stems], dtype=object)
    known["site"] = mapped.where(mapped.notna(), known["site"])
    _require_sites(known, source, stems)
    group = _control_group(rows, source.path, people or (output_dir / PEOPLE,), settings)
    roles = _roles(known, settings, group)
    return FeatureStudy(
        source=source,
        rows=known,
        features=selected.values,
        skipped=selected.skipped,
        people=people,
        details=all_details(rows, people),
        **vars(roles),
    )


def _require_sites(rows: pd.DataFrame, source: FeatureSource, stems: list[str]) -> None:
    missing = [stem for stem, site in zip(stems, rows["site"], strict=True) if pd.isna(site)]
    if not missing:
        return
    lines = [f"{source.path}: the site of {len(missing)} of {len(rows)} rows is unknown:"]
    lines += [f"  {stem}\t{MISSING}" for stem in missing[:MAX_LISTED]]
    if len(missing) > MAX_LISTED:
        lines.append(f"  and {len(missing) - MAX_LISTED} more")
    where = "in a column site of the table, in the participants.tsv of output_dir"
    if source.folder:
        where = (
            "in a participants.tsv in this folder, beside it, of the dataset whose derivatives it "
            "belongs to, or in output_dir"
        )
    lines.append(
        f"expected it {where}, or in --site-map TSV (participant_id, [session_id], site); "
        "--site-key names another column"
    )
    raise SiteError("\n".join(lines))


def _control_group(
    rows: pd.DataFrame, path: Path, tables: Sequence[Path], settings: Settings
) -> ControlGroup | None:
    """The controls by the source's own column, else by the first table of people that has it."""
    column = settings.group.group_column
    if column is None:
        return None
    people = rows.drop_duplicates("participant_id").set_index("participant_id")
    for table in tables:
        if column.lower() in {str(name).lower() for name in people.columns}:
            break
        people, path = read_people(table).reindex(people.index), table
    label = settings.group.control_label
    return find_control_group(people, column=column, label=label, source=str(path))


def _roles(rows: pd.DataFrame, settings: Settings, control_group: ControlGroup | None) -> Roles:
    visits: dict[str, set[str]] = {}
    for participant, site in zip(rows["participant_id"], rows["site"], strict=True):
        visits.setdefault(participant, set()).add(site)
    applies = settings.group.model_dir is not None  # nothing is trained
    return assign_roles(
        visits,
        visits,
        settings=replace(settings.site, min_per_site=_FEWEST) if applies else settings.site,
        least_sites=1 if applies else MIN_TRAINED_SITES,
        seed=settings.run.random_seed,
        control_group=control_group,
    )
