"""Where rescaled volumes come from: NIfTI files, or a mapped array of a study."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bids_harmonize.bids.images import read_image
from bids_harmonize.errors import MissingInputError, ScanError
from bids_harmonize.imaging.intensity import Scaling, p99_scaling
from bids_harmonize.imaging.types import Array, Mask, Volume

HEAD_BIT, BRAIN_BIT = 1, 2  # bits of the mapped mask array
VOLUMES_NAME, MASKS_NAME, INDEX_NAME = "volumes.npy", "masks.npy", "index.json"


@dataclass(frozen=True)
class ScanFiles:
    """The derivatives of one scan that training reads.

    Attributes
    ----------
    key
        The scan's name without suffix and extension.
    participant_id
        The person, ``sub-01``.
    site
        Where it was scanned.
    t1w, head_mask, brain_mask
        Files on the study grid; ``brain_mask`` may be ``None``.
    """

    key: str
    participant_id: str
    site: str
    t1w: Path
    head_mask: Path
    brain_mask: Path | None


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """One scan in memory: rescaled volume, masks, and the way back to native units."""

    volume: Volume
    head_mask: Mask
    brain_mask: Mask
    scaling: Scaling


class VolumeSource(Protocol):
    """Rescaled volumes of many scans on one grid shape.

    Volumes are float32 in units of the 99th percentile in the scaling mask, 0 outside the head.
    """

    scans: tuple[ScanFiles, ...]
    shape: tuple[int, int, int]
    voxel_size_mm: float

    def __len__(self) -> int:
        """Number of scans."""
        ...

    def volume(self, index: int) -> Volume:
        """The rescaled volume, float32 (I, J, K), 0 outside the head."""
        ...

    def head_mask(self, index: int) -> Mask:
        """The head mask, bool (I, J, K)."""
        ...

    def brain_mask(self, index: int) -> Mask:
        """The brain mask, bool (I, J, K); the head mask where there is none."""
        ...

    def scaling(self, index: int) -> Scaling:
        """What leads from rescaled units back to native units."""
        ...


class DiskVolumes:
    """Volumes read from NIfTI files at every call, on the study grid.

    Parameters
    ----------
    scans
        Which scans; all must have the shape and voxel size of the first.
    scaling_mask
        ``brain`` or ``head``: where the 99th percentile is taken.
    """

    def __init__(self, scans: Sequence[ScanFiles], scaling_mask: str = "brain") -> None:
        self.scans = tuple(scans)
        self.scaling_mask = scaling_mask
        if not self.scans:
            message = "no scans were given to train on; at least one is needed"
            raise MissingInputError(message)
        volume, affine = read_image(self.scans[0].t1w)
        self.shape: tuple[int, int, int] = volume.shape
        self.voxel_size_mm = float(np.linalg.norm(affine[:3, 0]))

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.scans)

    def read(self, index: int) -> LoadedScan:
        """Volume, masks and scaling of one scan, each file read once."""
        scan = self.scans[index]
        native = self._read_array(scan.t1w)
        head = self._read_array(scan.head_mask) > 0
        brain = head if scan.brain_mask is None else self._read_array(scan.brain_mask) > 0
        scaling_mask = brain if self.scaling_mask == "brain" else head
        if not scaling_mask.any():
            message = f"{scan.t1w}: its {self.scaling_mask} mask is empty; expected some voxels"
            raise ScanError(message)
        scaling = p99_scaling(native, scaling_mask)
        volume = np.where(head, scaling.apply(native), np.float32(0))
        return LoadedScan(volume=volume, head_mask=head, brain_mask=brain, scaling=scaling)

    def volume(self, index: int) -> Volume:
        """The rescaled volume, float32 (I, J, K), 0 outside the head."""
        return self.read(index).volume

    def head_mask(self, index: int) -> Mask:
        """The head mask, bool (I, J, K)."""
        return self._read_array(self.scans[index].head_mask) > 0

    def brain_mask(self, index: int) -> Mask:
        """The brain mask, bool (I, J, K); the head mask where there is none."""
        path = self.scans[index].brain_mask
        return self.head_mask(index) if path is None else self._read_array(path) > 0

    def scaling(self, index: int) -> Scaling:
        """What leads from rescaled units back to native units."""
        return self.read(index).scaling

    def _read_array(self, path: Path) -> Array:
        array, _ = read_image(path)
        if array.shape != self.shape:
            message = (
                f"{path}: shape is {array.shape}, the study's is {self.shape}; run the participant"
                " level again for this scan"
            )
            raise ScanError(message)
        return array


class MappedVolumes:
    """Volumes in one memory-mapped array; written by ``volumes.map_volumes``.

    Parameters
    ----------
    scans
        The scans in the order of the array.
    folder
        Where ``volumes.map_volumes`` wrote.
    """

    def __init__(self, scans: Sequence[ScanFiles], folder: Path) -> None:
        self.scans = tuple(scans)
        self.folder = folder
        index = json.loads((folder / INDEX_NAME).read_text(encoding="utf-8"))
        self.voxel_size_mm: float = index["voxel_size_mm"]
        self.content: str = index["content"]  # hash of the files and settings behind the arrays
        self._high: list[float] = index["high"]
        self._volumes = np.load(folder / VOLUMES_NAME, mmap_mode="r")
        self._masks = np.load(folder / MASKS_NAME, mmap_mode="r")
        self.shape: tuple[int, int, int] = self._volumes.shape[1:]

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the files itself."""
        return MappedVolumes, (self.scans, self.folder)

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.scans)

    def volume(self, index: int) -> Volume:
        """The rescaled volume, float32 (I, J, K), 0 outside the head."""
        return np.array(self._volumes[index])

    def head_mask(self, index: int) -> Mask:
        """The head mask, bool (I, J, K)."""
        return (self._masks[index] & HEAD_BIT) > 0

    def brain_mask(self, index: int) -> Mask:
        """The brain mask, bool (I, J, K); the head mask where there is none."""
        return (self._masks[index] & BRAIN_BIT) > 0

    def scaling(self, index: int) -> Scaling:
        """What leads from rescaled units back to native units."""
        return Scaling(low=0.0, high=self._high[index])
