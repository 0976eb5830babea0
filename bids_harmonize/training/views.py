"""Scans of another source: changed by a function, made before and stored, or some of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.imaging.intensity import Scaling
from bids_harmonize.imaging.types import Mask, Volume
from bids_harmonize.training.sources import VolumeSource


class _ChangedVolumes:
    """Other volumes of the scans of another source; masks and scaling stay.

    Parameters
    ----------
    source
        Where masks come from.
    """

    def __init__(self, source: VolumeSource) -> None:
        self.source = source
        self.scans = source.scans
        self.shape = source.shape
        self.voxel_size_mm = source.voxel_size_mm

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.source)

    def head_mask(self, index: int) -> Mask:
        """The head mask, bool (I, J, K)."""
        return self.source.head_mask(index)

    def brain_mask(self, index: int) -> Mask:
        """The brain mask, bool (I, J, K); the head mask where there is none."""
        return self.source.brain_mask(index)

    def scaling(self, index: int) -> Scaling:
        """What leads from rescaled units back to native units."""
        return self.source.scaling(index)


class TransformedVolumes(_ChangedVolumes):
    """The volumes of another source, each changed by a function.

    Parameters
    ----------
    source
        Where volumes come from.
    function
        Takes the index and the volume, returns a volume of the same shape.
    """

    def __init__(self, source: VolumeSource, function: Callable[[int, Volume], Volume]) -> None:
        super().__init__(source)
        self.function = function

    def volume(self, index: int) -> Volume:
        """The changed volume, float32 (I, J, K)."""
        return self.function(index, self.source.volume(index))


class StoredVolumes(_ChangedVolumes):
    """Volumes of one array file, made from the scans of another source.

    Parameters
    ----------
    source
        The scans that they were made of.
    path
        Array file, float32 of shape (n_scans, I, J, K).
    """

    def __init__(self, source: VolumeSource, path: Path) -> None:
        super().__init__(source)
        self.path = path
        self._volumes = np.load(path, mmap_mode="r")

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process maps the file itself."""
        return StoredVolumes, (self.source, self.path)

    def volume(self, index: int) -> Volume:
        """The volume, float32 (I, J, K)."""
        return np.array(self._volumes[index])


class SelectedVolumes:
    """Some scans of another source, in the given order.

    Parameters
    ----------
    source
        Where volumes come from.
    indices
        Positions in ``source``.
    """

    def __init__(self, source: VolumeSource, indices: Sequence[int]) -> None:
        self.source = source
        self.indices = tuple(indices)
        self.scans = tuple(source.scans[index] for index in self.indices)
        self.shape = source.shape
        self.voxel_size_mm = source.voxel_size_mm

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.indices)

    def volume(self, index: int) -> Volume:
        """The rescaled volume, float32 (I, J, K), 0 outside the head."""
        return self.source.volume(self.indices[index])

    def head_mask(self, index: int) -> Mask:
        """The head mask, bool (I, J, K)."""
        return self.source.head_mask(self.indices[index])

    def brain_mask(self, index: int) -> Mask:
        """The brain mask, bool (I, J, K); the head mask where there is none."""
        return self.source.brain_mask(self.indices[index])

    def scaling(self, index: int) -> Scaling:
        """What leads from rescaled units back to native units."""
        return self.source.scaling(self.indices[index])
