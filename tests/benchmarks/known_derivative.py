"""A derivative dataset whose masks are known beforehand: nothing is looked for or registered.

What the app writes after its masks is written by the app itself: grid, images, sidecars, tables.
There is no tissue, and only the quality measures of the raw image stand (those of the brain need
a bias field). A study of hundreds of scans so costs a minute.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.dataset import prepare_output
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.index import Scan, index_scans
from bids_harmonize.bids.people import write_participants
from bids_harmonize.bids.rawimages import RawImage, read_raw
from bids_harmonize.bids.scans import write_scan_rows
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.bids.sites import resolve_sites
from bids_harmonize.config import Settings, make_settings
from bids_harmonize.imaging.air_quality import measure_raw
from bids_harmonize.imaging.field_of_view import share_outside
from bids_harmonize.imaging.geometry import voxel_size_mm
from bids_harmonize.imaging.orientation import axis_codes
from bids_harmonize.preprocessing.derivatives import Made, save_scan
from bids_harmonize.preprocessing.jobs import make_job
from bids_harmonize.preprocessing.reuse import measure_columns, table_row
from bids_harmonize.preprocessing.steps import Conformed
from bids_harmonize.preprocessing.steps.conform import _cropped_below_mm


@dataclass(frozen=True, eq=False)
class KnownScan:
    """A scan on the study grid, with what the participant level would have looked for.

    Attributes
    ----------
    conformed
        Volume and head mask.
    brain
        Shape (I, J, K), bool, inside the head mask.
    to_template
        4x4, from the scan's world to the template's, mm.
    doubtful
        Whether a mask should not be trusted.
    """

    conformed: Conformed
    brain: np.ndarray
    to_template: np.ndarray
    doubtful: bool = False


Know = Callable[[Scan, RawImage], KnownScan]
"""Takes a scan of the raw dataset and its image."""


def write_known_derivative(
    bids_dir: Path, output_dir: Path, know: Know, *, resolution_mm: float, source: str
) -> int:
    """Write the derivative dataset of a whole study; an earlier one is replaced.

    Parameters
    ----------
    bids_dir
        Root of the raw dataset.
    output_dir
        Root of the derivative; what stands there is removed.
    know
        Says what is known of a scan.
    resolution_mm
        Voxel size of the study grid, mm.
    source
        Where the masks come from, for sidecars and tables.

    Returns
    -------
    int
        Number of scans.
    """
    bids_dir, output_dir = bids_dir.resolve(), output_dir.resolve()
    shutil.rmtree(output_dir, ignore_errors=True)
    output_dir.mkdir(parents=True)
    settings = make_settings(
        {"preprocessing": {"resolution_mm": resolution_mm, "tissue": False}}, source="benchmark"
    )
    scans = index_scans(bids_dir, selection=settings.selection)
    scans = resolve_sites(scans, bids_dir, settings=settings.site)
    prepare_output(output_dir, bids_dir)
    rows = {scan.stem: _write_scan(scan, know, output_dir, settings, source) for scan in scans}
    write_scan_rows(output_dir, rows, measures=measure_columns())
    write_participants(output_dir, bids_dir)
    return len(scans)


def _write_scan(
    scan: Scan, know: Know, output_dir: Path, settings: Settings, source: str
) -> dict[str, Any]:
    """Write all outputs of a scan; returns its row of ``scans.tsv``."""
    job = make_job(scan, output_dir, settings, run_id="benchmark")
    raw = read_raw(scan.path)
    known = know(scan, raw)
    with tempfile.TemporaryDirectory() as folder:
        image = save_scan(job, _made(Path(folder), known, raw, source))
    sidecar = json.loads(sidecar_path(image).read_text(encoding="utf-8"))
    sidecar["Description"] += f" Masks: {source}."
    write_json(sidecar_path(image), sidecar)
    return table_row(scan, sidecar)


def _made(folder: Path, known: KnownScan, raw: RawImage, source: str) -> Made:
    """What the steps of the participant level leave for a scan."""
    scan = known.conformed
    conformed, brain_file = folder / "conformed.npz", folder / "brain.npz"
    scan.save(conformed)
    np.savez(brain_file, mask=known.brain, world_to_template=known.to_template)
    raw_measures = {
        "neck_cropped_mm": _cropped_below_mm(scan.raw_head_mask, raw.affine, scan.grid),
        "head_outside_grid": share_outside(scan.raw_head_mask, raw.affine, scan.grid),
        **measure_raw(raw.volume, raw.affine, scan.raw_head_mask),
    }
    trust = {"flags": [], "doubtful": known.doubtful, "confidence": float(not known.doubtful)}
    native = {
        "shape": [int(length) for length in raw.volume.shape],
        "voxel_size_mm": [round(float(size), 4) for size in voxel_size_mm(raw.affine)],
        "orientation": axis_codes(raw.affine),
        "affine_source": raw.affine_source,
        "datatype": raw.dtype,
        "intensity_offset": raw.intensity_offset,
    }
    notes = {
        "conform": {**trust, "skull_stripped": False, "native": native},
        "brain": {**trust, "correlation": None, "source": source},
    }
    return Made(conformed, brain=brain_file, measures=raw_measures, notes=notes)
