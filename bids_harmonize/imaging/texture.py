"""Radiomic features of a T1w image: first-order statistics of intensity, and texture.

Nine places (the brain and its octants) times ten features, so that a coil's field and a noise
texture both show. Octants, not regions of an atlas: nothing is registered. Rejected: pyradiomics
(no longer builds against the numpy we pin), grey-level matrices of our own (a bin width has to be
chosen, and the noise's texture shows in gradient and Laplacian as well). Revisit when pyradiomics
is maintained again.
"""

from itertools import product
from typing import Final

import numpy as np
from scipy import ndimage, stats

from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.imaging.types import Mask, Volume

PERCENTILES: Final = (5, 25, 50, 75, 95)


def image_features(volume: Volume, brain: Mask) -> dict[str, float]:
    """Features of one image.

    Parameters
    ----------
    volume
        Shape (I, J, K), any intensity unit; the 99th percentile in the brain becomes 1.
    brain
        Bool, same shape.

    Returns
    -------
    dict
        ``<place>_<feature>``: percentiles, mean, standard deviation and skewness of intensity;
        mean gradient and mean absolute Laplacian (texture), rescaled units per voxel.
    """
    scaled = p99_scaling(volume, brain).apply(volume)
    gradient = ndimage.generic_gradient_magnitude(scaled, ndimage.sobel) / 32
    fine = np.abs(ndimage.laplace(scaled))
    inner = ndimage.binary_erosion(brain)
    found: dict[str, float] = {}
    for place, where in _places(brain).items():
        values = scaled[brain & where]
        texture = inner & where
        percentiles = np.percentile(values, PERCENTILES)
        own = {f"p{n}": value for n, value in zip(PERCENTILES, percentiles, strict=True)}
        own |= {
            "mean": values.mean(),
            "sd": values.std(),
            "skewness": stats.skew(values, axis=None),
            "gradient": gradient[texture].mean(),
            "laplacian": fine[texture].mean(),
        }
        found |= {f"{place}_{name}": float(value) for name, value in own.items()}
    return found


def _places(brain: Mask) -> dict[str, Mask]:
    """The whole grid, and the octants about the brain's centre."""
    centre = np.argwhere(brain).mean(axis=0)
    sides = [
        np.expand_dims(np.arange(n) >= c, [a for a in range(3) if a != axis])
        for axis, (n, c) in enumerate(zip(brain.shape, centre, strict=True))
    ]
    places = {"brain": np.ones(brain.shape, dtype=bool)}
    for number, which in enumerate(product((False, True), repeat=3)):
        i, j, k = (side == wanted for side, wanted in zip(sides, which, strict=True))
        places[f"octant{number}"] = i & j & k
    return places
