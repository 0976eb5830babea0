"""Three tissue intensities (fluid, grey, white) by a plain mixture of Gaussians."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.types import Array

N_BINS: Final = 512
N_ITERATIONS: Final = 100
START_PERCENTS: Final = (8.0, 40.0, 80.0)
MIN_SD_BINS: Final = 3.0
MIN_VALUES: Final = 100


@dataclass(frozen=True, eq=False)
class Mixture:
    """Three classes, darkest first.

    Parameters
    ----------
    means, sds
        Arrays (3,), in the intensities' units.
    weights
        Array (3,), shares that sum to 1.
    """

    means: Array
    sds: Array
    weights: Array

    def labels(self, values: Array) -> Array:
        """Most likely class (0, 1, 2) of every value; an array of the same shape.

        Values beyond the outer means belong to the outer classes, whatever the spreads.
        """
        spread = (values[..., None] - self.means) / self.sds
        likely = np.log(self.weights / self.sds) - 0.5 * spread**2
        labels = likely.argmax(axis=-1)
        labels[values <= self.means[0]] = 0
        labels[values >= self.means[2]] = 2
        return labels


def fit_mixture(values: Array) -> Mixture:
    """Three Gaussians fitted to intensities by expectation maximisation on their histogram.

    Parameters
    ----------
    values
        Intensities inside a brain mask, any shape.

    Returns
    -------
    Mixture
        Classes in the order of their means: fluid, grey and white matter on a T1w image.

    Raises
    ------
    ScanError
        If there are too few values, or all are equal.
    """
    if values.size < MIN_VALUES or float(np.ptp(values)) == 0.0:
        message = (
            f"tissue intensities cannot be told apart: found {values.size} voxels, expected at"
            f" least {MIN_VALUES} that are not all equal"
        )
        raise ScanError(message)
    low, high = np.percentile(values, (0.5, 99.5))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, bins=N_BINS, range=(float(low), float(high)))
    centres = (edges[1:] + edges[:-1]) / 2
    floor = MIN_SD_BINS * float(edges[1] - edges[0])
    means = np.percentile(values, START_PERCENTS).astype(np.float64)
    sds = np.full(3, max(floor, float(high - low) / 8))
    weights = np.full(3, 1 / 3)
    for _ in range(N_ITERATIONS):
        density = weights / sds * np.exp(-0.5 * ((centres[:, None] - means) / sds) ** 2)
        share = density / np.maximum(density.sum(axis=1, keepdims=True), 1e-300)
        mass = np.maximum((counts[:, None] * share).sum(axis=0), 1e-9)
        means = (counts[:, None] * share * centres[:, None]).sum(axis=0) / mass
        spread = (counts[:, None] * share * (centres[:, None] - means) ** 2).sum(axis=0) / mass
        sds = np.maximum(np.sqrt(spread), floor)
        weights = mass / mass.sum()
    order = np.argsort(means)
    return Mixture(means=means[order], sds=sds[order], weights=weights[order])
