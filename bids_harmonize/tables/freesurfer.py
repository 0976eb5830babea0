"""Subjects directories of FreeSurfer and FastSurfer: thickness, area and volume by region.

Of each subject ``stats/{lh,rh}.aparc.stats`` and ``stats/aseg.stats`` are read, or what FastSurfer
writes in their place. Which, is decided for the whole folder: two parcellations have no region in
common.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bids_harmonize.errors import ScanError, UnusableDataError
from bids_harmonize.tables.folders import (
    FolderFiles,
    FolderRows,
    make_folder_rows,
    participant_and_session,
)
from bids_harmonize.tables.stats_file import read_stats

KIND: Final = "FreeSurfer results"

CORTEX: Final = (
    "aparc.stats",
    "aparc.DKTatlas.mapped.stats",
    "aparc.DKTatlas.stats",
    "aparc.a2009s.stats",
)
"""Parcellations, the first choice first; each has a file ``lh.<name>`` and one ``rh.<name>``."""

SEGMENTATION: Final = ("aseg.stats", "aseg+DKT.stats")

MEASURES: Final = {"ThickAvg": "thickness", "SurfArea": "area", "GrayVol": "volume"}
"""Column of a cortical table to its word in ours: mm, mm2, mm3."""

_HEMISPHERES = ("lh", "rh")
_VOLUME = "Volume_mm3"
_LONG = ".long."
_FIXED = ("fsaverage", "cvs_avg35", "lh.EC_average", "rh.EC_average")


def is_freesurfer(root: Path) -> bool:
    """Whether a folder below has regional tables in its folder ``stats``."""
    return any(_has_tables(folder) for folder in _subjects(root))


def read_freesurfer(root: Path) -> FolderRows:
    """The features of every subject in a subjects directory.

    Parameters
    ----------
    root
        Holds one folder a subject (``sub-01``, ``sub-01_ses-A``, ``sub-01_ses-A.long.sub-01``).
        Templates that come with FreeSurfer and folders without ``stats`` are left out. Runs of the
        longitudinal stream are read if everybody has one, else the cross-sectional runs, so that
        all rows come from one stream; the template of a person (``sub-01``) is no row.

    Returns
    -------
    FolderRows
        ``lh_<region>_thickness`` (mm), ``_area`` (mm2), ``_volume`` (mm3), the structures of the
        segmentation by their names (mm3), and ``eTIV`` (mm3) where it stands there.

    Raises
    ------
    UnusableDataError
        If a table is missing or cut short, or subjects have different regions; all are named.
    """
    files = FolderFiles(root)
    folders = _subjects(root)
    without = [path.name for path in _folders(root) if path not in folders]
    subjects, notes = _one_stream(folders, root)
    cortex = _chosen(subjects, CORTEX, _HEMISPHERES)
    segmentation = _chosen(subjects, SEGMENTATION, ())
    found = {f.name: _read_subject(f, files, cortex, segmentation) for f in subjects}
    if without:
        notes.append(f"left out, without a folder stats: {', '.join(without)}")
    rows = make_folder_rows(found, files, kind=KIND)
    return FolderRows(rows.kind, rows.rows, rows.sha256, (*notes, *rows.notes))


def _read_subject(
    folder: Path, files: FolderFiles, cortex: str | None, segmentation: str | None
) -> dict[str, str]:
    """Features of one subject; its faults go to ``files``."""
    cells: dict[str, str] = {}
    totals: list[str | None] = []
    tables = [(f"{side}.{cortex}", side) for side in _HEMISPHERES if cortex]
    for name, side in [*tables, *([(segmentation, "")] if segmentation else [])]:
        wanted = list(MEASURES) if side else [_VOLUME]
        try:
            regions, total = files.parse(
                folder / "stats" / name, partial(read_stats, wanted=wanted)
            )
        except ScanError as error:
            files.fault(folder.name, str(error))
            continue
        totals.append(total)
        for region, numbers in regions.items():
            names = [f"{side}_{region}_{word}" for word in MEASURES.values()] if side else [region]
            cells |= dict(zip(names, numbers, strict=True))
    known = [total for total in reversed(totals) if total is not None]
    return {**cells, **({"eTIV": known[0]} if known else {})}


def _folders(root: Path) -> list[Path]:
    """Folders that may be subjects."""
    return sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and not path.name.startswith((".", *_FIXED))
    )


def _subjects(root: Path) -> list[Path]:
    return [path for path in _folders(root) if (path / "stats").is_dir()]


def _has_tables(folder: Path) -> bool:
    names = [f"{side}.{name}" for side in _HEMISPHERES for name in CORTEX]
    return any(_is_there(folder, name) for name in (*SEGMENTATION, *names))


def _is_there(folder: Path, name: str) -> bool:
    """Whether a table stands there, be it as a link whose content was not fetched."""
    path = folder / "stats" / name
    return path.exists() or path.is_symlink()


def _chosen(folders: Sequence[Path], names: Sequence[str], sides: Sequence[str]) -> str | None:
    """The first table that half of the subjects have, else that of most; ``None`` if no one."""
    counts = {}
    for name in names:
        spelt = [f"{side}.{name}" for side in sides] or [name]
        counts[name] = sum(any(_is_there(f, one) for one in spelt) for f in folders)
    best = max(names, key=counts.__getitem__)
    usual = [name for name in names if 2 * counts[name] >= len(folders)]
    return (usual or [best])[0] if counts[best] else None


def _one_stream(folders: list[Path], root: Path) -> tuple[list[Path], list[str]]:
    """Longitudinal runs if everybody has one, else cross-sectional runs, and what is left out."""
    long = [folder for folder in folders if _LONG in folder.name]
    if not long:
        return folders, []
    bases = {folder.name.partition(_LONG)[2] for folder in long}
    cross = [f for f in folders if f not in long and f.name not in bases]
    others = sorted(f.name for f in folders if f not in long)
    long_keys = {participant_and_session(f.name) for f in long}
    cross_keys = {participant_and_session(f.name) for f in cross}
    if cross_keys <= long_keys:
        told = f"left out, for the longitudinal runs are read: {', '.join(others)}"
        return long, [told] if others else []
    if long_keys <= cross_keys:
        names = ", ".join(f.name for f in folders if f not in cross)
        return cross, [f"left out, for not everybody has a longitudinal run: {names}"]
    only = sorted("_".join(filter(None, key)) for key in long_keys - cross_keys)
    message = (
        f"{root}: {', '.join(only)} have longitudinal runs alone, and others cross-sectional runs "
        "alone; the two cannot be compared, so take one kind out of the folder, or run the other"
    )
    raise UnusableDataError(message)
