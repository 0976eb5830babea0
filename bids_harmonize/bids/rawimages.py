"""Raw T1w images as nobody cleaned them: what is odd about their voxels is settled here, once.

Choice: 0 means no signal, and nothing lies below it. Negative voxels that rounding, filtering or
an earlier resampling left around 0 are set to 0; an image that as a whole lies partly below 0 (an
offset, or an inversion-recovery image with a sign) is lifted until nothing does, and the sidecar
states by how much. Reason: bias correction takes logarithms, the background is set to 0, and the
scaling starts at 0. Rejected: keeping them (the background would be brighter than fluid), the
absolute value (folds fluid onto grey matter). Revisit when signed images shall be read as such.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bids_harmonize.bids.images import StoredImage, is_finite, read_stored
from bids_harmonize.bids.placement import AffineSource
from bids_harmonize.errors import ScanError

MIN_VOXELS = 10
MIN_EXTENT_MM = 80.0
"""Along each axis; an adult brain measures about 120 mm from top to bottom."""

OFFSET_SHARE = 0.2
"""The 5th percentile lies this share of the range below 0 in images that have an offset."""

PADDING_SHARE = 0.01
"""Share of the voxels that hold the very lowest value, from which on it is called padding."""


@dataclass(frozen=True, eq=False)
class RawImage:
    """A raw image that every later step can take.

    Parameters
    ----------
    volume
        Shape (I, J, K), float32, native units, finite and never below 0.
    affine
        4x4, voxel to world, mm, RAS+.
    affine_source
        ``sform``, ``qform`` or ``none`` (a guess).
    dtype
        Name of the type of the voxels in the file.
    intensity_offset
        What was added to all voxels, native units; 0 in most images.
    flags
        What was odd, in words.
    """

    volume: NDArray[np.float32]
    affine: NDArray[np.float64]
    affine_source: AffineSource
    dtype: str
    intensity_offset: float
    flags: tuple[str, ...]


def read_raw(path: Path) -> RawImage:
    """Read a raw T1w image.

    Parameters
    ----------
    path
        ``.nii`` or ``.nii.gz``, of any orientation and voxel type.

    Returns
    -------
    RawImage
        The same for equal bytes.

    Raises
    ------
    ScanError
        If the file is absent, damaged or contradicts itself, or cannot show a head.
    """
    stored = read_stored(path)
    _check_extent(stored, path)
    flags = list(stored.flags)
    volume = stored.volume
    offset = 0.0
    odd = None if is_finite(volume) else ~np.isfinite(volume)
    if odd is not None or volume.min() < 0:
        offset, words = _lift(volume, odd)
        flags += words
    if odd is not None:
        n_odd = int(odd.sum())
        flags.append(f"{n_odd} voxels ({n_odd / volume.size:.2%}) are not finite; set to 0")
        volume[odd] = 0
    return RawImage(
        volume, stored.affine, stored.affine_source, stored.dtype, offset, tuple(flags)
    )


def _check_extent(stored: StoredImage, path: Path) -> None:
    sizes = np.sqrt((stored.affine[:3, :3] ** 2).sum(axis=0))
    extents = sizes * stored.volume.shape
    if min(stored.volume.shape) >= MIN_VOXELS and extents.min() >= MIN_EXTENT_MM:
        return
    shape = " x ".join(str(length) for length in stored.volume.shape)
    covered = " x ".join(f"{extent:.0f}" for extent in extents)
    message = (
        f"{path}: {shape} voxels cover {covered} mm, expected at least {MIN_VOXELS} voxels and"
        f" {MIN_EXTENT_MM:.0f} mm along each axis: a slab or a localizer shows no whole head;"
        " leave the scan out, for instance with --bids-filter-file"
    )
    raise ScanError(message)


def _lift(volume: NDArray[np.float32], odd: NDArray[np.bool_] | None) -> tuple[float, list[str]]:
    """Make a volume with negative voxels non-negative, in place; what was added, and in words."""
    finite = volume.ravel(order="K") if odd is None else volume[~odd]
    lowest = finite.min()
    if lowest >= 0:
        return 0.0, []
    padding = finite == lowest
    content = finite[~padding] if padding.mean() > PADDING_SHARE else finite
    low, high = np.percentile(content, (5, 99))
    offset = 0.0
    words = f"{int((finite < 0).sum())} voxels are negative (down to {lowest:g})"
    if low < -OFFSET_SHARE * (high - low):
        offset = -float(content.min())
        volume += np.float32(offset)
        words += f"; the image was lifted by {offset:g}"
    else:
        words += "; set to 0"
    np.maximum(volume, 0, out=volume)  # NaN stays
    return offset, [words]
