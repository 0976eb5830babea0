"""What trained networks said of scans, kept in the work directory so that a killed run goes on.

Choice: the answers of one training are one small JSON file, under a fingerprint of everything that
shaped them: the images' voxels, who trained and who was asked, settings, seed, precision. Reason:
probes are most of the time of ``evaluate``, hundreds of trainings of some seconds; losing one is
nothing, losing all is an hour. Rejected: a checkpoint in each training, which costs megabytes and
still asks the images again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.config import settings_hash
from bids_harmonize.errors import ScanError
from bids_harmonize.training.volumes import VolumeSource

_VERSION = 2  # raise when trainings change, so that old answers are not used


@dataclass(frozen=True)
class KeptAnswers:
    """Answers of one run and of those before it.

    Attributes
    ----------
    folder
        Where they lie; made when the first is written.
    resume
        Whether those of an earlier run are used.
    """

    folder: Path
    resume: bool = True

    def get(self, name: str, fingerprint: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """The answers of this name, made only if there are none under the same fingerprint.

        Parameters
        ----------
        name
            Of the training; letters, digits, dots, dashes and underscores.
        fingerprint
            Changes with everything that the answers depend on.
        make
            Trains and asks. Its table has a plain index, numbers, words and booleans.

        Returns
        -------
        DataFrame
            What ``make`` gave, now or then, equal to the last bit.

        Raises
        ------
        OutputError, StorageError
            If the answers cannot be written.
        """
        found = self.find(name, fingerprint)
        if found is not None:
            return found
        made = make()
        self.keep(name, fingerprint, made)
        return made

    def find(self, name: str, fingerprint: str) -> pd.DataFrame | None:
        """The answers that are kept; ``None`` if there are none, or others are wanted."""
        path = self._path(name)
        return _read(path, _versioned(fingerprint)) if self.resume and path.is_file() else None

    def keep(self, name: str, fingerprint: str, made: pd.DataFrame) -> None:
        """Keep answers, in the place of older ones.

        Raises
        ------
        OutputError, StorageError
            If they cannot be written.
        """
        write_json(self._path(name), {"fingerprint": _versioned(fingerprint), **_plain(made)})

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _versioned(fingerprint: str) -> str:
    return settings_hash(_VERSION, fingerprint)


def images_hash(images: VolumeSource) -> str:
    """Sixteen hexadecimal digits that change with any voxel, name or place of these scans.

    Parameters
    ----------
    images
        Volumes of shape (I, J, K); one is in memory at a time.

    Returns
    -------
    str
        The start of a SHA-256.
    """
    digest = hashlib.sha256()
    for index, scan in enumerate(images.scans):
        digest.update(f"{scan.key}\x1f{scan.participant_id}\x1f{scan.site}\x1f".encode())
        digest.update(images.volume(index).tobytes())
    return digest.hexdigest()[:16]


def _plain(frame: pd.DataFrame) -> dict[str, Any]:
    # Python writes every float with as many digits as it takes to read the same one back.
    columns = {
        name: [None if pd.isna(value) else value for value in frame[name].astype(object)]
        for name in frame.columns
    }
    return {"columns": columns, "dtypes": {name: str(frame[name].dtype) for name in columns}}


def _read(path: Path, fingerprint: str) -> pd.DataFrame | None:
    try:
        found = read_json(path)
    except ScanError:
        return None
    if found.get("fingerprint") != fingerprint:
        return None
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=found["dtypes"][name])
            for name, values in found["columns"].items()
        }
    )
