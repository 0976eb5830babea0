"""A user's own label image on the template (``--atlas``), in place of the coarse regions.

Choice: the labels count where the header puts them, taken to the template's grid by nearest
neighbour; nothing is registered. What no label covers is one more region, "outside the atlas", so
that shares still sum to 1 and an atlas of a few nuclei does not seem to hold all. Rejected: to
register the atlas (it has no contrast to register by), to leave the rest out (see above).
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.atlases.regions import Regions, load_regions
from bids_harmonize.atlases.templates import TEMPLATE_NAME, load_template
from bids_harmonize.bids.images import StoredImage, read_stored
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import ScanError, UnusableDataError
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample

OUTSIDE: Final = "outside the atlas"
_LEAST_ON_TEMPLATE: Final = 0.5
_HEAD_MM: Final = 25.0  # so far around the brain an atlas of the whole head still has most of it
_WHOLE: Final = 1e-3  # how far a scaled value may lie from a whole number
_DO = "give a label image (one whole number a region, 0 for none) on the ICBM152 template"


def load_atlas(path: Path, *, resolution_mm: float) -> Regions:
    """The regions of a label image on the template's grid.

    Parameters
    ----------
    path
        NIfTI file: 3D, whole numbers, 0 is no region. Names stand in the first of these files
        beside it that exists: ``<name>.tsv``, the same without ``_res-<label>``,
        ``<name>_dseg.tsv`` (columns ``index`` and ``name``, as in BIDS), ``<name>.json`` (label
        to name); a region without a name there is called ``label <number>``.
    resolution_mm
        Voxel size of the template's grid, mm, at least 1.

    Returns
    -------
    Regions
        With the file's name and SHA-256; label 0 is called "outside the atlas".

    Raises
    ------
    UnusableDataError
        If the file is no such image, if less than half of its labelled volume lies within 25 mm
        of the template's brain, or if its table of names cannot be used.
    """
    stored = _read(path)
    labels = _whole_numbers(stored.volume, path)
    template = load_template(resolution_mm)
    i, j, k = template.t1.shape
    grid = Grid(shape=(i, j, k), affine=template.affine)
    placed = resample(labels.astype(np.float32), stored.affine, grid, interpolation="nearest")
    near = _near_brain(template.brain_mask, resolution_mm)
    labelled_mm3 = np.count_nonzero(labels) * abs(float(np.linalg.det(stored.affine[:3, :3])))
    _check_place(np.count_nonzero(placed[near]) * resolution_mm**3 / labelled_mm3, path)
    found = [int(label) for label in np.unique(labels) if label]
    return Regions(
        labels=np.rint(placed).astype(np.int32),
        names={0: OUTSIDE, **_unlike(found, _read_names(path))},
        affine=template.affine,
        atlas=path.name,
        sha256=file_sha256(path),
    )


def study_regions(atlas: str | None, *, resolution_mm: float) -> Regions:
    """The regions of ``--atlas``, or the coarse ones of the template without it."""
    if atlas is None:
        return load_regions(resolution_mm=resolution_mm)
    return load_atlas(Path(atlas), resolution_mm=resolution_mm)


def atlas_words(regions: Regions) -> str:
    """One sentence: how many regions there are, and how much of them lies in the brain."""
    brain = load_template(float(np.linalg.norm(regions.affine[:3, 0]))).brain_mask
    labelled = regions.labels != 0
    share = float(brain[labelled].mean())
    return (
        f"--atlas {regions.atlas}: {len(regions.names) - 1} regions; {share:.0%} of their volume "
        "lies inside the template's brain"
    )


def _read(path: Path) -> StoredImage:
    try:
        stored = read_stored(path)
    except ScanError as error:
        message = f"--atlas: {error}; {_DO}"
        raise UnusableDataError(message) from None
    if stored.affine_source == "none":
        message = f"--atlas {path}: its header does not say where it lies; {_DO}"
        raise UnusableDataError(message)
    return stored


def _whole_numbers(volume: np.ndarray, path: Path) -> np.ndarray:
    whole = np.rint(volume)
    odd = ~np.isfinite(volume) | (np.abs(volume - whole) > _WHOLE) | (whole < 0)
    if odd.any():
        message = (
            f"--atlas {path}: {int(odd.sum())} voxels are no label, for instance "
            f"{float(volume[odd][0]):g}; expected whole numbers of 0 and more; {_DO}"
        )
        raise UnusableDataError(message)
    return whole.astype(np.int64)


def _near_brain(brain: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Voxels of the template's brain and around it, bool."""
    return np.asarray(ndimage.distance_transform_edt(~brain, sampling=voxel_mm) <= _HEAD_MM)


def _check_place(share: float, path: Path) -> None:
    if share < _LEAST_ON_TEMPLATE:
        message = (
            f"--atlas {path}: {share:.0%} of its labelled volume lies on the head of the template "
            f"({TEMPLATE_NAME}), expected {_LEAST_ON_TEMPLATE:.0%} or more: it is in another "
            f"space, or its header is wrong; {_DO}"
        )
        raise UnusableDataError(message)


def _read_names(path: Path) -> dict[int, str]:
    base = path.name.removesuffix(".gz").removesuffix(".nii")
    shared = "_".join(part for part in base.split("_") if not part.startswith("res-"))
    for name in dict.fromkeys((f"{base}.tsv", f"{shared}.tsv", f"{base}_dseg.tsv")):
        if path.with_name(name).is_file():
            return _names_of_table(path.with_name(name))
    beside = path.with_name(f"{base}.json")
    return _names_of_json(beside) if beside.is_file() else {}


def _names_of_table(path: Path) -> dict[int, str]:
    frame = read_tsv(path)
    if not {"index", "name"} <= set(frame.columns):
        found = ", ".join(frame.columns)
        message = f"{path}: found the columns {found}; the names of an atlas need index and name"
        raise UnusableDataError(message)
    rows = frame.dropna(subset=["index", "name"])
    odd = [cell for cell in rows["index"] if not cell.isdigit()]
    if odd:
        message = f"{path}: index {odd[0]!r} is no label; expected whole numbers of 0 and more"
        raise UnusableDataError(message)
    return {int(row["index"]): row["name"] for _, row in rows.iterrows()}


def _names_of_json(path: Path) -> dict[int, str]:
    """Names of a JSON file whose keys are labels; a sidecar with other keys names nothing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: no JSON file with the names of an atlas: {error}"
        raise UnusableDataError(message) from None
    pairs = found.items() if isinstance(found, dict) else ()
    return {int(key): str(name) for key, name in pairs if key.isdigit()}


def _unlike(labels: list[int], names: dict[int, str]) -> dict[int, str]:
    """A name for each label; where two share one, the number goes with it."""
    own = {label: names.get(label, f"label {label}") for label in labels}
    several = [name for name in own.values() if list(own.values()).count(name) > 1]
    return {label: f"{name} ({label})" if name in several else name for label, name in own.items()}
