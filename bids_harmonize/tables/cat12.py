"""Results of CAT12: volumes and thickness by region of its atlases.

``catROI_<name>.xml`` holds one element an atlas (``neuromorphometrics``, ...), with the regions in
``<names><item>`` and vectors in ``<data>``, written as MATLAB does: ``<Vgm>[1.2;3.4]</Vgm>``.
``catROIs_<name>.xml`` does the same for atlases of the surface. The files lie in ``label/``, or
beside the images; the report ``cat_<name>.xml`` lies in ``report/`` or beside them.

The standard library's parser is used: what makes it unsafe on files of strangers is expanded or
external entities, and these need a document type definition, which CAT12 never writes. A file that
has one is refused before it is parsed.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from bids_harmonize.errors import ScanError
from bids_harmonize.tables.folders import FolderFiles, FolderRows, make_folder_rows

KIND: Final = "CAT12 results"

MEASURES: Final = ("Vgm", "Vwm", "Vcsf", "thickness")
"""Volume of grey matter, white matter and fluid (mL), and cortical thickness (mm)."""

_PATTERN = re.compile(r"catROIs?_(?P<stem>.+)\.xml")


def is_cat12(root: Path) -> bool:
    """Whether a file of regions of CAT12 lies in the folder or anywhere below it."""
    return next(_region_files(root), None) is not None


def read_cat12(root: Path) -> FolderRows:
    """The features of every image in a folder of CAT12's results.

    Parameters
    ----------
    root
        Holds the files anywhere below it, or is the folder ``label`` itself.

    Returns
    -------
    FolderRows
        ``<atlas>_<region>_<measure>``, blanks in a region's name written ``-``: Vgm, Vwm, Vcsf in
        mL, thickness in mm; and ``TIV`` (mL) where the reports lie there.

    Raises
    ------
    UnusableDataError
        If a file is no such XML or cut short, or images have different regions; all are named.
    """
    files = FolderFiles(root)
    found: dict[str, dict[str, str]] = {}
    places: dict[str, set[Path]] = {}
    for path, stem in sorted(_region_files(root)):
        own = found.setdefault(stem, {})
        places.setdefault(stem, set()).add(path.parent)
        try:
            own |= files.parse(path, read_regions)
        except ScanError as error:
            files.fault(stem, str(error))
    for stem, folders in places.items():
        if len(folders) > 1:
            where = ", ".join(sorted(str(folder.relative_to(root)) for folder in folders))
            files.fault(stem, f"lies in several folders: {where}; keep one")
        for folder in folders:
            try:
                found[stem] |= _total_volume(folder, stem, files)
            except ScanError as error:
                files.fault(stem, str(error))
    return make_folder_rows(found, files, kind=KIND)


def read_regions(content: bytes) -> dict[str, str]:
    """The features in a file of regions.

    Parameters
    ----------
    content
        Of ``catROI_*.xml`` or ``catROIs_*.xml``.

    Returns
    -------
    dict
        Feature to its number as text. Regions of one atlas that share a name get ``-2``, ``-3``.

    Raises
    ------
    ScanError
        If it is no such file.
    """
    features: dict[str, str] = {}
    for atlas in _parse(content):
        names = _distinct([item.text or "" for item in atlas.findall("names/item")])
        for measure in MEASURES:
            text = atlas.findtext(f"data/{measure}")
            if text is None:
                continue
            numbers = _vector(text)
            if len(numbers) != len(names):
                message = f"has {len(names)} names and {len(numbers)} {measure} in {atlas.tag}"
                raise ScanError(message)
            for name, number in zip(names, numbers, strict=True):
                features[f"{atlas.tag}_{name}_{measure}"] = number
    if not features:
        message = f"has no atlas with {', '.join(MEASURES)}"
        raise ScanError(message)
    return features


def _region_files(root: Path) -> Iterator[tuple[Path, str]]:
    """Each file of regions with the name of its image."""
    for path in root.rglob("catROI*_*.xml"):
        match = _PATTERN.fullmatch(path.name)
        if match:
            yield path, match["stem"]


def _total_volume(folder: Path, stem: str, files: FolderFiles) -> dict[str, str]:
    """``TIV`` (mL) from the report of an image; empty where there is none."""
    places = (folder, folder.parent / "report")
    path = next((p for place in places if (p := place / f"cat_{stem}.xml").is_file()), None)
    if path is None:
        return {}
    numbers = files.parse(path, _volume_in_report)
    return {"TIV": numbers[0]} if numbers else {}


def _volume_in_report(content: bytes) -> list[str]:
    # Further below, the report describes its measures in elements of the same names.
    return _vector(_parse(content).findtext("subjectmeasures/vol_TIV") or "")


def _parse(content: bytes) -> ET.Element:
    checker = expat.ParserCreate()
    checker.StartDoctypeDeclHandler = _refuse
    try:
        checker.Parse(content, True)
        return ET.fromstring(content)
    except (expat.ExpatError, ET.ParseError, ValueError) as error:
        message = f"is no XML, or is cut short: {error}"
        raise ScanError(message) from None


def _refuse(*_: object) -> None:
    message = "has a document type definition (<!DOCTYPE>), which CAT12 never writes; not read"
    raise ScanError(message)


def _vector(text: str) -> list[str]:
    cells = re.split(r"[;,\s]+", text.strip().strip("[]").strip())
    numbers = [cell for cell in cells if cell]
    for number in numbers:
        try:
            float(number)
        except ValueError:
            message = f"holds {number!r} where a number should be"
            raise ScanError(message) from None
    return numbers


def _distinct(names: list[str]) -> list[str]:
    """Names without blanks, each of them once."""
    times: Counter[str] = Counter()
    distinct = []
    for name in names:
        short = "-".join(name.split()) or "unnamed"
        times[short] += 1
        distinct.append(short if times[short] == 1 else f"{short}-{times[short]}")
    return distinct
