"""Lesions that are put into a scan, and what becomes of them in an image made from it.

Choice: a ball with a soft rim in bright, even tissue deep in the brain, darker or brighter by a
share of what is there; the same scan with and without it is harmonized, and the two results are
subtracted. Reason: the difference is the lesion and nothing else, whatever the harmonizer did to
the rest, and no truth from another scanner is needed. Rejected: real lesions (nobody knows what
they would look like at the other site), lesions in the cortex (partial volume hides the size).
Revisit when lesions of known follow-up scans are at hand.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.geometry import voxel_size_mm
from bids_harmonize.imaging.intensity import percentile_scaling
from bids_harmonize.imaging.morphology import erode_mm
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume

RADIUS_MM: Final = 5.0
LEAST_RADIUS_VOXELS: Final = 1.5
AWAY_MM: Final = 15.0  # beyond its reach, nothing may change
_DEPTH_MM: Final = 6.0  # of the lesion's rim below the brain mask's edge
_BRIGHT_SHARE: Final = 0.3  # of the deep voxels: white matter is the brightest of them
_EVEN_SHARE: Final = 0.5  # of those, the ones with the least spread around them
_REACH: Final = 3.0  # radii within which a lesion's whole change is summed
_LEAST_CONTRAST: Final = 0.05  # of what was planted, for its volume to mean anything


@dataclass(frozen=True, eq=False)
class Lesion:
    """A ball with a soft rim.

    Attributes
    ----------
    share
        float32 (I, J, K), 0 to 1: how much of each voxel it fills.
    distance_mm
        float32 (I, J, K): distance from its centre.
    radius_mm
        Its radius.
    """

    share: Volume
    distance_mm: Volume
    radius_mm: float

    def put_into(self, volume: Volume, *, change: float) -> Volume:
        """The volume with the lesion; ``change`` is a share of what is there, -1 is black."""
        return (volume * (1 + np.float32(change) * self.share)).astype(np.float32)


@dataclass(frozen=True)
class LesionChange:
    """What became of a lesion.

    Attributes
    ----------
    contrast
        Its change of intensity after over before, each in units of the image's own range from
        the 1st to the 99th percentile; 1 is best, 0 is erased.
    volume
        Summed change over the change at its core, after over before; 1 is best. NaN where less
        than a twentieth of its contrast is left.
    away
        Largest change at least 15 mm beyond its reach, over what was planted; 0 is best.
    """

    contrast: float
    volume: float
    away: float


def make_lesion(shape: tuple[int, ...], affine: Affine, centre: Array) -> Lesion:
    """A lesion of 5 mm, or of 1.5 voxels where that is more.

    Parameters
    ----------
    shape
        Shape (I, J, K) of the scan.
    affine
        4x4 voxel-to-world matrix, mm; voxels of equal sides.
    centre
        Its voxel, (3,).

    Returns
    -------
    Lesion
        On the scan's grid; the rim is a voxel wide.
    """
    size, radius = _sizes_mm(affine)
    apart = [(axis - c) * size for axis, c in zip(np.indices(shape), centre, strict=True)]
    distance = np.sqrt(sum(a * a for a in apart)).astype(np.float32)
    share = np.clip((radius - distance) / size + np.float32(0.5), 0, 1)
    return Lesion(share.astype(np.float32), distance, radius)


def find_places(
    volume: Volume, brain: Mask, affine: Affine, *, n_places: int, rng: np.random.Generator
) -> list[Array]:
    """Voxels where a lesion can be told from its surroundings: bright, even and deep.

    Parameters
    ----------
    volume
        A T1w scan, float32 (I, J, K), any unit.
    brain
        Brain mask, same shape.
    affine
        4x4 voxel-to-world matrix, mm; voxels of equal sides.
    n_places
        How many are wanted.
    rng
        Draws them.

    Returns
    -------
    list of ndarray
        Voxels (3,), so far apart that no two lesions overlap; fewer where there is no room.
    """
    size, radius = _sizes_mm(affine)
    deep = erode_mm(brain, size, radius_mm=radius + _DEPTH_MM)
    if not deep.any():
        return []
    width = 2 * int(np.ceil(radius / size)) + 1
    mean = ndimage.uniform_filter(volume.astype(np.float64), width)
    square = ndimage.uniform_filter(volume.astype(np.float64) ** 2, width)
    spread = np.sqrt(np.maximum(square - mean**2, 0)) / np.maximum(mean, 1e-12)
    bright = deep & (mean >= np.quantile(mean[deep], 1 - _BRIGHT_SHARE))
    even = bright & (spread <= np.quantile(spread[bright], _EVEN_SHARE))
    found: list[Array] = []
    for place in rng.permutation(np.argwhere(even)):
        if all(np.linalg.norm((place - other) * size) > 2 * radius for other in found):
            found.append(place)
        if len(found) == n_places:
            break
    return found


def lesion_change(
    lesion: Lesion,
    before: tuple[Volume, Volume],
    after: tuple[Volume, Volume],
    *,
    brain: Mask,
) -> LesionChange:
    """What an image shows of a lesion that was put into the scan it was made from.

    Parameters
    ----------
    lesion
        The lesion.
    before
        The scan without it and with it.
    after
        The images made from these two.
    brain
        Brain mask.

    Returns
    -------
    LesionChange
        See there.

    Raises
    ------
    ScanError
        If an image is constant in the brain.
    """
    planted, shown = (_change(pair, brain) for pair in (before, after))
    core = lesion.share == 1
    near = brain & (lesion.distance_mm <= _REACH * lesion.radius_mm)
    far = brain & (lesion.distance_mm > _REACH * lesion.radius_mm + AWAY_MM)
    peak, own_peak = (float(change[core].mean()) for change in (planted, shown))
    size, own_size = (float(change[near].sum()) for change in (planted, shown))
    contrast = own_peak / peak
    is_left = abs(contrast) >= _LEAST_CONTRAST
    return LesionChange(
        contrast=contrast,
        volume=own_size / size / contrast if is_left else float("nan"),
        away=float(np.abs(shown[far]).max(initial=0.0)) / abs(peak),
    )


def _sizes_mm(affine: Affine) -> tuple[float, float]:
    """Edge of a voxel, and radius of a lesion on such voxels."""
    size = float(voxel_size_mm(affine)[0])
    return size, max(RADIUS_MM, LEAST_RADIUS_VOXELS * size)


def _change(pair: tuple[Volume, Volume], brain: Mask) -> Array:
    """What the lesion changes, in units of the lesion-free image's range."""
    plain, lesioned = pair
    scaling = percentile_scaling(plain, brain)
    return (lesioned.astype(np.float64) - plain) / (scaling.high - scaling.low)
