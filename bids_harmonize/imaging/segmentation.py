"""Shares of fluid, grey and white matter in every voxel of a brain.

Choice: three pure classes and their three mixtures, expectation maximisation with the warped
template as prior, a smooth bias field inside it, and a Markov field at the end. A mixture's
density is that of all shares alike, so its posterior mean gives the share itself. Reason: at 1 mm
a third of the cortex is mixed, at 3 mm most of it. Rejected: priors without mixtures (worse than
a plain mixture of Gaussians), a bias field by N4 beforehand (twice the work, and it does not know
the tissues). Revisit when lesions are to be told apart.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.tissue_classes import PAIRS, TissueClasses
from bids_harmonize.imaging.types import Array, Mask, Volume

PRIOR_FLOOR: Final = 0.03
RIM_PRIOR: Final = 0.5
RIM_MM: Final = 2.0
DEEP_MM: Final = 15.0
VENTRICLE_MM3: Final = 2000.0
MIN_VENTRICLE_VOXELS: Final = 20
BIAS_MM: Final = 35.0  # sd of the bias field's window
BIAS_CELL_MM: Final = 6.0
BETA: Final = 0.25  # of the Markov field, each of six neighbours at 1 mm
N_ITERATIONS: Final = 25
N_FIELD_ITERATIONS: Final = 4
FINE_MM: Final = 1.3  # below it every third voxel along each axis steers the parameters
MIN_VOXELS: Final = 1000


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Tissue shares and what they rest on.

    Parameters
    ----------
    shares
        float32 (3, n), 0 to 1: fluid, grey and white matter in the mask's voxels, in C order;
        the sum is 1 but for bright voxels that are none of them.
    classes
        Means and spreads, in the volume's units without its bias field.
    log_bias
        float32 (n,): logarithm of the bias field, its mean 0.
    """

    shares: Volume
    classes: TissueClasses
    log_bias: Volume


def segment(volume: Volume, mask: Mask, priors: Volume, voxel_mm: Array) -> Segmentation:
    """Tissue shares of a T1w brain.

    Parameters
    ----------
    volume
        float32 of shape (I, J, K), at least 0, any scale, with its bias field.
    mask
        Boolean array of the same shape: the brain with its fluid.
    priors
        float32 (3, n): share of fluid, grey and white matter to be expected in each voxel of the
        mask, in C order, 0 to 1.
    voxel_mm
        Array (3,): voxel size along I, J, K, mm.

    Returns
    -------
    Segmentation
        One thread, no random numbers: equal input gives equal bits.

    Raises
    ------
    ScanError
        If the mask holds too few voxels or all are of one intensity.

    References
    ----------
    Ashburner and Friston 2005, doi:10.1016/j.neuroimage.2005.02.018; mixed voxels:
    Laidlaw et al. 1998, doi:10.1109/42.668696.
    """
    voxels = np.argwhere(mask).T
    if voxels.shape[1] < MIN_VOXELS:
        message = (
            f"tissue cannot be told apart: the brain mask holds {voxels.shape[1]} voxels,"
            f" expected at least {MIN_VOXELS}"
        )
        raise ScanError(message)
    values = np.maximum(volume[mask], 0).astype(np.float32)
    floored = priors + np.float32(PRIOR_FLOOR)
    floored /= floored.sum(axis=0)
    depth = _depth_mm(mask, voxel_mm)
    rim = (RIM_PRIOR * np.exp(-0.5 * (depth / RIM_MM) ** 2)).astype(np.float32)
    chosen = _steering(voxels, voxel_mm)
    ventricles = _ventricles(priors[0], depth, float(np.prod(voxel_mm)))
    cells = _Cells(voxels, voxel_mm)
    classes, log_bias = _fit(
        _Voxels(values[chosen], cells.places[:, chosen]),
        _Voxels(values[ventricles], cells.places[:, ventricles]),
        floored[:, chosen],
        rim[chosen],
        cells,
    )
    bias = cells.at(log_bias, cells.places)
    even = values * np.exp(-bias)
    beta = BETA / max(1.0, float(np.mean(voxel_mm)))
    shares = _with_neighbours(even, floored, rim, classes, mask, beta=beta)
    centre = float(bias.mean())
    scale = float(np.exp(centre))
    classes = TissueClasses(classes.means * scale, classes.sds * scale)
    return Segmentation(shares, classes, bias - np.float32(centre))


class _Cells:
    """Coarse cells around the mask's voxels, on which the bias field lives."""

    def __init__(self, voxels: Array, voxel_mm: Array) -> None:
        step = np.maximum(1.0, BIAS_CELL_MM / voxel_mm)
        low, high = voxels.min(axis=1), voxels.max(axis=1)
        half = np.ceil((high - low) / 2 / step) + 1
        self.shape = tuple(int(2 * n + 1) for n in half)
        centred = (voxels - ((low + high) / 2)[:, None]) / step[:, None]
        self.places = (centred + half[:, None]).astype(np.float32)
        self.sigma = BIAS_MM / (step * voxel_mm)

    def regress(self, places: Array, above: Array, below: Array) -> Array:
        """Local ratio of two sums over voxels, on the cells."""
        nearest = tuple(np.rint(places).astype(np.intp))
        flat = np.ravel_multi_index(nearest, self.shape)
        n_cells = int(np.prod(self.shape))
        top, bottom = (
            ndimage.gaussian_filter(
                np.bincount(flat, weights=part, minlength=n_cells).reshape(self.shape),
                self.sigma,
                mode="constant",
            )
            for part in (above, below)
        )
        floor = 1e-6 * float(bottom.max())
        return np.where(bottom > floor, top, floor) / np.maximum(bottom, floor)

    def at(self, field: Array, places: Array) -> Volume:
        """Field of the cells at places (3, n), linearly interpolated, float32."""
        values = ndimage.map_coordinates(field, places, order=1, mode="nearest")
        return values.astype(np.float32)


def _depth_mm(mask: Mask, voxel_mm: Array) -> Array:
    """Distance (n,) of the mask's voxels from what lies outside it."""
    padded = np.pad(mask, 1)
    depth: Array = ndimage.distance_transform_edt(padded, sampling=voxel_mm)
    return depth[padded]


def _ventricles(fluid: Volume, depth_mm: Array, voxel_mm3: float) -> Array:
    """Which voxels (n,) are the surest of fluid, deep in the brain."""
    deep = np.where(depth_mm > DEEP_MM, fluid, 0)
    wanted = min(max(MIN_VENTRICLE_VOXELS, round(VENTRICLE_MM3 / voxel_mm3)), fluid.size)
    least = np.partition(deep, -wanted)[-wanted]
    return deep >= least if least > 0 else deep > 0


def _steering(voxels: Array, voxel_mm: Array) -> Array:
    """Which voxels steer the parameters: a lattice that any flip of the volume leaves alone."""
    chosen = np.ones(voxels.shape[1], np.bool_)
    for axis in range(3):
        if voxel_mm[axis] < FINE_MM:
            low, high = int(voxels[axis].min()), int(voxels[axis].max())
            doubled = 2 * voxels[axis] - (low + high)
            chosen &= (np.abs(doubled) % 6) == (3 if (high - low) % 2 else 0)
    return chosen


@dataclass(frozen=True, eq=False)
class _Voxels:
    """Intensities (n,) and places (3, n) among the cells."""

    values: Volume
    places: Array


def _fit(
    chosen: _Voxels, ventricles: _Voxels, priors: Volume, rim: Volume, cells: _Cells
) -> tuple[TissueClasses, Array]:
    """Classes and log bias (on the cells) by expectation maximisation."""

    def without_bias(voxels: _Voxels) -> Volume:
        return voxels.values * np.exp(-cells.at(log_bias, voxels.places))

    whole = cells.regress(chosen.places, chosen.values, np.ones_like(chosen.values))
    log_bias = np.log(np.maximum(whole, 1e-12))
    even = without_bias(chosen)
    start = fit_mixture(even)
    classes = TissueClasses(start.means, start.sds)
    for _ in range(N_ITERATIONS):
        prior = classes.prior(priors, rim)
        tables = classes.tables()
        posterior = tables.posterior(tables.bins(even), prior)
        weight = posterior[:3] / (classes.sds[:, None] ** 2).astype(np.float32)
        model: Volume = classes.means.astype(np.float32)
        above = (model @ weight) * even
        below = (model * model) @ weight
        log_bias = log_bias + np.log(cells.regress(chosen.places, above, below))
        even = without_bias(chosen)
        fluid = float(np.median(without_bias(ventricles)))
        classes = classes.updated(even, posterior, fluid=fluid)
    return classes, log_bias


def _with_neighbours(
    even: Volume, priors: Volume, rim: Volume, classes: TissueClasses, mask: Mask, *, beta: float
) -> Volume:
    """Tissue shares (3, n) under a Markov field, by mean-field iterations."""
    tables = classes.tables()
    bins = tables.bins(even)
    prior = classes.prior(priors, rim)
    posterior = tables.posterior(bins, prior)
    shares = tables.shares(bins, posterior)
    for _ in range(N_FIELD_ITERATIONS):
        around = np.exp(beta * _neighbours(shares, mask))
        posterior = tables.posterior(bins, _encouraged(prior, around))
        shares = tables.shares(bins, posterior)
    return shares


def _encouraged(prior: Volume, around: Volume) -> Volume:
    """Prior (8, n) times what the neighbours (3, n) make of it; mixtures get half of each."""
    result = prior.copy()
    result[:3] *= around
    for n, (low, high) in enumerate(PAIRS):
        result[3 + n] *= np.sqrt(around[low] * around[high])
    return result


def _neighbours(shares: Volume, mask: Mask) -> Volume:
    """Sum of the shares (3, n) over each voxel's six neighbours; 0 outside the mask."""
    result = np.empty_like(shares)
    for n, share in enumerate(shares):
        volume = np.zeros(mask.shape, np.float32)
        volume[mask] = share
        total = np.zeros(mask.shape, np.float32)
        for axis in range(3):
            moved, source = np.moveaxis(total, axis, 0), np.moveaxis(volume, axis, 0)
            moved[1:] += source[:-1]
            moved[:-1] += source[1:]
        result[n] = total[mask]
    return result
