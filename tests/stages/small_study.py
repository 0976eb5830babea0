"""A small study on disk: smooth random heads seen by scanners that differ by a tone curve."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, shift

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.study import Study
from bids_harmonize.preprocessing.transforms import write_to_template

SHAPE = (32, 32, 32)
VOXEL_MM = 6.0
AFFINE = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])


def train_briefly(monkeypatch):
    """Let classifiers train for a few steps only: what is tested is not what they learn."""
    monkeypatch.setattr("bids_harmonize.training.classifier_fit._LEAST_ITERATIONS", 3)


def tone(volume, site):
    """What the scanner of a site makes of true intensities; monotone, so it can be undone."""
    power = {"A": 1.0, "B": 0.5, "C": 2.0}[site]
    return 400.0 * volume**power


def write_small_study(
    folder: Path, *, sites=("A", "B"), n_per_site=5, n_travelling=2, doubtful=()
) -> Study:
    """Write the images and return the study; everybody who travels has two scans a site."""
    visits = [
        (f"sub-{site}{number}", site, run)
        for site in sites
        for number in range(n_per_site)
        for run in (1,)
    ]
    visits += [
        (f"sub-T{number}", site, run)
        for number in range(n_travelling)
        for site in sites
        for run in (1, 2)
    ]
    scans = tuple(
        sorted(
            (_write_scan(folder, *visit, doubtful=doubtful) for visit in visits),
            key=lambda scan: scan.stem,
        )
    )
    people = sorted({scan.participant_id for scan in scans})
    travelling = frozenset(person for person in people if person.startswith("sub-T"))
    return Study(
        output_dir=folder,
        scans=scans,
        participants=pd.DataFrame(index=pd.Index(people, name="participant_id")),
        trained_sites=tuple(sites),
        left_out={},
        travelling=travelling,
        eligible=frozenset(people) - travelling,
        reference_site="A",
        grid_shape=SHAPE,
        voxel_size_mm=VOXEL_MM,
        scaling_mask="brain",
    )


def _write_scan(folder, person, site, run, *, doubtful):
    stem = f"{person}_ses-{site}_run-{run}"
    anatomy = np.random.default_rng(sum(map(ord, person)))
    session = np.random.default_rng([run, *map(ord, f"{person}{site}")])
    radius = np.sqrt(sum((axis - 15.5) ** 2 for axis in np.indices(SHAPE)))
    texture = gaussian_filter(anatomy.normal(size=SHAPE), 1.5)
    inside = np.clip(0.55 + 3.0 * texture, 0.05, 1.0) * gaussian_filter((radius < 11) * 1.0, 0.7)
    moved = [np.round(session.uniform(-1, 1, size=3), 2)] * 2
    volume = shift(inside, moved[0], order=3).clip(0, 1)
    head = shift(radius, moved[1], order=1, cval=99.0) < 12
    brain = shift(radius, moved[1], order=1, cval=99.0) < 9
    noisy = tone(volume, site) + session.normal(scale=4.0, size=SHAPE)
    paths = {
        name: folder / person / f"{stem}_{name}.nii.gz"
        for name in ("t1w", "head_mask", "brain_mask")
    }
    paths["t1w"].parent.mkdir(parents=True, exist_ok=True)
    write_image(paths["t1w"], np.where(head, noisy, 0).astype(np.float32), AFFINE)
    write_image(paths["head_mask"], head.astype(np.uint8), AFFINE, dtype=np.uint8)
    write_image(paths["brain_mask"], brain.astype(np.uint8), AFFINE, dtype=np.uint8)
    return DerivedScan(
        stem=stem,
        participant_id=person,
        session_id=f"ses-{site}",
        site=site,
        site_source="sessions",
        usable=stem not in doubtful,
        quality={},
        **paths,
    )


def write_template_transforms(study: Study, *, shift_mm: float = 90.0) -> None:
    """The affine from the template to every scan: both are centred, the scans' corner at 0."""
    template_to_scan = np.eye(4)
    template_to_scan[:3, 3] = shift_mm
    for scan in study.scans:
        path = scan_output(study.output_dir, scan, "xfm_preproc_to_template")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_template(path, template_to_scan)
