"""Where an output comes from: run, software, inputs."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bids_harmonize._version import __version__
from bids_harmonize.errors import ScanError

SOFTWARE = "bids-harmonize"

_CHUNK_BYTES = 1 << 20
_MODEL = "_to-"  # stands in the name of every harmonizer's folder


def make_run_id(now: datetime) -> str:
    """A name for this run that sorts by time and that no parallel run shares.

    Parameters
    ----------
    now
        The time of the start.

    Returns
    -------
    str
        For instance ``20260102T030405_1f0e9a2b``.
    """
    return f"{now:%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:8]}"


def generated_by(container: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """The ``GeneratedBy`` of everything this software writes.

    Parameters
    ----------
    container
        ``Type`` and ``Tag`` or ``URI`` of the container it runs in, if any.

    Returns
    -------
    list of dict
        One entry.
    """
    entry: dict[str, Any] = {"Name": SOFTWARE, "Version": __version__}
    if container:
        entry["Container"] = dict(container)
    return [entry]


def keep_models(
    entries: Any, models: Sequence[Mapping[str, Any]] | None = None
) -> list[dict[str, Any]]:
    """``GeneratedBy`` with the models that made harmonized images behind the software.

    Parameters
    ----------
    entries
        What stands there; anything but a list counts as empty.
    models
        Entries that take the place of the models named so far; ``None`` keeps those.

    Returns
    -------
    list of dict
        What is no model comes first.
    """
    stood = [dict(entry) for entry in entries or () if isinstance(entry, Mapping)]
    named = [entry for entry in stood if _MODEL in str(entry.get("Name"))]
    others = [entry for entry in stood if entry not in named]
    return [*others, *(named if models is None else map(dict, models))]


def bids_uri(path: Path, root: Path, *, name: str = "") -> str:
    """The BIDS URI of a file.

    Parameters
    ----------
    path
        The file, inside ``root``.
    root
        Root of its dataset.
    name
        The dataset's key in ``DatasetLinks``; empty for the dataset that holds the URI.

    Returns
    -------
    str
        For instance ``bids:raw:sub-01/anat/sub-01_T1w.nii.gz``.

    Examples
    --------
    >>> bids_uri(Path("/data/sub-01/x.nii"), Path("/data"))
    'bids::sub-01/x.nii'
    """
    return f"bids:{name}:{path.relative_to(root).as_posix()}"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits.

    Raises
    ------
    ScanError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror or error}"
        raise ScanError(message) from None
    return digest.hexdigest()
