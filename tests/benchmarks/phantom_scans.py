"""Scans of phantom people in memory, with the truth of their anatomy on the same grid.

For benchmarks that scan people whom no study on disk holds: with a planted difference, or at a
scanner where they never were. Grid, masks and units are those of a derivative of the truth
(:mod:`tests.benchmarks.true_derivative`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import place_grid, resample, resample_mask
from bids_harmonize.imaging.intensity import Scaling, p99_scaling
from bids_harmonize.phantom.acquisition import simulate, truth_on_grid
from bids_harmonize.phantom.canvas import LATTICE_MM, Canvas
from bids_harmonize.phantom.person import SIZE_CENTRE_MM, Person
from bids_harmonize.phantom.scanner import Scanner
from bids_harmonize.phantom.seeds import named_generator
from bids_harmonize.phantom.session import Session, draw_session
from bids_harmonize.phantom.template import head_template
from bids_harmonize.phantom.tissues import TISSUE_INDEX
from bids_harmonize.training.sources import ScanFiles

BRAIN_SHARES = tuple(TISSUE_INDEX[name] for name in ("csf", "gm", "wm"))
VENTRICLE_MARGIN_MM = 6.0
_VENTRICLE_SHARE = 0.5  # of the template's voxel


@dataclass(frozen=True, eq=False)
class PhantomScan:
    """One scan on the study grid, and what is true there.

    Attributes
    ----------
    key, participant_id, site
        Names.
    volume
        float32 (I, J, K), native units, 0 outside the head.
    affine
        4x4, voxel to world, mm.
    head, brain
        bool (I, J, K).
    shares
        float32 (3, I, J, K): true fluid, grey and white matter, 0 to 1.
    ventricles
        bool (I, J, K): the ventricles and 6 mm around them.
    to_template
        4x4, from the scan's world to the template's, without the person's own warp, mm.
    """

    key: str
    participant_id: str
    site: str
    volume: np.ndarray
    affine: np.ndarray
    head: np.ndarray
    brain: np.ndarray
    shares: np.ndarray
    ventricles: np.ndarray
    to_template: np.ndarray

    @property
    def grid(self) -> Grid:
        """Where the volume lies."""
        i, j, k = self.volume.shape
        return Grid(shape=(i, j, k), affine=self.affine)


class ArrayVolumes:
    """A volume source over scans in memory, units of the brain's 99th percentile."""

    def __init__(self, scans: Sequence[PhantomScan]) -> None:
        self.held = tuple(scans)
        self.scans = tuple(
            ScanFiles(s.key, s.participant_id, s.site, Path(s.key), Path(s.key), None)
            for s in scans
        )
        self.shape = scans[0].grid.shape
        self.voxel_size_mm = float(scans[0].affine[0, 0])

    def __len__(self) -> int:
        return len(self.scans)

    def volume(self, index: int) -> np.ndarray:
        scaled = self.scaling(index).apply(self.held[index].volume)
        return np.where(self.held[index].head, scaled, np.float32(0))

    def head_mask(self, index: int) -> np.ndarray:
        return self.held[index].head

    def brain_mask(self, index: int) -> np.ndarray:
        return self.held[index].brain

    def scaling(self, index: int) -> Scaling:
        return p99_scaling(self.held[index].volume, self.held[index].brain)


def scan_person(
    person: Person,
    scanner: Scanner,
    session: Session,
    *,
    participant_id: str,
    resolution_mm: float,
    grid: Grid | None = None,
) -> PhantomScan:
    """A person's scan on the study grid.

    Parameters
    ----------
    person, scanner, session
        Who, where, and what is new this time.
    participant_id
        Name of the person.
    resolution_mm
        Voxel size of the study grid, mm.
    grid
        Put the scan on this one; by default on its own, placed by the head.

    Returns
    -------
    PhantomScan
        Deterministic in its arguments.
    """
    scan = simulate(person, scanner, session)
    i, j, k = scan.volume.shape
    raw_head = truth_on_grid(person, (i, j, k), scan.affine, scan.to_person).head
    grid = grid or place_grid(raw_head, scan.affine, resolution_mm=resolution_mm)
    head = resample_mask(raw_head, scan.affine, grid)
    volume = np.where(head, resample(scan.volume, scan.affine, grid), 0).astype(np.float32)
    brain = truth_on_grid(person, grid.shape, grid.affine, scan.to_person).brain & head
    there = np.linalg.inv(scan.to_person) @ person.affine
    shares = [
        resample(person.fractions[n], there, grid, interpolation="linear") for n in BRAIN_SHARES
    ]
    shrink = np.eye(4)
    shrink[:3, :3] /= person.traits.size
    shrink[:3, 3] = SIZE_CENTRE_MM - shrink[:3, :3] @ SIZE_CENTRE_MM
    return PhantomScan(
        key=f"{participant_id}_{scanner.name}_{session.noise_seed}",
        participant_id=participant_id,
        site=scanner.name,
        volume=volume,
        affine=grid.affine,
        head=head,
        brain=brain,
        shares=np.stack(shares),
        ventricles=resample_mask(ventricle_region(person), there, grid) & brain,
        to_template=shrink @ scan.to_person,
    )


def study_session(seed: int, label: str, site: str, run: int = 1) -> Session:
    """The session that ``write_study`` draws for a person, a site and a run."""
    return draw_session(named_generator(seed, "session", label, site, run))


def same_place(session: Session, other: Session) -> Session:
    """A session with the head where it lay in another one."""
    return replace(session, rotation_deg=other.rotation_deg, translation_mm=other.translation_mm)


def ventricle_region(person: Person) -> np.ndarray:
    """The person's ventricles and 6 mm around them, bool, on the grid of the person's maps."""
    voxel_mm = float(person.affine[0, 0])
    core = in_person(person, head_template(voxel_mm).ventricles) > _VENTRICLE_SHARE
    distance = ndimage.distance_transform_edt(~core, sampling=voxel_mm)
    region: np.ndarray = distance <= VENTRICLE_MARGIN_MM
    return region


def in_person(person: Person, template_map: np.ndarray) -> np.ndarray:
    """A map of the template in the person's shape, on the grid of the person's maps.

    Parameters
    ----------
    person
        A head at rest.
    template_map
        Shape (I, J, K), on the canvas of ``head_template`` at the person's voxel size.

    Returns
    -------
    ndarray
        Same shape, interpolated linearly, 0 beyond the canvas.
    """
    canvas = Canvas(float(person.affine[0, 0]))
    at = canvas.from_lattice(person.displacement_mm, Canvas(LATTICE_MM))  # (3, I, J, K)
    axes = canvas.coordinates()
    points = [
        (centre + (axis - centre) / person.traits.size + moved - first) / canvas.voxel_mm
        for axis, centre, moved, first in zip(
            axes, SIZE_CENTRE_MM, at, canvas.affine[:3, 3], strict=True
        )
    ]
    return ndimage.map_coordinates(template_map, np.stack(points), order=1)


def true_volumes(person: Person) -> dict[str, float]:
    """True volumes of a head at rest, mL.

    Parameters
    ----------
    person
        The head.

    Returns
    -------
    dict
        ``ventricles``: fluid in :func:`ventricle_region`; ``gm``: all grey matter.
    """
    voxel_ml = float(person.affine[0, 0]) ** 3 / 1000
    fluid, grey, _ = (person.fractions[n] for n in BRAIN_SHARES)
    region = ventricle_region(person)
    return {
        "ventricles": float(fluid[region].sum(dtype=np.float64)) * voxel_ml,
        "gm": float(grey.sum(dtype=np.float64)) * voxel_ml,
    }
