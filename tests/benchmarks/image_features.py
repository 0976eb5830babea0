"""Intensity and texture of images, and how far they tell two sites apart.

Nine places (the brain and its octants) times ten features, so that a coil's field and a noise
texture both show. Octants, not regions of an atlas: nothing is registered.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from scipy import ndimage, stats

from bids_harmonize.imaging.intensity import p99_scaling

PERCENTILES = (5, 25, 50, 75, 95)
_LEAST_SD = 1e-9


def image_features(volume: np.ndarray, brain: np.ndarray) -> dict[str, float]:
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
    found = {}
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


def median_effect(
    some: Sequence[Mapping[str, float]], others: Sequence[Mapping[str, float]]
) -> float:
    """Median over features of the absolute difference of two groups of images.

    Parameters
    ----------
    some, others
        Features of each image; at least two images a group.

    Returns
    -------
    float
        Cohen's d without its sign: difference of the means over the pooled standard deviation.
        0: alike; people as alike as two scanners' images of them can be give less than 1.

    Examples
    --------
    >>> median_effect([{"x": 0.0}, {"x": 2.0}], [{"x": 2.0}, {"x": 4.0}])  # doctest: +ELLIPSIS
    1.414...
    """
    effects = []
    for name in some[0]:
        one, two = (np.array([row[name] for row in group]) for group in (some, others))
        n_one, n_two = one.size - 1, two.size - 1
        pooled = (n_one * one.var(ddof=1) + n_two * two.var(ddof=1)) / (n_one + n_two)
        effects.append(abs(one.mean() - two.mean()) / max(np.sqrt(pooled), _LEAST_SD))
    return float(np.median(effects))


def _places(brain: np.ndarray) -> dict[str, np.ndarray]:
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
