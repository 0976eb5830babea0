"""Does a harmonizer leave anatomy alone? A lesion is put into a head before it is scanned.

Each travelling subject of a phantom is scanned again with and without a dark patch in the white
matter, with the same noise, at the source site and at the reference. The difference of the two
reference scans is the truth; the difference of the two harmonized source scans is judged.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.bids.names import scan_output
from bids_harmonize.harmonizers.apply import harmonize_image
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import resample
from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.phantom import StudyDesign
from bids_harmonize.phantom.acquisition import simulate
from bids_harmonize.phantom.cue import Cue
from bids_harmonize.phantom.design import plan_people
from bids_harmonize.phantom.person import Person, make_person
from bids_harmonize.phantom.presets import PRESETS
from bids_harmonize.phantom.scanner import Scanner, make_scanners
from bids_harmonize.phantom.session import Session
from bids_harmonize.phantom.truth import truth_folder

LESION = Cue(template_mm=(26.0, -22.0, 28.0), radius_mm=5.0, brightening=-0.35)
"""A dark patch in the right white matter, as T1w shows an old lesion."""

AWAY_MM = 15.0
_HIGH_PASS_MM = 6.0


@dataclass(frozen=True)
class Structure:
    """What a harmonizer did to one travelling subject's scan.

    Attributes
    ----------
    contrast
        Change at the lesion over that in the real reference scans; 1 is best.
    volume
        Summed change over its largest value, as a ratio to the same of the reference; 1 is best.
    away
        Largest change at least 15 mm beyond the lesion's edge over that at the lesion; 0 is best.
    high_pass
        Correlation of the fine structure (less a 6 mm Gaussian) of output and input in the brain.
    outside
        Largest absolute change outside the head; must be 0.
    """

    contrast: float
    volume: float
    away: float
    high_pass: float
    outside: float


@dataclass(frozen=True)
class _Visit:
    """A scan on its study grid with and without the lesion."""

    plain: np.ndarray
    lesioned: np.ndarray
    head: np.ndarray
    brain: np.ndarray
    distance_mm: np.ndarray
    high: float


def structure_of(
    harmonizer: Harmonizer, bids_dir: Path, output_dir: Path, *, source_site: str
) -> Iterator[Structure]:
    """One record a travelling subject, first runs, from a source site to the reference.

    Parameters
    ----------
    harmonizer
        Fitted on the study; see ``harmonizers.storage.load_harmonizer``.
    bids_dir
        Root of the raw phantom; its truth lies beside it.
    output_dir
        Root of its derivative.
    source_site
        A site of the harmonizer that is not its reference.

    Yields
    ------
    Structure
        In the order of the participants.
    """
    truth = truth_folder(bids_dir)
    design = StudyDesign(**json.loads((truth / "study.json").read_text("utf-8"))["design"])
    scans = json.loads((truth / "scans.json").read_text("utf-8"))
    scanners = {
        scanner.name: scanner
        for scanner in make_scanners(
            PRESETS[design.preset],
            n_sites=design.n_sites,
            resolution_mm=design.resolution_mm,
            seed=design.seed,
        )
    }
    for planned in plan_people(design):
        if planned.site is not None:
            continue
        person = make_person(
            design.seed, planned.label, traits=planned.traits, base_mm=design.base_mm
        )
        visits = {}
        for site in (source_site, harmonizer.frame.reference_site):
            stem = f"{planned.participant_id}_ses-{site}_run-1"
            fields = {name: scans[stem][name] for name in Session.__dataclass_fields__}
            session = Session(**{n: _tuple(value) for n, value in fields.items()})
            visits[site] = _visit(person, scanners[site], session, output_dir, stem)
        yield _judge(
            harmonizer,
            visits[source_site],
            visits[harmonizer.frame.reference_site],
            source_site=source_site,
        )


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _visit(
    person: Person, scanner: Scanner, session: Session, output_dir: Path, stem: str
) -> _Visit:
    t1w = scan_output(output_dir, stem, "preproc")
    shape, affine = (lambda image: (image[0].shape, image[1]))(read_image(t1w))
    i, j, k = shape
    grid = Grid(shape=(i, j, k), affine=affine)
    head, _ = read_mask(scan_output(output_dir, stem, "head_mask"))
    brain, _ = read_mask(scan_output(output_dir, stem, "brain_mask"))
    lesioned = simulate(person, replace(scanner, cue=LESION), session)
    plain = simulate(person, replace(scanner, cue=None), session)
    volumes = [
        np.where(head, resample(scan.volume, scan.affine, grid), 0).astype(np.float32)
        for scan in (plain, lesioned)
    ]
    voxels = np.stack(np.indices(shape), axis=-1)
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    distance = np.linalg.norm(world - np.array(lesioned.cue_mm), axis=-1)
    high = p99_scaling(volumes[0], brain).high
    return _Visit(volumes[0], volumes[1], head, brain, distance, high)


def _judge(
    harmonizer: Harmonizer, source: _Visit, reference: _Visit, *, source_site: str
) -> Structure:
    made = {
        name: harmonize_image(
            harmonizer,
            getattr(source, name),
            site=source_site,
            head_mask=source.head,
            brain_mask=source.brain,
        )
        for name in ("plain", "lesioned")
    }
    unit = p99_scaling(made["plain"], source.brain).high
    ours = (made["lesioned"] - made["plain"]) / unit
    true = (reference.lesioned - reference.plain) / reference.high
    near, real = source.distance_mm, reference.distance_mm
    core = LESION.radius_mm
    peak, true_peak = ours[near <= core].mean(), true[real <= core].mean()
    reach = 3 * LESION.radius_mm
    size = ours[near <= reach].sum() / peak
    true_size = true[real <= reach].sum() / true_peak
    far = source.brain & (near > reach + AWAY_MM)
    sigma = _HIGH_PASS_MM / harmonizer.frame.voxel_size_mm
    fine = [v - gaussian_filter(v, sigma) for v in (source.plain, made["plain"])]
    return Structure(
        contrast=float(peak / true_peak),
        volume=float(size / true_size),
        away=float(np.abs(ours[far]).max() / abs(peak)),
        high_pass=float(np.corrcoef(fine[0][source.brain], fine[1][source.brain])[0, 1]),
        outside=float(np.abs(made["plain"] - source.plain)[~source.head].max(initial=0.0)),
    )
