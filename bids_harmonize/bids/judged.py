"""Images that another tool made of a study's scans, for ``--judge NAME=PATH[:DESC]``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.errors import MissingInputError, UnusableDataError, UsageError

JUDGED_PREFIX = "judge:"
JUDGED_NAME = re.compile(r"[A-Za-z0-9_-]+")
TRAINING_TABLE = "training.tsv"
_DESC = re.compile(r"_desc-([A-Za-z0-9]+)_")
_MORE_ENTITIES = r"(?:_(?:space|res|desc)-[A-Za-z0-9]+)*"
_MOST_NAMED = 5


@dataclass(frozen=True)
class JudgedImages:
    """What a tool made of the study.

    Attributes
    ----------
    name
        What it is called in every table, after :data:`JUDGED_PREFIX`.
    folder
        Where the images were found.
    images
        Stem of a scan to the image made of it; scans without one are absent.
    trained_on
        Participants who trained the tool, by ``training.tsv`` in the folder; ``None`` where there
        is no such table: then nobody knows.
    """

    name: str
    folder: Path
    images: Mapping[str, Path]
    trained_on: frozenset[str] | None

    @property
    def method(self) -> str:
        """The name in the column ``method``."""
        return f"{JUDGED_PREFIX}{self.name}"


def split_judged(value: str) -> tuple[Path, str | None]:
    """Folder and ``desc`` of ``PATH[:DESC]``.

    Parameters
    ----------
    value
        What stands behind ``NAME=``.

    Returns
    -------
    folder : Path
    desc : str or None
        ``None`` where none is told; a folder whose own name ends in ``:word`` is taken as it is.

    Examples
    --------
    >>> split_judged("/data/iguane:harmonized")
    (PosixPath('/data/iguane'), 'harmonized')
    """
    folder, colon, desc = value.rpartition(":")
    if not colon or not desc.isalnum() or Path(value).is_dir():
        return Path(value), None
    return Path(folder), desc


def read_all_judged(
    named: Mapping[str, str], scans: Sequence[DerivedScan]
) -> tuple[JudgedImages, ...]:
    """Everything that ``--judge`` names, in its order; raises as :func:`read_judged`."""
    return tuple(read_judged(name, value, scans) for name, value in named.items())


def read_judged(name: str, value: str, scans: Iterable[DerivedScan]) -> JudgedImages:
    """The images of one tool.

    Parameters
    ----------
    name, value
        Of ``--judge NAME=PATH[:DESC]``.
    scans
        The study's.

    Returns
    -------
    JudgedImages
        Images are named as their scan, plus ``space``, ``res`` and ``desc``, and lie in
        ``sub-*/[ses-*/]anat``.

    Raises
    ------
    UsageError
        If a scan has several images.
    UnusableDataError
        If training.tsv has no participants.
    MissingInputError
        If no scan has an image.
    """
    folder, desc = split_judged(value)
    images = {}
    for scan in scans:
        found = _images_of(scan, folder, desc)
        if len(found) > 1:
            descs = sorted({m[1] for path in found if (m := _DESC.search(path.name))})
            message = (
                f"--judge {name}={value}: {scan.stem} has {len(found)} images "
                f"({', '.join(path.name for path in found[:_MOST_NAMED])}); name one of them by "
                f"--judge {name}={folder}:DESC, with DESC one of: {', '.join(descs) or 'none'}"
            )
            raise UsageError(message)
        if found:
            images[scan.stem] = found[0]
    if not images:
        wanted = "desc-*" if desc is None else f"desc-{desc}"
        message = (
            f"--judge {name}={value}: no image of any scan; expected "
            f"{folder}/sub-*/[ses-*/]anat/<name of the scan>_{wanted}_T1w.nii.gz"
        )
        raise MissingInputError(message)
    return JudgedImages(name, folder, images, read_trained_on(folder))


def _images_of(scan: DerivedScan, folder: Path, desc: str | None) -> list[Path]:
    parts = [scan.participant_id, *([scan.session_id] if scan.session_id else []), "anat"]
    pattern = re.compile(rf"{re.escape(scan.stem)}{_MORE_ENTITIES}_T1w\.nii(?:\.gz)?")
    found = [
        path
        for path in sorted(folder.joinpath(*parts).glob(f"{scan.stem}*_T1w.nii*"))
        if pattern.fullmatch(path.name)
    ]
    return [path for path in found if desc is None or f"_desc-{desc}_" in path.name]


def read_trained_on(folder: Path) -> frozenset[str] | None:
    """Who trained what lies in a folder, by its ``training.tsv``.

    Parameters
    ----------
    folder
        Of a model, or of another tool's images.

    Returns
    -------
    frozenset of str
        Labels with ``sub-``; ``None`` where there is no table.

    Raises
    ------
    UnusableDataError
        If it is no table with a column participant_id.
    """
    path = folder / TRAINING_TABLE
    if not path.is_file():
        return None
    table = read_tsv(path)
    if "participant_id" not in table.columns:
        message = (
            f"{path}: no column participant_id, found {', '.join(table.columns)}; name there who "
            "was trained on, or remove it"
        )
        raise UnusableDataError(message)
    return frozenset("sub-" + table["participant_id"].dropna().str.removeprefix("sub-"))
