"""Two sites of a phantom study in memory: the source's people, the reference's, the travelling."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bids_harmonize.config import ResourceSettings
from bids_harmonize.harmonizers import make_harmonizer
from bids_harmonize.harmonizers.base import Harmonizer, TrainingData
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.phantom import StudyDesign, make_scanners
from bids_harmonize.phantom.design import PlannedPerson, plan_people
from bids_harmonize.phantom.person import make_person
from bids_harmonize.phantom.presets import PRESETS
from bids_harmonize.training.runtime import make_runtime
from bids_harmonize.training.splits import make_monitor
from tests.benchmarks.phantom_scans import (
    BRAIN_SHARES,
    ArrayVolumes,
    PhantomScan,
    scan_person,
    study_session,
    true_volumes,
)

SOURCE, REFERENCE = "SiteA", "SiteB"

Visit = tuple[str, int, Grid | None]
"""Site, run, and the grid to put the scan on; by default its own."""


@dataclass(frozen=True, eq=False)
class Scanned:
    """A scan and what is true of the head; heads are too large to be kept."""

    scan: PhantomScan
    volumes: Mapping[str, float]
    gm_share: float


class Study:
    """People and scanners of one phantom; scans are made when they are asked for."""

    def __init__(self, design: StudyDesign) -> None:
        self.design = design
        larger = replace(design, n_per_site=2 * design.n_per_site)
        people = plan_people(larger)
        at = {
            site: [one for one in people if one.site == site] for site in (SOURCE, REFERENCE, None)
        }
        self.source = at[SOURCE][: design.n_per_site]
        self.reference = at[REFERENCE][: design.n_per_site]
        self.others = at[REFERENCE][design.n_per_site :]
        self.travelling = at[None]
        scanners = make_scanners(
            PRESETS[design.preset],
            n_sites=2,
            resolution_mm=design.resolution_mm,
            seed=design.seed,
        )
        self.scanners = {scanner.name: scanner for scanner in scanners}

    def visits(self, planned: PlannedPerson, *visits: Visit) -> list[Scanned]:
        """Scans of a person as ``write_study`` would make them."""
        seed, label = self.design.seed, planned.label
        head = make_person(seed, label, traits=planned.traits, base_mm=self.design.base_mm)
        csf, gm, wm = (float(head.fractions[n].sum(dtype=np.float64)) for n in BRAIN_SHARES)
        volumes = true_volumes(head)
        scans = (
            scan_person(
                head,
                self.scanners[site],
                study_session(seed, label, site, run),
                participant_id=planned.participant_id,
                resolution_mm=self.design.resolution_mm,
                grid=grid,
            )
            for site, run, grid in visits
        )
        return [Scanned(scan, volumes, gm / (csf + gm + wm)) for scan in scans]

    def at(self, people: Iterable[PlannedPerson], site: str) -> list[Scanned]:
        """One scan of each person."""
        return [self.visits(one, (site, 1, None))[0] for one in people]

    def fit(
        self, name: str, scans: Sequence[PhantomScan], settings: dict[str, object]
    ) -> Harmonizer:
        """A pairwise harmonizer trained on scans of both sites."""
        volumes = ArrayVolumes(scans)
        site_of = {scan.participant_id: scan.site for scan in scans}
        harmonizer = make_harmonizer(
            name,
            reference_site=REFERENCE,
            source_sites=[SOURCE],
            voxel_size_mm=volumes.voxel_size_mm,
            settings=settings,
        )
        data = TrainingData(
            native=volumes,
            network=volumes,
            reference_site=REFERENCE,
            monitor=make_monitor(site_of, seed=self.design.seed),
        )
        with tempfile.TemporaryDirectory() as folder:
            report = harmonizer.fit(
                data,
                runtime=make_runtime(ResourceSettings(device="cpu", nprocs=1)),
                seed=self.design.seed,
                work_dir=Path(folder),
                resume=False,
            )
        if report.fell_back:
            message = f"{name}: training diverged twice; there is nothing to measure"
            raise RuntimeError(message)
        return harmonizer


def scans_of(people: Iterable[Scanned]) -> list[PhantomScan]:
    """The scans alone."""
    return [one.scan for one in people]
