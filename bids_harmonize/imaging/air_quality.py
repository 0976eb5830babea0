"""Quality measures of the raw image: what the air around the head says of noise and artefacts.

Choice: the air is what lies 8 mm or more off the head mask, without blocks of one and the same
value. Reason: scanners, gradient unwarping and defacing set parts of the air to a constant; what
is left of it is noise, and where nothing is left no measure of the air is known. Rejected: to call
an image without zeros untouched (a defaced one has both kinds of air). Revisit when scans with
thresholded noise (specks in a constant) are common.
"""

from collections.abc import Iterator
from math import ceil
from typing import Final

import numpy as np
from scipy import ndimage
from scipy.interpolate import PchipInterpolator
from scipy.special import gammainc

from bids_harmonize.imaging.field_of_view import anisotropy, fov_cut_cm2, obliqueness_deg
from bids_harmonize.imaging.geometry import voxel_size_mm
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume

NOT_KNOWN: Final = float("nan")
IQR_OF_NORMAL: Final = 1.349
AIR_MARGIN_MM: Final = 8.0
MIN_AIR_VOXELS: Final = 500
MIN_AIR_SHARE: Final = 0.01  # of the whole volume
MAX_FILLED: Final = 0.5  # beyond, what is left of the air are specks above a threshold
ARTEFACT_SDS: Final = 4.0
MAX_NOISE_VALUES: Final = 400_000
MAX_LEVELS: Final = 256
N_BINS: Final = 64
HIGHEST_PERCENT: Final = 99.5
PART_VALUES: Final = 1 << 20  # 8 MB in 64 bits
FINE_STEPS: Final = 20_001


def measure_raw(volume: Volume, affine: Affine, head_mask: Mask) -> dict[str, float]:
    """Measures that need the raw image, before anything outside the head is set to 0.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), native units, as acquired.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    head_mask
        Boolean array of the same shape.

    Returns
    -------
    dict
        Name to value, each a row of ``QUALITY_MEASURES``; NaN where it cannot be told.
    """
    constant = constant_places(volume)
    air = find_air(head_mask, affine)
    filled = float((constant & air).sum()) / max(int(air.sum()), 1)
    air &= ~constant
    sizes = voxel_size_mm(affine)
    measures = {
        "efc": entropy_focus(volume[~constant]),
        "fber": NOT_KNOWN,
        "qi1": NOT_KNOWN,
        "qi2": NOT_KNOWN,
        "air_sd": NOT_KNOWN,
        "air_filled": filled,
        "fov_cut_cm2": fov_cut_cm2(volume, affine, head_mask),
        **{f"native_{axis}_mm": round(size, 4) for axis, size in zip("ijk", sizes, strict=True)},
        "anisotropy": anisotropy(affine),
        "obliqueness_deg": obliqueness_deg(affine),
    }
    enough = max(MIN_AIR_VOXELS, MIN_AIR_SHARE * volume.size)
    if filled > MAX_FILLED or int(air.sum()) < enough:
        return measures
    measures["air_sd"] = noise_sd(volume[air])
    if np.isnan(measures["air_sd"]):  # most of the air is one value: it was thresholded
        return measures
    artefacts = find_artefacts(volume, air)
    measures["fber"] = energy_ratio(volume[head_mask], volume[air])
    measures["qi1"] = float(artefacts.sum()) / float(air.sum())
    measures["qi2"] = noise_misfit(volume[air & ~artefacts])
    return measures


def find_air(head_mask: Mask, affine: Affine, *, margin_mm: float = AIR_MARGIN_MM) -> Mask:
    """Voxels at least ``margin_mm`` off the head along some axis, on the head mask's grid."""
    grown = head_mask.astype(np.uint8)
    for axis, size in enumerate(voxel_size_mm(affine)):
        width = 2 * ceil(margin_mm / size) + 1
        grown = ndimage.maximum_filter1d(grown, width, axis=axis, mode="constant")
    return grown == 0


def constant_places(volume: Array) -> Mask:
    """Voxels of any block of 3 x 3 x 3 voxels that hold one and the same value.

    Noise of integers does not make such blocks: 27 equal neighbours would be needed.

    Examples
    --------
    >>> volume = np.arange(125.0).reshape(5, 5, 5)
    >>> volume[:3, :3, :3] = 7
    >>> int(constant_places(volume).sum())
    27
    """
    core = np.ones(volume.shape, np.bool_)
    for axis in range(volume.ndim):
        values, before = np.moveaxis(volume, axis, 0), np.moveaxis(core, axis, 0)
        after = np.zeros_like(before)
        middle = values[1:-1]
        after[1:-1] = before[:-2] & before[1:-1] & before[2:]
        after[1:-1] &= (middle == values[:-2]) & (middle == values[2:])
        core = np.moveaxis(after, 0, axis)
    for axis in range(volume.ndim):
        before = np.moveaxis(core, axis, 0)
        after = before.copy()
        after[:-1] |= before[1:]
        after[1:] |= before[:-1]
        core = np.moveaxis(after, 0, axis)
    return np.ascontiguousarray(core)


def find_artefacts(volume: Volume, air: Mask) -> Mask:
    """Air that is no noise: ghosts, wrap-around, spikes.

    Voxels above the air's median + 4 robust standard deviations that survive an opening by a
    cross of 7 voxels, and such voxels at most 2 steps from these; grains of noise, however bright,
    do not fill such a cross. Their share of the air is QI1, lower is better.

    References
    ----------
    Mortamet et al. 2009, doi:10.1002/mrm.21992 (threshold ours, the original's is the mode).
    """
    values = volume[air]
    bright = air & (volume > _brightest_noise(values))
    solid = ndimage.binary_opening(bright)
    artefacts: Mask = ndimage.binary_dilation(solid, iterations=2) & bright
    return artefacts


def noise_sd(values: Array) -> float:
    """``(P75 - P25) / 1.349`` of the air's intensities, native units; lower is better.

    For Rayleigh noise it is 2.6 % above the standard deviation. Percentiles of a coarsely stored
    image are read between its levels, so that noise of a few levels is not rounded. NaN where
    half of the values are equal.
    """
    if values.size == 0 or float(np.ptp(values)) == 0.0:
        return NOT_KNOWN
    edges = _level_edges(values[:: _step(values)])
    if edges is None:
        low, high = np.percentile(values, (25, 75))
    else:
        counts = np.histogram(values, edges)[0]
        heights = np.concatenate([[0.0], np.cumsum(counts) / values.size])
        fine = np.linspace(edges[0], edges[-1], FINE_STEPS)
        low, high = np.interp((0.25, 0.75), PchipInterpolator(edges, heights)(fine), fine)
    return float(high - low) / IQR_OF_NORMAL if high > low else NOT_KNOWN


def noise_misfit(values: Array) -> float:
    """How far the air's intensities are from magnitude noise (QI2); lower is better, 0 to 2.

    A chi distribution (magnitude noise of any number of coils) is fitted by moments, with
    ``k = 2 m2^2 / (m4 - m2^2)`` degrees of freedom and scale ``s^2 = m2 / k``, where ``m2`` and
    ``m4`` are means of ``x^2`` and ``x^4``; stray voxels, above the median + 4 robust standard
    deviations, are not fitted, but count as misfit. The result is ``sum |observed - fitted|``
    over the shares of voxels from the mode upwards: in bins of one level of a coarsely stored
    image, else in 64 bins up to the 99.5th percentile, and one for all above.

    Parameters
    ----------
    values
        Intensities of the air without artefacts.

    Returns
    -------
    float
        NaN where there is no spread.

    References
    ----------
    Mortamet et al. 2009, doi:10.1002/mrm.21992.
    """
    some = np.maximum(values[:: _step(values)].astype(np.float64), 0)
    if some.size < MIN_AIR_VOXELS:
        return NOT_KNOWN
    square = some[some <= _brightest_noise(some)] ** 2
    if square.size == 0 or float(square.var()) == 0.0:
        return NOT_KNOWN
    freedom = 2 * float(square.mean()) ** 2 / float(square.var())
    scale = float(square.mean()) / freedom
    edges = _level_edges(some)
    if edges is None:
        edges = np.linspace(0, float(np.percentile(some, HIGHEST_PERCENT)), N_BINS + 1)
    edges = np.append(edges, np.inf)
    observed = np.histogram(some, edges)[0] / some.size
    fitted = np.diff(gammainc(freedom / 2, edges**2 / (2 * scale)))
    tail = slice(int(observed.argmax()), None)
    return float(np.abs(observed[tail] - fitted[tail]).sum())


def entropy_focus(values: Array) -> float:
    """Shannon entropy of the voxels' share of energy over its maximum; lower is better, 0 to 1.

    ``-sum(x / b * ln(x / b)) / (sqrt(n) * ln(sqrt(n)))`` with ``b = sqrt(sum(x^2))``.

    References
    ----------
    Atkinson et al. 1997, doi:10.1109/42.650886.
    """
    energy = float(np.sqrt(sum(float((some**2).sum()) for some in _positive_parts(values))))
    if values.size < 2 or energy == 0.0:
        return NOT_KNOWN
    shares = (some / energy for some in _positive_parts(values))
    entropy = -sum(float((share * np.log(share)).sum()) for share in shares)
    return entropy / float(np.sqrt(values.size) * np.log(values.size) / 2)


def _positive_parts(values: Array) -> Iterator[Array]:
    """What is above 0, in 64 bits, some at a time: all at once would be 32 bytes a voxel."""
    flat = values.ravel()
    for start in range(0, flat.size, PART_VALUES):
        some = flat[start : start + PART_VALUES].astype(np.float64)
        yield some[some > 0]


def energy_ratio(head: Array, air: Array) -> float:
    """``median(head^2) / median(air^2)``; higher is better, no unit, NaN for air set to 0.

    References
    ----------
    Shehzad et al. 2015, doi:10.3389/conf.fnins.2015.91.00047.
    """
    if not (head.size and air.size):
        return NOT_KNOWN
    noise = float(np.median(air.astype(np.float64) ** 2))
    return float(np.median(head.astype(np.float64) ** 2)) / noise if noise > 0 else NOT_KNOWN


def _brightest_noise(values: Array) -> float:
    """What noise hardly exceeds: median + 4 robust standard deviations, NaN without spread."""
    return float(np.median(values)) + ARTEFACT_SDS * noise_sd(values)


def _level_edges(values: Array) -> Array | None:
    """Edges halfway between the levels of coarsely stored noise, else None.

    They end above the 99.5th percentile: what lies beyond would only be stray artefacts.
    """
    levels = np.unique(values[values <= np.percentile(values, HIGHEST_PERCENT)])
    if not 1 < levels.size <= MAX_LEVELS:
        return None
    halfway = (levels[1:] + levels[:-1]) / 2
    first = max(0.0, float(levels[0]) - float(levels[1] - levels[0]) / 2)
    last = float(levels[-1]) + float(levels[-1] - levels[-2]) / 2
    return np.concatenate([[first], halfway, [last]])


def _step(values: Array) -> int:
    """Every how manieth value is looked at where a part of them is enough."""
    return max(1, -(-values.size // MAX_NOISE_VALUES))
