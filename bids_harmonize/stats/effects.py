"""Adjusted differences between cases and controls, and how much of the variance is whose.

A linear model holds the group and the covariates; the effect is the group's coefficient over the
residual standard deviation, so that confounded covariates widen its interval as they should.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy import special, stats

Array: TypeAlias = np.ndarray

_DEPENDENT = 1e-9
"""A column whose part that the others do not tell is smaller than this share adds nothing."""


@dataclass(frozen=True, eq=False)
class GroupEffects:
    """The adjusted difference cases minus controls of every feature.

    Attributes
    ----------
    d
        Hedges' g: the difference in residual standard deviations, corrected for small samples;
        shape (n_features,).
    se
        Its standard error, same unit and shape.
    low, high
        95 % interval, exact for normal residuals (noncentral t), same unit and shape.
    p
        Two-sided p of no difference, shape (n_features,).
    n_cases, n_controls
        People in the model.
    df
        Residual degrees of freedom.
    """

    d: Array
    se: Array
    low: Array
    high: Array
    p: Array
    n_cases: int
    n_controls: int
    df: int


def adjusted_effects(
    features: Array, is_case: Array, covariates: Array, *, removed_sites: Array | None = None
) -> GroupEffects:
    """How far cases differ from controls in each feature, given the covariates.

    Parameters
    ----------
    features
        Shape (n_people, n_features), finite; one row a person, any unit.
    is_case
        Bool, shape (n_people,).
    covariates
        Shape (n_people, n_covariates) without intercept; dummy columns for categories. A column
        that the others tell is passed over.
    removed_sites
        Site of each person where the sites' means among controls were taken out of the features
        beforehand. These means are estimates: where the share of cases differs between sites, all
        cases of a site with few controls are off by one error, which the model cannot see. The
        interval and p are widened by it.

    Returns
    -------
    GroupEffects
        Positive where cases have more.

    Raises
    ------
    ValueError
        If there are not two people of each group, too few people for the covariates, or the
        covariates tell who is a case.

    References
    ----------
    Hedges 1981, doi:10.3102/10769986006002107; intervals: Steiger and Fouladi 1997.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> is_case = np.repeat([True, False], 500)
    >>> values = rng.normal(size=(1000, 1)) + 0.5 * is_case[:, None]
    >>> found = adjusted_effects(values, is_case, np.empty((1000, 0)))
    >>> bool(found.low[0] < 0.5 < found.high[0])
    True
    """
    case = np.asarray(is_case, dtype=bool)
    n_cases, n_controls = int(case.sum()), int((~case).sum())
    if min(n_cases, n_controls) < 2:
        message = f"{n_cases} cases and {n_controls} controls; expected two of each at least"
        raise ValueError(message)
    base = with_intercept(covariates)
    df = len(case) - base.shape[1] - 1
    if df < 1:
        message = f"{len(case)} people are too few for {base.shape[1]} covariates"
        raise ValueError(message)
    own = _residuals(case.astype(np.float64)[:, None], base)[:, 0]
    spread = float(own @ own)
    if spread < _DEPENDENT * len(case):
        message = "the covariates tell who is a case, so no difference can be told from theirs"
        raise ValueError(message)
    left = _residuals(np.asarray(features, dtype=np.float64), base)
    slope = own @ left / spread
    n_told = base.shape[1] + 1
    residual = np.sqrt(((left - own[:, None] * slope) ** 2).sum(axis=0) / (len(case) - n_told))
    weights = own / spread  # of each person in the slope
    if removed_sites is not None:
        weights = weights - _through_sites(weights, removed_sites, ~case, base[:, 1:])
        df = df - len(np.unique(removed_sites)) + 1
    scale = float(np.linalg.norm(weights))  # standard error of the slope in residual deviations
    t = slope / (residual * scale)
    d = small_sample_correction(df) * slope / residual
    return GroupEffects(
        d=d,
        se=np.sqrt(scale**2 + d**2 / (2 * df)),
        low=scale * special.nctdtrinc(df, 0.975, t),
        high=scale * special.nctdtrinc(df, 0.025, t),
        p=2 * stats.t.sf(np.abs(t), df),
        n_cases=n_cases,
        n_controls=n_controls,
        df=df,
    )


def small_sample_correction(df: int) -> float:
    """Factor by which a standardised difference is too large, with ``df`` degrees of freedom.

    Examples
    --------
    >>> round(small_sample_correction(10), 4)
    0.9227
    """
    return float(np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) * (2 / df) ** 0.5)


def false_discovery_rate(p: Array) -> Array:
    """Benjamini and Hochberg's q of each p.

    Parameters
    ----------
    p
        From 0 to 1; NaN stays NaN and does not count.

    Returns
    -------
    ndarray
        Smallest false discovery rate at which each would be called; same shape.

    References
    ----------
    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x
    """
    values = np.asarray(p, dtype=np.float64)
    known = np.isfinite(values)
    q = np.full(values.shape, np.nan)
    if known.any():
        q[known] = stats.false_discovery_control(values[known])
    return q


def explained_share(features: Array, block: Array, covariates: Array) -> tuple[Array, float]:
    """Share of each feature's variance that a block of columns explains beyond the covariates.

    Parameters
    ----------
    features
        Shape (n_people, n_features).
    block
        Shape (n_people, n_columns): dummy columns of the site, or the group.
    covariates
        Shape (n_people, n_covariates) without intercept; what is told by them is not counted.

    Returns
    -------
    tuple
        The shares, 0 to 1, shape (n_features,), NaN where the covariates leave nothing, and the
        share that a block without any effect would reach by chance.
    """
    base = with_intercept(covariates)
    whole = with_intercept(np.column_stack([covariates, block]))
    values = np.asarray(features, dtype=np.float64)
    before = (_residuals(values, base) ** 2).sum(axis=0)
    after = (_residuals(values, whole) ** 2).sum(axis=0)
    chance = (whole.shape[1] - base.shape[1]) / (len(values) - base.shape[1])
    size = np.linalg.norm(values, axis=0)
    nothing = np.sqrt(before) <= _DEPENDENT * size
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.clip(1 - after / before, 0.0, 1.0)
    return np.where(nothing, np.nan, shares), float(chance)


def dummies(labels: Array) -> Array:
    """One column a label but the first in sorted order; shape (n_people, n_labels - 1).

    Examples
    --------
    >>> dummies(np.array(["A", "B", "A"])).tolist()
    [[0.0], [1.0], [0.0]]
    """
    names = np.unique(labels)
    return (np.asarray(labels)[:, None] == names[None, 1:]).astype(np.float64)


def with_intercept(covariates: Array) -> Array:
    """An intercept and the columns that add something to it, each of mean 0 and deviation 1."""
    columns = np.asarray(covariates, dtype=np.float64)
    n_people = len(columns)
    kept = [np.ones(n_people)]
    basis = [kept[0] / np.sqrt(n_people)]
    for column in columns.T:
        centred = column - column.mean()
        size = float(np.linalg.norm(centred))
        if size <= _DEPENDENT * max(1.0, float(np.abs(column).max())) * np.sqrt(n_people):
            continue
        rest = centred / size
        for _ in range(2):  # twice is enough for orthogonality to rounding
            for unit in basis:
                rest = rest - unit * (unit @ rest)
        left = float(np.linalg.norm(rest))
        if left > _DEPENDENT**0.5:
            kept.append(centred / size * np.sqrt(n_people))
            basis.append(rest / left)
    return np.column_stack(kept)


def _residuals(values: Array, design: Array) -> Array:
    """What the columns of the design do not explain; same shape as the values."""
    basis, _ = np.linalg.qr(design)
    return values - basis @ (basis.T @ values)


def _through_sites(weights: Array, sites: Array, fitted: Array, covariates: Array) -> Array:
    """Weight that each person has in the slope by way of the means of the sites, (n_people,).

    The means are those of a regression on site and covariates among the fitted people.
    """
    labels = np.asarray(sites)
    members = (labels[:, None] == np.unique(labels)[None, :]).astype(np.float64)
    design = np.column_stack([members, covariates])[fitted]
    of_sites = np.linalg.pinv(design)[: members.shape[1]]  # (n_sites, n_fitted)
    through = np.zeros(len(weights))
    through[fitted] = (weights @ members) @ of_sites
    return through
