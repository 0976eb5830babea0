"""A study of one phantom brain: six scans at 6 mm that differ by site in gain, and in noise."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.atlases import load_template
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.bids.study import Study
from bids_harmonize.config import make_settings
from bids_harmonize.imaging.geometry import straight_grid
from bids_harmonize.imaging.head_fit import fit_head
from bids_harmonize.imaging.resampling import resample
from bids_harmonize.imaging.tissue import find_tissue
from bids_harmonize.phantom import (
    PRESETS,
    draw_session,
    make_person,
    make_scanners,
    simulate,
    truth_on_grid,
)
from bids_harmonize.preprocessing.transforms import write_to_template
from bids_harmonize.stages import StageContext
from bids_harmonize.training.runtime import make_runtime

SIZE_MM = 6.0
EXTENT_MM = np.array([192.0, 228.0, 216.0])
CENTRE_MM = np.array([0.0, -18.0, -6.0])
GAIN = {"A": 1.0, "B": 2.5}
VISITS = (
    *(("sub-A0", "A"), ("sub-A1", "A"), ("sub-B0", "B"), ("sub-B1", "B")),
    *(("sub-T0", "A"), ("sub-T0", "B")),
)


def shorten(monkeypatch):
    """Fewer steps of every search: what is tested is not how well the brain fits."""
    fit, root = "bids_harmonize.imaging.template_fit", "bids_harmonize"
    monkeypatch.setattr(f"{fit}.PITCHES_DEG", (0.0,))
    monkeypatch.setattr(f"{fit}.SCALES", (0.9,))
    monkeypatch.setattr(f"{fit}.OFFSETS_MM", (0.0,))
    monkeypatch.setattr(f"{root}.imaging.deformation.N_COARSE", 6)
    monkeypatch.setattr(f"{root}.imaging.deformation.N_FINE", 4)
    monkeypatch.setattr(f"{root}.imaging.displacement.N_INVERSION", 6)
    monkeypatch.setattr(f"{root}.stages.harmonization.halves.LEAST_PER_HALF", 1)
    monkeypatch.setattr(f"{root}.stages.harmonize.names_to_fit", _chosen_only)


def _chosen_only(settings):
    return (settings.group.harmonizer,)


@cache
def phantom():
    """Volume, affine, head and brain mask of one head."""
    person = make_person(7, "tissue", base_mm=4.0)
    scanner = make_scanners(PRESETS["default"], n_sites=1, resolution_mm=SIZE_MM, seed=7)[0]
    scan = simulate(person, scanner, draw_session(np.random.default_rng(7)))
    shape = tuple(int(n) for n in np.ceil(EXTENT_MM / SIZE_MM))
    corner = CENTRE_MM - np.array(shape) * SIZE_MM / 2
    grid = straight_grid(corner, resolution_mm=SIZE_MM, shape=shape)
    truth = truth_on_grid(person, grid.shape, grid.affine, scan.to_person)
    volume = np.maximum(resample(scan.volume, scan.affine, grid), 0)
    return np.where(truth.head, volume, 0), grid.affine, truth.head, truth.brain


def write_tissue_study(folder: Path, *, tissue: bool, doubtful=()) -> Study:
    """Write the study; with tissue, every scan has the phantom's own maps."""
    scans = tuple(
        sorted(
            (_write_scan(folder, *visit, tissue=tissue, doubtful=doubtful) for visit in VISITS),
            key=lambda scan: scan.stem,
        )
    )
    people = sorted({scan.participant_id for scan in scans})
    i, j, k = phantom()[0].shape
    return Study(
        output_dir=folder,
        scans=scans,
        participants=pd.DataFrame(index=pd.Index(people, name="participant_id")),
        trained_sites=("A", "B"),
        left_out={},
        travelling=frozenset({"sub-T0"}),
        eligible=frozenset(people) - {"sub-T0"},
        reference_site="A",
        grid_shape=(i, j, k),
        voxel_size_mm=SIZE_MM,
        scaling_mask="brain",
    )


def make_tissue_context(study, work_dir, *, run_id="first", run=None, resources=None, **group):
    """The context of a run that harmonizes by identity and measures."""
    values = {
        "group": {"harmonizer": "identity", "stages": ("harmonize", "features"), **group},
        "resources": {"device": "cpu", "nprocs": 1, **(resources or {})},
        "run": run or {},
    }
    settings = make_settings(values, source="test")
    return StageContext(study, settings, work_dir, run_id, make_runtime(settings.resources))


def image_of_site(person, site):
    """The phantom as a site scans it for this person: a gain, and a little noise."""
    volume, affine, head, brain = phantom()
    rng = np.random.default_rng(list(map(ord, f"{person}{site}")))
    noisy = volume + rng.normal(scale=0.01 * volume[brain].mean(), size=volume.shape)
    return np.where(head, np.maximum(noisy, 0) * GAIN[site], 0).astype(np.float32), affine


def _write_scan(folder, person, site, *, tissue, doubtful):
    stem = f"{person}_ses-{site}"
    volume, affine = image_of_site(person, site)
    _, _, head, brain = phantom()
    keys = ("preproc", "head_mask", "brain_mask")
    paths = {key: scan_output(folder, stem, key) for key in keys}
    write_image(paths["preproc"], volume, affine)
    write_image(paths["head_mask"], head, affine, dtype=np.uint8)
    write_image(paths["brain_mask"], brain, affine, dtype=np.uint8)
    write_json(sidecar_path(paths["preproc"]), {"SkullStripped": False, "TissueDoubtful": False})
    if tissue:
        _write_tissue(folder, stem)
    return DerivedScan(
        stem=stem,
        participant_id=person,
        session_id=f"ses-{site}",
        site=site,
        site_source="sessions",
        t1w=paths["preproc"],
        head_mask=paths["head_mask"],
        brain_mask=paths["brain_mask"],
        usable=stem not in doubtful,
        quality={},
    )


@cache
def found_tissue():
    """Tissue of the phantom itself."""
    volume, affine, head, brain = phantom()
    template = load_template()
    _, fit = fit_head(volume, affine, head, template)
    return find_tissue(volume, affine, brain, template, to_template=fit.to_template)


def _write_tissue(folder, stem):
    found, affine = found_tissue(), phantom()[1]
    for key in ("gm", "wm", "csf"):
        write_image(scan_output(folder, stem, key), getattr(found, key), affine)
    write_to_template(
        scan_output(folder, stem, "xfm_preproc_to_template"),
        found.deformation.template_to_scan,
        displacement_mm=found.deformation.displacement_mm,
        grid=found.deformation.grid,
    )
