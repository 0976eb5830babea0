"""Volumes in the tissue maps and label images of sMRIPrep and fMRIPrep, as a folder of features.

Choice: ``label-{GM,WM,CSF}_probseg`` before ``dseg``, and images in the scan's own space alone (no
``space-``). Reason: probabilities name their tissue and share a voxel between two; fMRIPrep before
version 1.5 counted the labels of ``dseg`` in another order. Rejected: images on a template, whose
volumes say nothing about the person. Revisit when these programs write volumes themselves.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from bids_harmonize.bids.images import read_stored
from bids_harmonize.bids.provenance import file_sha256
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import ScanError, UnusableDataError
from bids_harmonize.tables.folders import FolderFiles, FolderRows, make_folder_rows

KIND: Final = "segmentations of sMRIPrep or fMRIPrep"

TISSUES: Final = {"GM": "gm_volume_ml", "WM": "wm_volume_ml", "CSF": "csf_volume_ml"}
"""Label of a tissue map to its feature; the order is that of the labels of ``dseg``, from 1."""
WHOLE: Final = "intracranial_volume_ml"
REGIONS: Final = ("aparcaseg", "aseg")
"""Label images with regions, the first choice first."""

_NAME = re.compile(
    r"(?P<stem>sub-[A-Za-z0-9]+(?:_(?:ses|acq|ce|rec|run|part)-[A-Za-z0-9]+)*)"
    r"(?:_label-(?P<tissue>GM|WM|CSF)_probseg|_desc-(?P<regions>aparcaseg|aseg)_dseg"
    r"|(?P<plain>)_dseg)\.nii(?:\.gz)?"
)
_PLACES = ("sub-*/anat", "sub-*/ses-*/anat")
_PLAIN = "dseg"
_ODD = 1e-3
"""A probability may lie so far outside 0 to 1, and a label so far from a whole number."""


@dataclass(frozen=True)
class _Kinds:
    """What is read of every scan: keys of its files."""

    tissues: tuple[str, ...]
    regions: str | None


def is_segmentations(root: Path) -> bool:
    """Whether a person's folder ``anat`` holds a tissue map or a label image in native space."""
    return bool(_files(root))


def read_segmentations(root: Path) -> FolderRows:
    """Volumes of every scan in a derivative of sMRIPrep or fMRIPrep.

    Parameters
    ----------
    root
        Root of the derivative dataset.

    Returns
    -------
    FolderRows
        mL: ``gm_volume_ml``, ``wm_volume_ml``, ``csf_volume_ml`` and their sum
        ``intracranial_volume_ml``; of ``desc-aparcaseg_dseg``, else ``desc-aseg_dseg``,
        ``<region>_volume_ml`` by the names of its look-up table, those of the cortex as
        ``lh_<region>_volume_ml``.

    Raises
    ------
    UnusableDataError
        If an image is missing or broken, holds what it should not, or a label has no name; all
        scans are named.
    """
    found = _files(root)
    kinds = _kinds(found)
    names = _region_names(root, kinds.regions) if kinds.regions else {}
    files = FolderFiles(root)
    if kinds.regions:
        _keep_digest(_look_up(root, kinds.regions), files)
    cells: dict[str, dict[str, float]] = {}
    for stem, own in found.items():
        cells[stem] = {}
        try:
            cells[stem] = _volumes(own, kinds, names, files)
        except ScanError as error:
            files.fault(stem, str(error))
    every = dict.fromkeys(name for own in cells.values() for name in own)
    # A region that a person does not have is 0 mL; a tissue that is missing is a fault by now.
    texts = {
        stem: {name: f"{own.get(name, 0.0):.6g}" for name in every} for stem, own in cells.items()
    }
    rows = make_folder_rows(texts, files, kind=KIND)
    return replace(rows, notes=(*_without(root, found), *rows.notes))


def _without(root: Path, found: Mapping[str, object]) -> list[str]:
    """A sentence on people who have a folder and no segmentation."""
    there = {stem.split("_")[0] for stem in found}
    others = sorted(p.name for p in root.glob("sub-*") if p.is_dir() and p.name not in there)
    return [f"left out, without a segmentation: {', '.join(others)}"] if others else []


def _files(root: Path) -> dict[str, dict[str, Path]]:
    """Stem of a scan to its images: ``GM``, ``WM``, ``CSF``, ``dseg``, ``aseg``, ``aparcaseg``."""
    found: dict[str, dict[str, Path]] = {}
    for folder in (folder for place in _PLACES for folder in sorted(root.glob(place))):
        for path in sorted(folder.glob("sub-*seg.nii*")):
            match = _NAME.fullmatch(path.name)
            if match:
                key = match["tissue"] or match["regions"] or _PLAIN
                found.setdefault(match["stem"], {}).setdefault(key, path)
    return found


def _kinds(found: Mapping[str, Mapping[str, Path]]) -> _Kinds:
    """What half of the scans have, the first choice first, so that all rows are made alike."""

    def is_usual(keys: Sequence[str]) -> bool:
        return 2 * sum(any(key in own for key in keys) for own in found.values()) >= len(found)

    regions = next((name for name in REGIONS if is_usual([name])), None)
    if is_usual(list(TISSUES)):
        return _Kinds(tuple(TISSUES), regions)
    return _Kinds((_PLAIN,) if is_usual([_PLAIN]) or regions is None else (), regions)


def _volumes(
    own: Mapping[str, Path], kinds: _Kinds, names: Mapping[int, str], files: FolderFiles
) -> dict[str, float]:
    """Feature to mL of one scan."""
    wanted = [*kinds.tissues, *([kinds.regions] if kinds.regions else [])]
    missing = [_ending(key) for key in wanted if key not in own]
    if missing:
        message = f"has no {', '.join(missing)}, which others have"
        raise ScanError(message)
    volumes: dict[str, float] = {}
    if kinds.tissues == (_PLAIN,):
        counted = _by_label(own[_PLAIN], files)
        odd = sorted(set(counted) - {0, 1, 2, 3})
        if odd:
            message = (
                f"{own[_PLAIN].name} has labels {', '.join(map(str, odd[:5]))}; expected 1 (GM), "
                "2 (WM), 3 (CSF)"
            )
            raise ScanError(message)
        places = enumerate(TISSUES.values(), start=1)
        volumes = {feature: counted.get(label, 0.0) for label, feature in places}
    elif kinds.tissues:
        volumes = {TISSUES[key]: _summed(own[key], files) for key in kinds.tissues}
    if volumes:
        volumes[WHOLE] = sum(volumes.values())
    if kinds.regions:
        path = own[kinds.regions]
        counted = _by_label(path, files)
        nameless = sorted(label for label in counted if label and label not in names)
        if nameless:
            some = ", ".join(map(str, nameless[:5]))
            message = f"{path.name} has labels without a name in the look-up table: {some}"
            raise ScanError(message)
        for label, volume in counted.items():
            if label:
                name = names[label]
                volumes[name] = volumes.get(name, 0.0) + volume
    return volumes


def _summed(path: Path, files: FolderFiles) -> float:
    """Volume of a tissue in mL by its probabilities."""
    share, voxel_ml = _read(path, files)
    if share.min() < -_ODD or share.max() > 1 + _ODD:
        message = (
            f"{path.name} holds {share.min():.3g} to {share.max():.3g}; expected probabilities "
            "from 0 to 1"
        )
        raise ScanError(message)
    return float(share.sum(dtype=np.float64)) * voxel_ml


def _by_label(path: Path, files: FolderFiles) -> dict[int, float]:
    """Label to volume in mL."""
    volume, voxel_ml = _read(path, files)
    labels = np.rint(volume)
    if np.abs(volume - labels).max() > _ODD or labels.min() < 0:
        message = f"{path.name} holds numbers that are no labels; expected whole ones from 0"
        raise ScanError(message)
    found, counts = np.unique(labels.astype(np.int64), return_counts=True)
    return {int(label): int(n) * voxel_ml for label, n in zip(found, counts, strict=True)}


def _read(path: Path, files: FolderFiles) -> tuple[np.ndarray, float]:
    """Voxels, and the volume of one in mL; raises ScanError."""
    stored = read_stored(path)
    _keep_digest(path, files)
    if not np.isfinite(stored.volume).all():
        message = f"{path.name} has voxels that are not finite"
        raise ScanError(message)
    return stored.volume, abs(float(np.linalg.det(stored.affine[:3, :3]))) / 1000


def _keep_digest(path: Path, files: FolderFiles) -> None:
    files.digests[path.relative_to(files.root).as_posix()] = file_sha256(path)


def _look_up(root: Path, regions: str) -> Path:
    return root / f"desc-{regions}_dseg.tsv"


def _region_names(root: Path, regions: str) -> dict[int, str]:
    """Label to feature, by the look-up table of the dataset."""
    path = _look_up(root, regions)
    if not path.is_file():
        message = (
            f"{path} is missing: it names the labels of desc-{regions}_dseg.nii.gz; copy it from "
            "the dataset as sMRIPrep or fMRIPrep wrote it"
        )
        raise UnusableDataError(message)
    table = read_tsv(path)
    if not {"index", "name"} <= set(table.columns):
        message = f"{path}: expected columns index and name; found: {', '.join(table.columns)}"
        raise UnusableDataError(message)
    known = table.dropna(subset=["index", "name"])
    try:
        labels = known["index"].astype(int)
    except ValueError as error:
        message = f"{path}: an index is no whole number: {error}"
        raise UnusableDataError(message) from None
    return {label: _feature(name) for label, name in zip(labels, known["name"], strict=True)}


def _feature(name: str) -> str:
    """``ctx-lh-insula`` as ``lh_insula_volume_ml``, as FreeSurfer's tables spell the side."""
    match = re.fullmatch(r"ctx-(lh|rh)-(.+)", name)
    word = f"{match[1]}_{match[2]}" if match else name
    return f"{word}_volume_ml"


def _ending(key: str) -> str:
    if key in TISSUES:
        return f"label-{key}_probseg"
    return _PLAIN if key == _PLAIN else f"desc-{key}_dseg"
