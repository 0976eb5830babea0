"""A phantom study's derivative from its truth, as the participant level would write it.

``python -m tests.benchmarks.true_derivative BIDS_DIR OUT --resolution 4`` takes head and brain
masks from ``BIDS_DIR-truth`` instead of looking for them, and nothing is registered, so that a
study of hundreds of scans costs a minute. What the app writes after its masks is written by the
app itself: grid, resampling, images, sidecars, tables. The affine to the template is the true
size and head position without the person's own warp. Nothing is doubtful, there is no tissue, and
only the quality measures of the raw image stand (those of the brain need a bias field).
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.dataset import prepare_output, write_participants
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.index import Scan, index_scans
from bids_harmonize.bids.rawimages import RawImage, read_raw
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.bids.sites import resolve_sites
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.config import Settings, make_settings
from bids_harmonize.imaging.air_quality import measure_raw
from bids_harmonize.imaging.field_of_view import share_outside
from bids_harmonize.imaging.geometry import Grid, voxel_size_mm
from bids_harmonize.imaging.grid import place_grid, resample, resample_mask
from bids_harmonize.imaging.orientation import axis_codes
from bids_harmonize.phantom.person import SIZE_CENTRE_MM
from bids_harmonize.phantom.truth import truth_folder
from bids_harmonize.preprocessing.derivatives import Made, ScanJob, save_scan
from bids_harmonize.preprocessing.jobs import make_job
from bids_harmonize.preprocessing.reuse import measure_columns, table_row
from bids_harmonize.preprocessing.steps import Conformed
from bids_harmonize.preprocessing.steps.conform import _cropped_below_mm

SOURCE = "truth"


@dataclass(frozen=True)
class Truth:
    """What a phantom's truth folder says.

    Attributes
    ----------
    folder
        Its root.
    scans
        Stem to head position and the rest, as in ``scans.json``.
    sizes
        Participant to linear size of the head relative to the template.
    """

    folder: Path
    scans: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, float]

    def to_person(self, stem: str) -> np.ndarray:
        """4x4 from the scan's world to the world of the head at rest, mm."""
        return np.array(self.scans[stem]["scan_to_truth_world"])

    def to_template(self, scan: Scan) -> np.ndarray:
        """4x4 from the scan's world to the template's, mm, without the person's own warp."""
        shrink = np.eye(4)
        shrink[:3, :3] /= self.sizes[scan.participant_id]
        shrink[:3, 3] = SIZE_CENTRE_MM - shrink[:3, :3] @ SIZE_CENTRE_MM
        return shrink @ self.to_person(scan.stem)

    def mask(self, scan: Scan, name: str, grid: Grid) -> np.ndarray:
        """``head`` or ``brain`` on a grid in the scan's world, bool."""
        path = self.folder / "heads" / f"{scan.participant_id}_{name}.nii.gz"
        volume, affine = read_image(path)
        there = np.linalg.inv(self.to_person(scan.stem)) @ affine
        return resample_mask(volume > 0, there, grid)


def read_truth(bids_dir: Path) -> Truth:
    """The truth beside a phantom study.

    Parameters
    ----------
    bids_dir
        Root of the raw dataset.

    Returns
    -------
    Truth
        Positions and sizes; masks are read when they are asked for.
    """
    folder = truth_folder(bids_dir)
    people = read_tsv(folder / "participants.tsv").set_index("participant_id")
    scans = json.loads((folder / "scans.json").read_text(encoding="utf-8"))
    return Truth(folder, scans, people["size"].astype(float).to_dict())


def write_derivative(bids_dir: Path, output_dir: Path, *, resolution_mm: float) -> int:
    """Write the derivative dataset of a whole phantom study; an earlier one is replaced.

    Parameters
    ----------
    bids_dir
        Root of the phantom's raw dataset; its truth lies beside it.
    output_dir
        Root of the derivative; what stands there is removed.
    resolution_mm
        Voxel size of the study grid, mm.

    Returns
    -------
    int
        Number of scans; about .2 s of CPU each at 4 mm.
    """
    bids_dir, output_dir = bids_dir.resolve(), output_dir.resolve()
    shutil.rmtree(output_dir, ignore_errors=True)
    output_dir.mkdir(parents=True)
    settings = make_settings(
        {"preprocessing": {"resolution_mm": resolution_mm, "tissue": False}}, source="benchmark"
    )
    truth = read_truth(bids_dir)
    scans = index_scans(bids_dir, selection=settings.selection)
    scans = resolve_sites(scans, bids_dir, settings=settings.site)
    prepare_output(output_dir, bids_dir)
    rows = {scan.stem: _write_scan(scan, truth, output_dir, settings) for scan in scans}
    write_scan_rows(output_dir, rows, measures=measure_columns())
    write_participants(output_dir, bids_dir)
    return len(scans)


def _write_scan(scan: Scan, truth: Truth, output_dir: Path, settings: Settings) -> dict[str, Any]:
    """Write all outputs of a scan; returns its row of ``scans.tsv``."""
    job = make_job(scan, output_dir, settings, run_id=SOURCE)
    raw = read_raw(scan.path)
    i, j, k = raw.volume.shape
    head = truth.mask(scan, "head", Grid(shape=(i, j, k), affine=raw.affine))
    grid = place_grid(head, raw.affine, resolution_mm=job.settings["resolution_mm"])
    head_mask = resample_mask(head, raw.affine, grid)
    volume = resample(raw.volume, raw.affine, grid)
    volume[~head_mask] = 0
    brain_mask = truth.mask(scan, "brain", grid) & head_mask
    with tempfile.TemporaryDirectory() as folder:
        made = _made(
            Path(folder),
            Conformed(volume, head_mask, grid.affine, head),
            (brain_mask, truth.to_template(scan)),
            raw,
        )
        return _save(job, scan, made)


def _made(
    folder: Path, scan: Conformed, brain: tuple[np.ndarray, np.ndarray], raw: RawImage
) -> Made:
    """What the steps of the participant level leave for a scan, from the truth."""
    conformed, brain_file = folder / "conformed.npz", folder / "brain.npz"
    scan.save(conformed)
    np.savez(brain_file, mask=brain[0], world_to_template=brain[1])
    raw_measures = {
        "neck_cropped_mm": _cropped_below_mm(scan.raw_head_mask, raw.affine, scan.grid),
        "head_outside_grid": share_outside(scan.raw_head_mask, raw.affine, scan.grid),
        **measure_raw(raw.volume, raw.affine, scan.raw_head_mask),
    }
    known = {"flags": [], "doubtful": False, "confidence": 1.0}
    native = {
        "shape": [int(length) for length in raw.volume.shape],
        "voxel_size_mm": [round(float(size), 4) for size in voxel_size_mm(raw.affine)],
        "orientation": axis_codes(raw.affine),
        "affine_source": raw.affine_source,
        "datatype": raw.dtype,
        "intensity_offset": raw.intensity_offset,
    }
    notes = {
        "conform": {**known, "skull_stripped": False, "native": native},
        "brain": {**known, "correlation": None, "source": SOURCE},
    }
    return Made(conformed, brain=brain_file, measures=raw_measures, notes=notes)


def _save(job: ScanJob, scan: Scan, made: Made) -> dict[str, Any]:
    sidecar_file = sidecar_path(save_scan(job, made))
    sidecar = json.loads(sidecar_file.read_text(encoding="utf-8"))
    sidecar["Description"] += " Masks: the phantom's truth."
    write_json(sidecar_file, sidecar)
    return table_row(scan, sidecar)


def main(argv: Sequence[str] | None = None) -> None:
    """Write one derivative and say how many scans it has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--resolution", type=float, default=4.0, metavar="MM")
    arguments = parser.parse_args(argv)
    n_scans = write_derivative(
        arguments.bids_dir, arguments.output_dir, resolution_mm=arguments.resolution
    )
    sys.stdout.write(f"{n_scans} scans in {arguments.output_dir}, masks from the truth\n")


if __name__ == "__main__":
    main()
