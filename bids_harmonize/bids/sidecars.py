"""Metadata of an image from its JSON files, by the inheritance principle of BIDS.

pybids answers ``{}`` without a word when its metadata index is off, and the index costs a minute
for a large dataset: so the few files that can apply to one image are read here.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bids_harmonize.errors import ScanError


def sidecar_path(image: Path) -> Path:
    """The JSON file of an image or a transform.

    Examples
    --------
    >>> sidecar_path(Path("sub-01_desc-preproc_T1w.nii.gz")).name
    'sub-01_desc-preproc_T1w.json'
    """
    return image.with_name(f"{image.name.removesuffix('.gz').rpartition('.')[0]}.json")


def image_path(sidecar: Path) -> Path:
    """The image of a JSON file; the other way of :func:`sidecar_path`.

    Examples
    --------
    >>> image_path(Path("sub-01_desc-preproc_T1w.json")).name
    'sub-01_desc-preproc_T1w.nii.gz'
    """
    return sidecar.with_name(f"{sidecar.stem}.nii.gz")


def remove_with_sidecar(path: Path) -> None:
    """Take away an image or a table of an earlier run, and the JSON file beside it, if any."""
    path.unlink(missing_ok=True)
    sidecar_path(path).unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Parameters
    ----------
    path
        The file; a byte order mark does no harm.

    Returns
    -------
    dict
        Keys and values as written.

    Raises
    ------
    ScanError
        If it is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=_refuse)
    except (OSError, ValueError) as error:
        message = f"{path}: not readable as JSON: {error}"
        raise ScanError(message) from None
    if not isinstance(content, dict):
        message = f"{path}: found JSON of type {type(content).__name__}, expected an object"
        raise ScanError(message)
    return content


def read_or_empty(path: Path) -> dict[str, Any]:
    """As :func:`read_json`, but a file that cannot be read counts as empty."""
    try:
        return read_json(path) if os.access(path, os.R_OK) else {}
    except ScanError:
        return {}


def read_sidecar(path: Path, *, root: Path | None = None) -> dict[str, Any]:
    """Metadata of an image; what lies nearer to the image wins.

    Parameters
    ----------
    path
        The image.
    root
        Root of its dataset; ``None`` means the nearest folder above that has a
        ``dataset_description.json``, or the image's own folder.

    Returns
    -------
    dict
        Empty if no JSON file applies.

    Raises
    ------
    ScanError
        If a file that applies is no JSON object.
    """
    metadata: dict[str, Any] = {}
    for sidecar in applying_sidecars(path, root=root or _find_root(path)):
        metadata.update(read_json(sidecar))
    return metadata


def applying_sidecars(path: Path, *, root: Path) -> list[Path]:
    """JSON files that apply to an image, from the dataset's root down to its own folder.

    A file applies if it has the image's suffix and no entity that the image lacks. Of several in
    one folder, the one with more entities comes later and so wins.
    """
    entities, suffix = _parts(path.name)
    found = []
    for folder in _folders(root, path.parent):
        here = []
        for candidate in folder.glob(f"*{suffix}.json"):
            other, other_suffix = _parts(candidate.name)
            if other_suffix == suffix and other <= entities:
                here.append((len(other), candidate.name, candidate))
        found += [candidate for *_, candidate in sorted(here)]
    return found


def with_own(metadata: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A derivative's sidecar: what is carried over from the raw image, then what is ours.

    Parameters
    ----------
    metadata
        From :func:`read_sidecar`.
    own
        Our keys, which win; one of them is ``Description``.

    Returns
    -------
    dict
        Our keys stand last and begin with ``Description``, so that :func:`own_part` finds them.
    """
    carried = {key: value for key, value in metadata.items() if key not in own}
    return {**carried, "Description": own["Description"], **own}


def own_part(sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """Our keys of a sidecar that :func:`with_own` made; empty if it did not.

    Examples
    --------
    >>> own_part(with_own({"EchoTime": 0.003}, {"Description": "T1w", "Flags": []}))
    {'Description': 'T1w', 'Flags': []}
    """
    keys = list(sidecar)
    first = keys.index("Description") if "Description" in keys else len(keys)
    return {key: sidecar[key] for key in keys[first:]}


def _refuse(constant: str) -> None:
    message = f"{constant} is no JSON number; write null or leave the key out"
    raise ValueError(message)


def _parts(name: str) -> tuple[set[str], str]:
    *entities, suffix = name.split(".")[0].split("_")
    return set(entities), suffix


def _folders(root: Path, folder: Path) -> Iterator[Path]:
    above = [folder, *folder.parents]
    if root in above:
        yield from reversed(above[: above.index(root) + 1])
    else:
        yield folder


def _find_root(path: Path) -> Path:
    for folder in path.parents:
        if (folder / "dataset_description.json").is_file():
            return folder
    return path.parent
