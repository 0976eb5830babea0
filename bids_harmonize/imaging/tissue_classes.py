"""Densities of pure and mixed tissue classes, tabulated over intensity."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from bids_harmonize.imaging.types import Array, Volume

PAIRS: Final = ((0, 1), (1, 2), (0, 2))  # fluid-grey, grey-white, fluid-white
N_CLASSES: Final = 8  # three pure ones, three mixtures, bright and dark outliers
OUTLIER_SHARE: Final = 0.02  # of fluid's prior: vessels and dura are bright
OUTLIER_SDS: Final = 3.0  # above white matter's mean
MIN_FLUID_SHARE: Final = 0.02
MAX_FLUID_SHARE: Final = 0.75  # of grey matter's mean
FLUID_SDS: Final = 1.1  # of the narrower of the others: what is wider is mixed
MIN_SD_SHARE: Final = 0.015  # of white matter's mean
DARK_FLOOR: Final = 0.01  # of fluid's density at its mean
DARK_SHARE: Final = 0.5  # of fluid's mean: what is darker, at the mask's edge, is no fluid
GREY_SDS: Final = 2.0  # of white matter's: what is wider is mixed
N_BINS: Final = 4096


@dataclass(frozen=True, eq=False)
class TissueClasses:
    """Fluid, grey and white matter and what lies between them.

    Parameters
    ----------
    means, sds
        Arrays (3,) of the pure classes, darkest first, intensities free of bias.
    """

    means: Array
    sds: Array

    def prior(self, shares: Volume, rim: Volume) -> Volume:
        """Prior of every class, float32 (8, n), from tissue priors (3, n) that sum to 1.

        A voxel is drawn like two halves: pure where both are of one tissue. ``rim`` (n,) is the
        prior of dark voxels that are no brain: bone that the mask took in.
        """
        fluid, grey, white = shares
        prior = np.empty((N_CLASSES, shares.shape[1]), np.float32)
        for n, tissue in enumerate((fluid, grey, white)):
            prior[n] = tissue * tissue
        for n, (low, high) in enumerate(PAIRS):
            prior[3 + n] = 2 * shares[low] * shares[high]
        prior[6] = OUTLIER_SHARE * fluid
        prior[7] = rim
        return prior

    def tables(self) -> "DensityTables":
        """Densities and mixing shares over the intensities that occur."""
        top = float(self.means[2] + 6 * self.sds[2])
        values = np.linspace(0.0, top, N_BINS)
        density = np.empty((N_CLASSES, N_BINS))
        for n, (mean, sd) in enumerate(zip(self.means, self.sds, strict=True)):
            density[n] = np.exp(-0.5 * ((values - mean) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
        darker = values < self.means[0]  # deep in the brain, what is darker than fluid is fluid
        density[0, darker] = np.maximum(density[0, darker], DARK_FLOOR * density[0].max())
        density[2, values > self.means[2]] = density[2].max()  # brighter than white is white
        high_share = np.empty((len(PAIRS), N_BINS))
        for n, (low, high) in enumerate(PAIRS):
            sd = (self.sds[low] + self.sds[high]) / 2
            density[3 + n], high_share[n] = _mixed(
                values, float(self.means[low]), float(self.means[high]), float(sd)
            )
        outlier = values > self.means[2] + OUTLIER_SDS * self.sds[2]
        density[6] = np.where(outlier, 1.0 / self.means[2], 0.0)
        edge = max(DARK_SHARE * float(self.means[0]), 1e-3 * top)
        density[7] = ndtr((edge - values) / self.sds[0]) / edge
        return DensityTables(
            density.astype(np.float32), high_share.astype(np.float32), (N_BINS - 1) / top
        )

    def updated(self, values: Volume, posterior: Volume, *, fluid: float) -> "TissueClasses":
        """Classes fitted to values (n,) by their posterior (8, n).

        ``fluid`` is the mean of fluid, known from the ventricles. Classes that would change their
        order stay as they are.
        """
        mass = np.maximum(posterior[:3].sum(axis=1, dtype=np.float64), 1e-9)
        means = (posterior[:3] @ values) / mass
        means[0] = np.clip(fluid, MIN_FLUID_SHARE * means[1], MAX_FLUID_SHARE * means[1])
        if not (np.diff(means) > 0).all():
            return self
        spread = [
            float(posterior[n] @ (values - np.float32(means[n])) ** 2) / mass[n] for n in range(3)
        ]
        sds = np.maximum(np.sqrt(spread), MIN_SD_SHARE * means[2])
        sds[1] = min(sds[1], GREY_SDS * sds[2])
        sds[0] = FLUID_SDS * sds[1:].min()
        return TissueClasses(means, sds)


@dataclass(frozen=True, eq=False)
class DensityTables:
    """Densities of the eight classes, looked up by intensity.

    Parameters
    ----------
    density
        float32 (8, bins).
    high_share
        float32 (3, bins): expected share of the brighter tissue in each mixture, 0 to 1.
    bins_per_unit
        Bins from intensity 0 to 1.
    """

    density: Volume
    high_share: Volume
    bins_per_unit: float

    def bins(self, values: Volume) -> Array:
        """Bin (n,) of every intensity (n,); beyond the last one the last one."""
        last = self.density.shape[1] - 1
        return np.clip(values * self.bins_per_unit + 0.5, 0, last).astype(np.intp)

    def posterior(self, bins: Array, prior: Volume) -> Volume:
        """Posterior of every class, float32 (8, n), from a prior (8, n)."""
        likely = self.density[:, bins] * prior
        likely += np.float32(1e-20)
        likely /= likely.sum(axis=0)
        return likely

    def shares(self, bins: Array, posterior: Volume) -> Volume:
        """Expected share of each tissue, float32 (3, n): mixtures split between their two."""
        shares = posterior[:3].copy()
        for n, (low, high) in enumerate(PAIRS):
            of_high = posterior[3 + n] * self.high_share[n, bins]
            shares[high] += of_high
            shares[low] += posterior[3 + n] - of_high
        return shares


def _mixed(values: Array, low: float, high: float, sd: float) -> tuple[Array, Array]:
    """Density of a mixture whose share is uniform, and the expected share of the brighter one."""
    width = high - low
    from_low, from_high = (values - low) / sd, (values - high) / sd
    inside = ndtr(from_low) - ndtr(from_high)
    edges = (np.exp(-0.5 * from_low**2) - np.exp(-0.5 * from_high**2)) / np.sqrt(2 * np.pi)
    plain = (values - low) / width
    expected = np.where(
        inside > 1e-9, plain + sd / width * edges / np.maximum(inside, 1e-9), plain
    )
    return inside / width, np.clip(expected, 0.0, 1.0)
