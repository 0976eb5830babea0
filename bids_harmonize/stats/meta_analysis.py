"""Effects of several sites as one: a random-effects meta-analysis."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats


@dataclass(frozen=True)
class PooledEffect:
    """The mean effect over sites.

    Attributes
    ----------
    value, low, high
        Mean and 95 % interval (Hartung, Knapp, Sidik, Jonkman), in the unit of the effects; the
        interval is NaN for a single site.
    p
        Two-sided p of a mean of 0; NaN for a single site.
    tau2
        Variance of the true effects between sites.
    i2
        Share of the spread between sites that is no sampling error, 0 to 1; NaN for a single
        site.
    n_sites
        Number of effects.
    """

    value: float
    low: float
    high: float
    p: float
    tau2: float
    i2: float
    n_sites: int


def pool_effects(effects: np.ndarray, variances: np.ndarray) -> PooledEffect:
    """Random-effects mean of one effect a site.

    Parameters
    ----------
    effects
        Shape (n_sites,), finite, one unit.
    variances
        Their sampling variances, above 0, same shape.

    Returns
    -------
    PooledEffect
        Between-site variance by Paule and Mandel, interval by Hartung and Knapp, never narrower
        than that of the common-effect model, as the Cochrane Handbook advises.

    Raises
    ------
    ValueError
        If there is no effect, or a variance is not above 0.

    References
    ----------
    Paule and Mandel 1982, doi:10.6028/jres.087.022; Hartung and Knapp 2001,
    doi:10.1002/sim.791; Higgins and Thompson 2002, doi:10.1002/sim.1186; Wiksten 2016,
    doi:10.1002/sim.6879.
    """
    values = np.asarray(effects, dtype=np.float64)
    noise = np.asarray(variances, dtype=np.float64)
    if not len(values) or values.shape != noise.shape or not (noise > 0).all():
        message = f"{values.shape} effects with variances {noise}; expected one above 0 an effect"
        raise ValueError(message)
    n_sites = len(values)
    if n_sites == 1:
        nan = float("nan")
        return PooledEffect(float(values[0]), nan, nan, nan, 0.0, nan, 1)
    tau2 = _between_sites(values, noise)
    weights = 1 / (noise + tau2)
    mean = float(weights @ values / weights.sum())
    spread = float(weights @ (values - mean) ** 2) / (n_sites - 1)
    se = float(np.sqrt(max(spread, 1.0) / weights.sum()))
    half = float(stats.t.ppf(0.975, n_sites - 1)) * se
    q = _heterogeneity(values, noise, 0.0)
    return PooledEffect(
        value=mean,
        low=mean - half,
        high=mean + half,
        p=float(2 * stats.t.sf(abs(mean) / se, n_sites - 1)),
        tau2=tau2,
        i2=max(0.0, 1 - (n_sites - 1) / q) if q > 0 else 0.0,
        n_sites=n_sites,
    )


def _heterogeneity(values: np.ndarray, noise: np.ndarray, tau2: float) -> float:
    """Cochran's Q with weights for a between-site variance."""
    weights = 1 / (noise + tau2)
    mean = weights @ values / weights.sum()
    return float(weights @ (values - mean) ** 2)


def _between_sites(values: np.ndarray, noise: np.ndarray) -> float:
    """The variance at which Q is what chance alone would give; 0 where it never is more."""
    wanted = len(values) - 1
    if _heterogeneity(values, noise, 0.0) <= wanted:
        return 0.0
    most = float(np.ptp(values)) ** 2 + float(noise.max())
    found = optimize.brentq(lambda tau2: _heterogeneity(values, noise, tau2) - wanted, 0.0, most)
    return float(found)
