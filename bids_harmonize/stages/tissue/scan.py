"""Tissue volumes of one scan in one arm: read from its maps, or segmented anew.

A harmonized image is segmented by the functions that the participant level calls, and its way to
the template is looked for on that image: nothing but the head and the brain mask comes from the
raw one. Choice: the masks are kept, for both arms then count the same voxels and no second mask
search stands between them. Rejected: to look for the brain again on the study's grid (the raw
image's mask was found on its own, finer grid, so that the arms would differ by the grid).
Revisit when a harmonizer may move the border of the brain.
"""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from bids_harmonize.atlases import load_template
from bids_harmonize.atlases.regions import load_brain_regions
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.bids.judged import JUDGED_PREFIX
from bids_harmonize.bids.sidecars import read_json, sidecar_path
from bids_harmonize.errors import ScanError
from bids_harmonize.harmonizers.base import Harmonizer
from bids_harmonize.harmonizers.storage import load_harmonizer
from bids_harmonize.imaging.head_fit import fit_head
from bids_harmonize.imaging.regional import volume_by_region
from bids_harmonize.imaging.tissue import find_tissue, mask_points
from bids_harmonize.imaging.types import Affine, Array, Volume
from bids_harmonize.stages.harmonization.image_jobs import make_image
from bids_harmonize.stages.inputs import read_on_grid
from bids_harmonize.stages.tissue.density import write_density
from bids_harmonize.stages.tissue.parcels import measure_parcels
from bids_harmonize.stages.tissue.transforms import read_template_points

_MM3_PER_ML = 1e3
_DOUBTFUL_MAPS = "the participant level calls its tissue maps doubtful"


@dataclass(frozen=True)
class TissueMaps:
    """What the participant level wrote: the three maps and the way to the template."""

    csf: Path
    gm: Path
    wm: Path
    transform: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.csf, self.gm, self.wm, self.transform)


@dataclass(frozen=True)
class TissueJob:
    """One scan in one arm; plain values, so that any process can take it.

    Attributes
    ----------
    scan
        The preprocessed scan.
    arm
        ``raw``, ``harmonized``, or ``judge:NAME``: an image of another tool.
    fit
        ``half-1``, ``half-2`` or ``delivered``; ``None`` in the other arms.
    maps
        Maps to be read; ``None`` where the image is segmented.
    image
        The image that is segmented; made from ``scan`` by ``model`` where that is not ``None``.
    model, model_sha256
        Folder of a fitted harmonizer, and checksum of its weights.
    row_file
        Where the numbers go.
    fingerprint
        Of all that they depend on.
    atlas
        Path of a label image whose parcels are measured; ``None`` takes our own.
    """

    scan: DerivedScan
    arm: str
    fit: str | None
    maps: TissueMaps | None
    image: Path
    model: Path | None
    model_sha256: str
    row_file: Path
    fingerprint: str
    atlas: str | None = None

    @property
    def stem(self) -> str:
        """The scan's name."""
        return self.scan.stem

    @property
    def density_file(self) -> Path:
        """Where the smoothed density goes; another tool's image leaves none."""
        return self.row_file.with_suffix(".npy")

    @property
    def is_foreign(self) -> bool:
        """Whether another tool made the image."""
        return self.arm.startswith(JUDGED_PREFIX)


@dataclass(frozen=True)
class Fault:
    """Why a job has no numbers, and the trace of the error for a crash file."""

    message: str
    trace: str


@dataclass(frozen=True)
class TissueRow:
    """Numbers of a job: feature to mL, and why they should not be trusted, if so."""

    values: Mapping[str, float]
    doubt: str


def feature_names() -> tuple[str, ...]:
    """Features of the whole brain and of its coarse regions, in the order of the table."""
    regions = load_brain_regions().names.values()
    return (
        *(f"{tissue}_volume_ml" for tissue in ("csf", "gm", "wm")),
        "intracranial_volume_ml",
        *map(region_feature, regions),
    )


def region_feature(region: str) -> str:
    """Name of the grey matter's volume in a region."""
    return f"gm_{region.replace(' ', '_')}_volume_ml"


def do_job(job: TissueJob) -> Fault | None:
    """Measure a scan and write its numbers in one go; a scan that cannot be used is a fault.

    Parameters
    ----------
    job
        What to measure.

    Returns
    -------
    Fault or None
        ``None`` where the numbers are written.

    Raises
    ------
    OutputError, StorageError
        If they cannot be written.
    """
    try:
        row = measure(job)
    except ScanError as error:
        return Fault(str(error), traceback.format_exc())
    content = {"fingerprint": job.fingerprint, "doubt": row.doubt, "values": dict(row.values)}
    write_json(job.row_file, content)
    return None


def read_row(job: TissueJob) -> TissueRow | None:
    """The numbers of an earlier run that are still right; ``None`` where there are none."""
    if not job.row_file.is_file() or not (job.is_foreign or job.density_file.is_file()):
        return None
    try:
        found = read_json(job.row_file)
    except ScanError:
        return None
    if found.get("fingerprint") != job.fingerprint:
        return None
    return TissueRow(found["values"], found["doubt"])


def measure(job: TissueJob) -> TissueRow:
    """Tissue volumes of one scan.

    Parameters
    ----------
    job
        What to measure.

    Returns
    -------
    TissueRow
        Equal input gives equal bits, whichever process does it.

    Raises
    ------
    ScanError
        If a file cannot be read, or no tissue is found.
    """
    if job.maps is not None:
        return _read_maps(job, job.maps)
    volume, affine = _image_of(job)
    head, _ = read_mask(job.scan.head_mask)
    brain, _ = _brain_mask(job.scan)
    template = load_template()
    _, fit = fit_head(volume, affine, head, template, skull_stripped=_is_stripped(job.scan))
    found = find_tissue(volume, affine, brain, template, to_template=fit.to_template)
    grey, points = found.gm[brain], found.template_points
    values = _values(job, found.volumes_ml, grey, points, _voxel_ml(affine))
    return TissueRow(values, "; ".join(found.flags) if found.doubtful else "")


def _read_maps(job: TissueJob, maps: TissueMaps) -> TissueRow:
    scan = job.scan
    brain, affine = _brain_mask(scan)
    voxel_ml = _voxel_ml(affine)
    shares = {name: read_image(getattr(maps, name))[0] for name in ("csf", "gm", "wm")}
    for name, share in shares.items():
        if share.shape != brain.shape:
            message = f"{getattr(maps, name)}: {share.shape}, expected {brain.shape} as the mask"
            raise ScanError(message)
    volumes = {
        name: float(share.sum(dtype=np.float64)) * voxel_ml for name, share in shares.items()
    }
    points = read_template_points(maps.transform, mask_points(brain, affine))
    values = _values(job, volumes, shares["gm"][brain], points, voxel_ml)
    own = sidecar_path(scan.t1w)
    doubtful = own.is_file() and bool(read_json(own).get("TissueDoubtful"))
    return TissueRow(values, _DOUBTFUL_MAPS if doubtful else "")


def _values(
    job: TissueJob, volumes_ml: Mapping[str, float], grey: Volume, points: Array, voxel_ml: float
) -> dict[str, float]:
    """Every feature; the smoothed density, which is too large for the table, goes to its file."""
    if not job.is_foreign:
        write_density(job.density_file, grey, points, voxel_ml=voxel_ml)
    values = _features(volumes_ml, grey, points, voxel_ml)
    return values | measure_parcels(grey, points, voxel_ml=voxel_ml, atlas=job.atlas)


def _features(
    volumes_ml: Mapping[str, float], grey: Volume, points: Array, voxel_ml: float
) -> dict[str, float]:
    regions = load_brain_regions()
    by_region = volume_by_region(
        grey,
        points,
        voxel_ml=voxel_ml,
        regions=regions.labels,
        affine=regions.affine,
        labels=regions.names,
    )
    values = {f"{name}_volume_ml": volumes_ml[name] for name in ("csf", "gm", "wm")}
    values["intracranial_volume_ml"] = sum(values.values())
    values |= {region_feature(regions.names[label]): ml for label, ml in by_region.items()}
    return {name: round(values[name], 3) for name in feature_names()}


def _image_of(job: TissueJob) -> tuple[Volume, Affine]:
    if job.is_foreign:
        head, affine = read_mask(job.scan.head_mask)
        return np.where(head, read_on_grid(job.image, head.shape, affine), 0), affine
    if job.model is None:
        return read_image(job.image)
    made = make_image(job.scan, _harmonizer(job.model, job.model_sha256))
    return made.volume, made.affine


@lru_cache(maxsize=2)  # scans of both halves come by turns
def _harmonizer(folder: Path, sha256: str) -> Harmonizer:
    del sha256  # another model in the same folder is another entry
    return load_harmonizer(folder)


def _brain_mask(scan: DerivedScan) -> tuple[Array, Affine]:
    if scan.brain_mask is None:
        message = f"{scan.stem}: no brain mask, so no tissue; run participant again"
        raise ScanError(message)
    return read_mask(scan.brain_mask)


def _is_stripped(scan: DerivedScan) -> bool:
    own = sidecar_path(scan.t1w)
    return own.is_file() and bool(read_json(own).get("SkullStripped", False))


def _voxel_ml(affine: Affine) -> float:
    return abs(float(np.linalg.det(affine[:3, :3]))) / _MM3_PER_ML
