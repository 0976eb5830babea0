"""What is true of the people of a phantom study: their tissue, and one ideal scanner's image.

The ideal scanner has the phantom's own intensities, no coil field, no noise and one point spread;
a person lies in it as in the study's own scanner, and the image is put on the same grid and
segmented with the same masks by the same code. What it shows differs from the true shares by the
segmentation, not by scanners.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.atlases.regions import load_brain_regions
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import resample
from bids_harmonize.imaging.regional import volume_by_region
from bids_harmonize.phantom import (
    Person,
    Scanner,
    StudyDesign,
    make_person,
    simulate,
)
from bids_harmonize.phantom.canvas import LATTICE_MM, Canvas
from bids_harmonize.phantom.design import PlannedPerson
from bids_harmonize.phantom.person import SIZE_CENTRE_MM
from bids_harmonize.phantom.tissues import base_intensities
from bids_harmonize.stages.tissue.processes import work_through
from bids_harmonize.stages.tissue.scan import TissueJob, read_row, region_feature
from tests.benchmarks.phantom_scans import BRAIN_SHARES, study_session

IDEAL, TRUE = "ideal", "true"
"""Arms: the ideal scanner's image, segmented by the app; the phantom's own shares."""


@dataclass(frozen=True)
class Visit:
    """A person, the study, and the scan that the app made; plain values for other processes."""

    planned: PlannedPerson
    design: StudyDesign
    scan: DerivedScan


def ideal_scanner(resolution_mm: float) -> Scanner:
    """A scanner that adds nothing but its voxels and its point spread.

    Parameters
    ----------
    resolution_mm
        Voxel size, mm.

    Returns
    -------
    Scanner
        The same for all sites; white matter is 1,000.
    """
    return Scanner(
        name=IDEAL,
        intensities=tuple(float(value) for value in base_intensities()),
        coil_strength=0.0,
        coil_shape=(1.0, *[0.0] * 8),
        noise=0.0,
        psf_voxels=1.0,
        voxel_size_mm=(resolution_mm,) * 3,
        scale=1000.0,
    )


def true_features(person: Person) -> dict[str, float]:
    """True volumes of a head at rest under the names of ``group_features.tsv``.

    Parameters
    ----------
    person
        The head.

    Returns
    -------
    dict
        mL; every voxel asks the template where it lies by the person's true warp.
    """
    voxel_ml = float(person.affine[0, 0]) ** 3 / 1000
    csf, grey, wm = (person.fractions[n] for n in BRAIN_SHARES)
    values = {
        f"{name}_volume_ml": float(share.sum(dtype=np.float64)) * voxel_ml
        for name, share in (("csf", csf), ("gm", grey), ("wm", wm))
    }
    values["intracranial_volume_ml"] = sum(values.values())
    regions = load_brain_regions()
    there = grey > 0
    by_region = volume_by_region(
        grey[there],
        template_points(person)[:, there],
        voxel_ml=voxel_ml,
        regions=regions.labels,
        affine=regions.affine,
        labels=regions.names,
    )
    return values | {region_feature(regions.names[n]): ml for n, ml in by_region.items()}


def template_points(person: Person) -> np.ndarray:
    """Where each voxel of the person's maps lies in the template, (3, I, J, K), mm."""
    canvas = Canvas(float(person.affine[0, 0]))
    moved = canvas.from_lattice(person.displacement_mm, Canvas(LATTICE_MM))
    return np.stack(
        [
            centre + (axis - centre) / person.traits.size + shift
            for axis, centre, shift in zip(
                canvas.coordinates(), SIZE_CENTRE_MM, moved, strict=True
            )
        ]
    )


def measure_truth(visits: Sequence[Visit], folder: Path, *, n_procs: int) -> pd.DataFrame:
    """Rows of both arms of the truth.

    Parameters
    ----------
    visits
        One a person.
    folder
        Ideal images and their numbers go there.
    n_procs
        Processes at a time.

    Returns
    -------
    DataFrame
        participant_id, arm and the features; nobody is left out.

    Raises
    ------
    RuntimeError
        If an ideal image cannot be segmented.
    """
    with ProcessPoolExecutor(n_procs, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(_make, visits, [folder] * len(visits)))
    rows = [
        {"participant_id": visit.planned.participant_id, "arm": TRUE, **values}
        for visit, (values, _) in zip(visits, made, strict=True)
    ]
    for job, fault in work_through([job for _, job in made], n_procs=n_procs):
        row = read_row(job)
        if fault is not None or row is None:
            message = f"{job.image}: {'no numbers' if fault is None else fault.message}"
            raise RuntimeError(message)
        rows.append({"participant_id": job.scan.participant_id, "arm": IDEAL, **row.values})
    return pd.DataFrame(rows)


def _make(visit: Visit, folder: Path) -> tuple[dict[str, float], TissueJob]:
    """True volumes, and the job of the ideal image, which is written."""
    design, label, scan = visit.design, visit.planned.label, visit.scan
    person = make_person(design.seed, label, traits=visit.planned.traits, base_mm=design.base_mm)
    session = study_session(design.seed, label, scan.site)
    image = simulate(person, ideal_scanner(design.resolution_mm), session)
    head, affine = read_mask(scan.head_mask)
    volume, _ = read_image(scan.t1w)
    i, j, k = volume.shape
    there = resample(image.noise_free, image.affine, Grid(shape=(i, j, k), affine=affine))
    path = folder / f"{scan.stem}_ideal.nii.gz"
    write_image(path, np.where(head, there, np.float32(0)), affine)
    job = TissueJob(
        scan=scan,
        arm=IDEAL,
        fit=None,
        maps=None,
        image=path,
        model=None,
        model_sha256="",
        row_file=path.with_suffix("").with_suffix(".json"),
        fingerprint=IDEAL,
    )
    return true_features(person), job
