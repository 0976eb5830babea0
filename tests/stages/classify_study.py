"""A small derivative study on disk for the stage ``classify``: toy heads with BIDS names."""

from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import scan_output
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.bids.study import Study
from bids_harmonize.config import make_settings
from bids_harmonize.imaging._itk import to_itk_transform
from bids_harmonize.imaging.quality import QUALITY_MEASURES
from bids_harmonize.stages import StageContext
from tests.training.toys import SITES, cpu_runtime, make_head

SHAPE = (16, 20, 16)
VOXEL_MM = 12.0
# The toy head's middle lies here in the scanner's world, and at the template's origin.
_MEASURES = {
    name: {"Description": QUALITY_MEASURES[name].description}
    for name in ("native_i_mm", "native_j_mm", "native_k_mm", "head_outside_grid")
}
MIDDLE_MM = np.array([3.0, -10.0, 21.0])


def write_study(folder: Path, *, n_per_site: int = 6, n_travelling: int = 1) -> Study:
    """Write the images and return the study; travelling subjects have one scan a site."""
    rng = np.random.default_rng(0)
    visits = [(f"sub-{site}{number}", site) for site in SITES[:2] for number in range(n_per_site)]
    visits += [(f"sub-T{number}", site) for number in range(n_travelling) for site in SITES[:2]]
    scans = tuple(
        sorted((_write_scan(folder, rng, *visit) for visit in visits), key=lambda s: s.stem)
    )
    write_scan_rows(
        folder, {scan.stem: _protocol(scan.site) for scan in scans}, measures=_MEASURES
    )
    people = sorted({scan.participant_id for scan in scans})
    travelling = frozenset(person for person in people if person.startswith("sub-T"))
    return Study(
        output_dir=folder,
        scans=scans,
        participants=_participants(people),
        trained_sites=SITES[:2],
        left_out={},
        travelling=travelling,
        eligible=frozenset(people) - travelling,
        reference_site=SITES[0],
        grid_shape=SHAPE,
        voxel_size_mm=VOXEL_MM,
        scaling_mask="brain",
    )


def _participants(people: list[str]) -> pd.DataFrame:
    """Age and sex, the same at both sites; one age is not known."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(index=pd.Index(people, name="participant_id"))
    frame["age"] = [float(rng.integers(20, 60)) for _ in people]
    frame.iloc[0, 0] = float("nan")
    frame["sex"] = [("F", "M")[place % 2] for place in range(len(people))]
    return frame


def _protocol(site: str) -> dict[str, object]:
    """What ``scans.tsv`` says of a scan; the second site has thicker slices."""
    size = 1.0 if site == SITES[0] else 1.2
    return {
        "site": site,
        "native_shape": "192x256x256",
        "native_orientation": "RAS",
        "native_datatype": "int16",
        "native_i_mm": size,
        "native_j_mm": 1.0,
        "native_k_mm": 1.0,
        "head_outside_grid": 0.0,
    }


def make_context(study: Study, work_dir: Path, *, effort: str = "quick", folds: int = 2):
    """The stage's context: CPU, short training."""
    values = {
        "group": {"effort": effort, "folds": folds},
        "classifier": {"n_epochs": 2},
        "resources": {"device": "cpu", "nprocs": 1},
    }
    settings = make_settings(values, source="test")
    return StageContext(study, settings, work_dir, "run-1", cpu_runtime())


def _write_scan(folder: Path, rng: np.random.Generator, person: str, site: str) -> DerivedScan:
    stem = f"{person}_ses-{site}"
    head = make_head(rng, SITES.index(site), shape=SHAPE, effect=2)
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = MIDDLE_MM - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    keys = ("preproc", "head_mask", "brain_mask")
    t1w, head_mask, brain_mask = (scan_output(folder, stem, key) for key in keys)
    write_image(t1w, head.volume, affine)
    write_image(head_mask, head.head_mask, affine, dtype=np.uint8)
    write_image(brain_mask, head.brain_mask, affine, dtype=np.uint8)
    write_json(t1w.with_name(t1w.name.replace(".nii.gz", ".json")), {"SkullStripped": False})
    to_scan = np.eye(4)
    to_scan[:3, 3] = MIDDLE_MM
    path = scan_output(folder, stem, "xfm_preproc_to_template")
    sitk.WriteTransform(sitk.CompositeTransform([to_itk_transform(to_scan)]), str(path))
    return DerivedScan(
        stem=stem,
        participant_id=person,
        session_id=f"ses-{site}",
        site=site,
        site_source="sessions",
        t1w=t1w,
        head_mask=head_mask,
        brain_mask=brain_mask,
        usable=True,
        quality={},
    )
