"""How far each person lies from what is expected of a healthy one of that age.

Choice: one regression per feature on a restricted cubic spline of age, with one residual spread.
Reason: it needs few controls, is linear beyond the outer knots, and its predictive distribution is
exact. Rejected: B-splines continued linearly, whose slope at the ends rests on a handful of
people; Gaussian processes and distributional regression, which ask for many more controls.
Revisit when spread that grows with age, or skewed features, matter.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from bids_harmonize.stats._tables import Floats, finite_table, require_independent
from bids_harmonize.stats.proportions import wilson_interval

MIN_FREEDOM: Final = 10
"""Training controls that a fold needs beyond the columns of its design."""

_OUTER: Final = 0.05  # the outer knots leave this share of the controls beyond them (Harrell)
_NO_SPREAD: Final = 1e-12  # of the largest value: smaller spreads are rounding


class ShareBeyond(NamedTuple):
    """Share of people beyond a limit, for each feature.

    Attributes
    ----------
    share
        Shape (p,), 0 to 1; NaN without people.
    low, high
        Shape (p,): Wilson's 95 % interval; NaN without people.
    """

    share: Floats
    low: Floats
    high: Floats


def cross_fitted_deviations(
    features: Floats,
    *,
    age: Floats | None,
    design: Floats,
    folds: NDArray[np.int64],
    is_control: NDArray[np.bool_],
    n_knots: int = 4,
) -> Floats:
    """Deviations from the expected value, each by a model that has not seen the person.

    A person of fold f, patient or control, is judged by the controls of the other folds. Each
    deviation is divided by the spread of a prediction (residual spread and uncertainty of the
    coefficients) and taken from Student's t to the normal distribution at equal tail, so that 5 %
    of new controls lie beyond 1.96 whatever their number.

    Parameters
    ----------
    features
        Finite, shape (n, p), one row a person.
    age
        Finite, shape (n,), years or any other unit; ``None`` where it is not known.
    design
        Finite, shape (n, c): further covariates that act linearly, without intercept; c may be 0.
    folds
        Int, shape (n,), dealt by the caller to controls and patients alike; all rows of one
        person belong to one fold.
    is_control
        Bool, shape (n,).
    n_knots
        Knots of the spline, 3 or more, at equally spaced quantiles (5 % to 95 %) of the training
        controls' age; linear outside them. Knots that coincide count once.

    Returns
    -------
    np.ndarray
        Shape (n, p), in standard deviations of a normal distribution, always finite; above 0
        where the value is higher than expected.

    Raises
    ------
    ValueError
        If lengths differ, a value is not finite, there are fewer than 3 knots, or a fold's
        training controls are too few for the design, all of one age, unable to tell the
        covariates apart, or without spread in a feature.

    References
    ----------
    Marquand et al. 2016, doi:10.1016/j.biopsych.2015.12.023; splines of Durrleman and Simon 1989,
    doi:10.1002/sim.4780080504

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> age, folds = rng.uniform(20, 60, 400), np.arange(400) % 5
    >>> thickness = 3.0 - 0.01 * age[:, None] + rng.normal(scale=0.1, size=(400, 1))
    >>> design, controls = np.empty((400, 0)), np.ones(400, dtype=bool)
    >>> z = cross_fitted_deviations(
    ...     thickness, age=age, design=design, folds=folds, is_control=controls
    ... )
    >>> round(float(z.std()), 1)
    1.0
    """
    values, covariates = finite_table(features, "features"), finite_table(design, "covariates")
    told = np.empty((len(values), 0)) if age is None else np.reshape(age, (-1, 1))
    years = finite_table(told.astype(np.float64), "ages")
    lengths = [len(column) for column in (values, covariates, years, folds, is_control)]
    if len(set(lengths)) > 1 or n_knots < 3:
        message = (
            "need features, covariates, age, fold and group of each person and 3 knots or more, "
            f"found {', '.join(map(str, lengths))} of them and {n_knots} knots"
        )
        raise ValueError(message)
    dealt, controls = np.asarray(folds), np.asarray(is_control, dtype=bool)
    deviations = np.empty_like(values)
    for fold in np.unique(dealt):
        asked = dealt == fold
        trains = controls & ~asked
        who = f"the {trains.sum()} controls outside fold {fold}"
        if trains.sum() < 2:
            message = f"{who} are too few: deal more folds, or add controls"
            raise ValueError(message)
        splines = [_spline(year, _knots(year[trains], n_knots, who)) for year in years.T]
        columns = np.column_stack([np.ones(len(values)), *splines, covariates])
        _require_enough(columns[trains], who)
        deviations[asked] = _judge(values, columns, trains, asked, who)
    return deviations


def share_beyond(deviations: Floats, limit: float = 1.96) -> ShareBeyond:
    """Share of people whose deviation lies beyond a limit on either side, for each feature.

    Parameters
    ----------
    deviations
        Finite, shape (n, p), one row a person, for instance from
        :func:`cross_fitted_deviations`.
    limit
        Above 0, in standard deviations; 1.96 leaves out 5 % of healthy people.

    Returns
    -------
    ShareBeyond
        Share and Wilson's 95 % interval; a share of healthy people well above 0.05 says that the
        model is not calibrated for them.

    Raises
    ------
    ValueError
        If a deviation is not finite, or the limit not above 0.

    Examples
    --------
    >>> share_beyond(np.array([[0.0], [2.5], [-3.0], [1.0]])).share
    array([0.5])
    """
    if not limit > 0:
        message = f"limit must lie above 0, found {limit}"
        raise ValueError(message)
    beyond = np.abs(finite_table(deviations, "deviations")) > limit
    n, counts = len(beyond), beyond.sum(axis=0)
    ends = np.array([wilson_interval(int(k), n) for k in counts]).reshape(-1, 2)
    share = counts / n if n else np.full(counts.shape, np.nan)
    return ShareBeyond(share, ends[:, 0], ends[:, 1])


def _knots(age: Floats, n_knots: int, who: str) -> Floats:
    """Quantiles of age, each once; 2 or more."""
    shares = np.linspace(_OUTER, 1 - _OUTER, n_knots)
    # Ages that somebody has: a curve through more knots than ages would be undetermined.
    knots: Floats = np.unique(np.quantile(age, shares, method="inverted_cdf"))
    if len(knots) < 2:
        message = f"{who} are nearly all of age {knots[0]:g}, so that age cannot be adjusted for"
        raise ValueError(message)
    return knots


def _spline(age: Floats, knots: Floats) -> Floats:
    """Restricted cubic spline, shape (n, n_knots - 1): no intercept, linear beyond the ends."""
    first, last = knots[0], knots[-1]
    places, ends = (age - first) / (last - first), (knots - first) / (last - first)
    inner, outer = ends[:-2], ends[-2]

    def cube(at: float | Floats) -> Floats:
        return np.maximum(places[:, None] - at, 0.0) ** 3

    curved = cube(inner) - (cube(outer) * (1 - inner) - cube(1.0) * (outer - inner)) / (1 - outer)
    return np.column_stack([places, curved])


def _require_enough(columns: Floats, who: str) -> None:
    n, n_columns = columns.shape
    if n < n_columns + MIN_FREEDOM:
        message = (
            f"{who} are too few for {n_columns} columns (intercept, age, covariates): need "
            f"{n_columns + MIN_FREEDOM}; deal more folds, leave out covariates, or add controls"
        )
        raise ValueError(message)
    require_independent(columns, f"intercept, age and covariates of {who}")


def _judge(
    values: Floats,
    columns: Floats,
    trains: NDArray[np.bool_],
    asked: NDArray[np.bool_],
    who: str,
) -> Floats:
    """Deviations (n_asked, p) from a regression on those who train."""
    q, r = np.linalg.qr(columns[trains])
    coefficients = np.linalg.solve(r, q.T @ values[trains])
    rest = values[trains] - columns[trains] @ coefficients
    freedom = int(trains.sum()) - columns.shape[1]
    spread = np.sqrt((rest**2).sum(axis=0) / freedom)
    constant = np.flatnonzero(spread <= _NO_SPREAD * np.abs(values[trains]).max(axis=0))
    if constant.size:
        message = (
            f"features {', '.join(map(str, constant))} (columns, from 0) of {who} have no spread "
            "beyond age and covariates, so that nothing deviates; leave them out"
        )
        raise ValueError(message)
    leverage = (np.linalg.solve(r.T, columns[asked].T) ** 2).sum(axis=0)
    away = (values[asked] - columns[asked] @ coefficients) / spread
    return _as_normal(away / np.sqrt(1 + leverage)[:, None], freedom)


def _as_normal(deviations: Floats, freedom: int) -> Floats:
    """The normal deviation with the tail that Student's t leaves beyond these."""
    tail = student_t.sf(np.abs(deviations), freedom)
    # Below the smallest number there is, the tail of the t is 0 and its deviation infinite.
    size = norm.isf(np.maximum(tail, np.finfo(np.float64).tiny))
    normal: Floats = np.sign(deviations) * size
    return normal
