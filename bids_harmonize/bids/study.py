"""The study as the group level sees it: derivatives alone, never the raw dataset.

Who trains: a person with scans at one trained site only is *eligible*; a person with scans at two
or more trained sites is *travelling*, is transformed and predicted, and never trained on. With a
group column models are fitted on the controls among the eligible, the *trainees*.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bids_harmonize.bids.control_group import ControlGroup, find_control_group
from bids_harmonize.bids.derived_scans import DerivedScan, derived_scan
from bids_harmonize.bids.names import check_site_labels
from bids_harmonize.bids.roles import (
    MIN_TRAINED_SITES,
    NO_ROLES,
    Roles,
    assign_roles,
    stratum_of_participant,
)
from bids_harmonize.bids.scans import require_scan_rows
from bids_harmonize.bids.sites import group_sites
from bids_harmonize.bids.study_grid import one_grid, scaling_mask_of
from bids_harmonize.bids.tables import MISSING, read_tsv
from bids_harmonize.config import MEDIAN_REFERENCE, Settings
from bids_harmonize.errors import UnusableDataError


@dataclass(frozen=True, kw_only=True)
class Study(Roles):
    """What group stages and the page know about the study: its scans and who does what."""

    output_dir: Path
    scans: tuple[DerivedScan, ...]
    """Scans of all sites, sorted by stem."""
    participants: pd.DataFrame
    """Index ``participant_id``; one row for every participant with a scan."""
    grid_shape: tuple[int, int, int]
    voxel_size_mm: float
    scaling_mask: str
    """``brain``, or ``head`` where the participant level made no brain masks."""
    outside_reference: bool = False
    """The reference is no trained site: known by its card, where its own scans, if any, are scaled
    and train nothing; or virtual."""

    def scan(self, stem: str) -> DerivedScan:
        """The scan with this stem; raises KeyError if there is none."""
        for scan in self.scans:
            if scan.stem == stem:
                return scan
        raise KeyError(stem)

    def of_site(
        self, site: str, *, participants: Collection[str] | None = None
    ) -> tuple[DerivedScan, ...]:
        """Scans of a site, of these participants only if any are given; sorted by stem."""
        return tuple(
            scan
            for scan in self.scans
            if scan.site == site and (participants is None or scan.participant_id in participants)
        )

    @property
    def virtual_reference(self) -> bool:
        """Whether the reference is the median of all trained sites, where nobody was scanned."""
        return self.reference_site == MEDIAN_REFERENCE

    @property
    def trained_scans(self) -> tuple[DerivedScan, ...]:
        """All scans of trained sites, those of travelling and doubtful ones included."""
        return tuple(scan for scan in self.scans if scan.site in self.trained_sites)

    def harmonized_scans(self, *, joint: bool) -> tuple[DerivedScan, ...]:
        """All scans that get an image: of trained sites, and of a reference known by its card.

        A joint model serves the scans of every site.
        """
        if joint:
            return self.scans
        sites = {*self.trained_sites, self.reference_site}
        return tuple(scan for scan in self.scans if scan.site in sites)

    @property
    def training_scans(self) -> tuple[DerivedScan, ...]:
        """Usable scans of the trainees at trained sites."""
        return self.usable_scans(self.trainees)

    def usable_scans(self, participants: Collection[str]) -> tuple[DerivedScan, ...]:
        """Usable scans of these participants at trained sites, sorted by stem."""
        return tuple(
            scan
            for scan in self.trained_scans
            if scan.usable and scan.participant_id in participants
        )

    def site_of_participant(self, participants: Collection[str] | None = None) -> dict[str, str]:
        """Participant to the site by which splits are stratified; by default the trainees'."""
        scans = self.usable_scans(self.trainees if participants is None else participants)
        visits = [(scan.participant_id, scan.site) for scan in scans]
        return stratum_of_participant(visits, self.trained_sites)


def load_study(
    output_dir: Path,
    *,
    settings: Settings,
    site_map: Mapping[str, str] | None = None,
    trains: bool = True,
) -> Study:
    """The study in a derivative dataset.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    settings
        Of the run; the site section decides who trains, the seed who is held out.
    site_map
        Stem, ``sub-01_ses-A`` or ``sub-01`` to site; overrides what the tables say.
    trains
        Whether anything will be trained on it. If not, any number of sites will do, a site may be
        unknown (``n/a``), and nobody has a role.

    Returns
    -------
    Study
        Everything stages need.

    Raises
    ------
    MissingInputError
        If there is no participant-level output, or one of its files is gone.
    SiteError
        If a site is unknown, fewer than two sites can be trained, or the reference is not one
        of them.
    UnusableDataError
        If grids or brain masks are mixed.
    UsageError
        If the group column, or its word for controls, is not in ``participants.tsv``.
    """
    output_dir = output_dir.resolve()
    rows = require_scan_rows(output_dir)
    sites = group_sites(
        rows,
        output_dir,
        settings=settings.site,
        site_map=site_map,
        unknown=None if trains else MISSING,
    )
    scans = tuple(
        derived_scan(
            output_dir,
            row.stem,
            site=sites[row.stem],
            usable=not row.doubtful,
            quality=row.quality(),
        )
        for row in rows
    )
    scaling_mask = scaling_mask_of(scans)
    grid_shape, voxel_size_mm = one_grid(scans)
    participants = _participants(output_dir, scans)
    group = _control_group(participants, output_dir, settings) if trains else None
    roles = _roles(scans, settings, group) if trains else NO_ROLES
    check_site_labels({*roles.trained_sites, *filter(None, [roles.reference_site])})
    return Study(
        output_dir=output_dir,
        scans=scans,
        participants=participants,
        grid_shape=grid_shape,
        voxel_size_mm=voxel_size_mm,
        scaling_mask=scaling_mask,
        outside_reference=trains and roles.reference_site not in roles.trained_sites,
        **vars(roles),
    )


def _control_group(
    participants: pd.DataFrame, output_dir: Path, settings: Settings
) -> ControlGroup | None:
    return find_control_group(
        participants,
        column=settings.group.group_column,
        label=settings.group.control_label,
        source=str(output_dir / "participants.tsv"),
    )


def _roles(
    scans: tuple[DerivedScan, ...], settings: Settings, control_group: ControlGroup | None
) -> Roles:
    visits: dict[str, set[str]] = {}
    usable: dict[str, set[str]] = {}
    for scan in scans:
        visits.setdefault(scan.participant_id, set()).add(scan.site)
        if scan.usable:
            usable.setdefault(scan.participant_id, set()).add(scan.site)
    group = settings.group
    is_outside = bool(group.reference_card) or settings.site.reference_site == MEDIAN_REFERENCE
    return assign_roles(
        visits,
        usable,
        settings=settings.site,
        seed=settings.run.random_seed,
        # A card is made from one site, and another one stands in for a second.
        least_sites=1 if group.reference_card or group.export_card else MIN_TRAINED_SITES,
        outside=settings.site.reference_site if is_outside else None,
        control_group=control_group,
    )


def _participants(output_dir: Path, scans: tuple[DerivedScan, ...]) -> pd.DataFrame:
    names = pd.Index(sorted({scan.participant_id for scan in scans}), name="participant_id")
    path = output_dir / "participants.tsv"
    if not path.is_file():
        return pd.DataFrame(index=names)
    frame = read_tsv(path)
    if "participant_id" not in frame.columns:
        message = f"{path}: no column participant_id"
        raise UnusableDataError(message)
    frame = frame.drop_duplicates("participant_id").set_index("participant_id").reindex(names)
    if "age" in frame.columns:
        frame["age"] = pd.to_numeric(frame["age"], errors="coerce")
    return frame
