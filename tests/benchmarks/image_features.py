"""How far intensity and texture tell two sites apart."""

from collections.abc import Mapping, Sequence

import numpy as np

_LEAST_SD = 1e-9


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
