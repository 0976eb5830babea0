"""ComBat: the site's shift and spread taken out of a table of features.

Choice: fitted on some people and applied to others, with a design that the caller makes. Reason:
site parameters that are estimated on controls, inside the fold, neither leak the diagnosis nor
erase it; those of pooled ComBat do one or the other. Rejected: the packages, which pin numpy below
2 and apply a fit to new people at the mean of the old ones' covariates. Revisit when covariates
act on the features along curves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bids_harmonize.stats._tables import Floats, finite_table, require_independent

_MAX_ROUNDS: Final = 1000
_CONVERGED: Final = 1e-10  # of gamma in standard deviations, and of delta as a share
_NO_SPREAD: Final = 1e-12  # of the largest value: smaller spreads are rounding


@dataclass(frozen=True, eq=False)
class Combat:
    """A fitted ComBat.

    Attributes
    ----------
    sites
        The k fitted ones, sorted.
    n_people
        Int, shape (k,): people of each site in the fit.
    grand_mean
        Shape (p,), units of the features: mean of the sites' intercepts, weighted by people, where
        all covariates are 0.
    coefficients
        Shape (c, p), units of the features by unit of the covariate.
    variance
        Shape (p,), squared units of the features, above 0: within sites, after the covariates,
        pooled over sites; the sum of squares is divided by the number of people.
    gamma
        Shape (k, p), in standard deviations (root of ``variance``): each site's shift, shrunken
        towards the mean shift of its features.
    delta
        Shape (k, p), above 0: each site's variance as a share of ``variance``, shrunken likewise;
        1 for a site of one person.
    """

    sites: tuple[str, ...]
    n_people: NDArray[np.int64]
    grand_mean: Floats
    coefficients: Floats
    variance: Floats
    gamma: Floats
    delta: Floats

    def transform(self, features: Floats, sites: Sequence[str], design: Floats) -> Floats:
        """The features without the site's shift and spread.

        Parameters
        ----------
        features
            Finite, shape (n, p), in the order of the fit; n may be 0. Each row counts for itself.
        sites
            Site of each row; all of them were fitted.
        design
            Finite, shape (n, c), covariates in the order and coding of the fit.

        Returns
        -------
        np.ndarray
            Float64, shape (n, p), units of the features. Effects of covariates are kept as they
            are; what the design does not name (noise, and the disorder) is scaled with the site's
            spread.

        Raises
        ------
        ValueError
            If a site was not fitted, shapes do not fit each other or the fit, or a value is not
            finite.
        """
        values, covariates, names = _checked(features, sites, design)
        found, wanted = (values.shape[1], covariates.shape[1]), self.coefficients.shape[::-1]
        if found != wanted:
            message = (
                f"found {found[0]} features and {found[1]} covariates, ComBat was fitted on "
                f"{wanted[0]} and {wanted[1]}; give the same columns"
            )
            raise ValueError(message)
        unseen = sorted(set(names) - set(self.sites))
        if unseen:
            message = (
                f"ComBat was not fitted on {_listed(unseen)}, fitted on: "
                f"{', '.join(self.sites)}; leave their people out, or fit with people of theirs"
            )
            raise ValueError(message)
        places = np.array([self.sites.index(name) for name in names], dtype=np.int64)
        spread = np.sqrt(self.variance)
        expected = self.grand_mean + covariates @ self.coefficients
        standard = (values - expected) / spread - self.gamma[places]
        harmonized: Floats = standard / np.sqrt(self.delta[places]) * spread + expected
        return harmonized


def fit_combat(features: Floats, sites: Sequence[str], design: Floats) -> Combat:
    """ComBat with empirical Bayes and parametric priors, without a reference site.

    A row is a person: the caller passes one row a person, since repeated scans would make a site
    look larger and quieter than it is. A site of one person has no variance of its own: its mean
    is adjusted, with the shrinkage of one observation, and its ``delta`` is 1. A feature that is
    constant at one site takes a variance of 1 into the shrinkage, as in the published program.

    Parameters
    ----------
    features
        Finite, shape (n, p), any units; at least 2 features, since each site's shifts are shrunken
        towards each other across them.
    sites
        Site of each row; at least 2 different ones.
    design
        Finite, shape (n, c): covariates to keep (age, sex...), without intercept and without site;
        c may be 0.

    Returns
    -------
    Combat
        Fitted.

    Raises
    ------
    ValueError
        If shapes do not fit each other, a value is not finite, there are fewer than 2 features or
        sites, a covariate is constant within every site or follows from the others there, or a
        feature does not vary within sites beyond the covariates.

    References
    ----------
    Johnson et al. 2007, doi:10.1093/biostatistics/kxj037; Fortin et al. 2018,
    doi:10.1016/j.neuroimage.2017.11.024

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(60, 40))
    >>> features[:30] += 2.0
    >>> sites, design = ["Kyoto"] * 30 + ["Leeds"] * 30, np.empty((60, 0))
    >>> harmonized = fit_combat(features, sites, design).transform(features, sites, design)
    >>> bool(abs(harmonized[:30].mean() - harmonized[30:].mean()) < 0.02)
    True
    """
    values, covariates, names = _checked(features, sites, design)
    kinds = tuple(sorted(set(names)))
    if len(kinds) < 2 or values.shape[1] < 2:
        message = (
            f"ComBat needs 2 sites and 2 features at least, found {len(kinds)} and "
            f"{values.shape[1]}"
        )
        raise ValueError(message)
    members = [np.flatnonzero(np.array(names, dtype=object) == kind) for kind in kinds]
    n_people = np.array([own.size for own in members], dtype=np.int64)
    coefficients, rest = _regress_within(values, covariates, members)
    intercepts = np.stack(
        [(values[own] - covariates[own] @ coefficients).mean(0) for own in members]
    )
    grand_mean = n_people @ intercepts / n_people.sum()
    variance = np.mean(rest**2, axis=0)
    _require_spread(variance, values)
    shifts = (intercepts - grand_mean) / np.sqrt(variance)
    standard = rest / np.sqrt(variance)
    shrunken = [_shrink(shift, standard[own]) for shift, own in zip(shifts, members, strict=True)]
    gamma, delta = (np.stack(rows) for rows in zip(*shrunken, strict=True))
    return Combat(kinds, n_people, grand_mean, coefficients, variance, gamma, delta)


def _checked(
    features: Floats, sites: Sequence[str], design: Floats
) -> tuple[Floats, Floats, list[str]]:
    """Features and covariates as float64 tables, sites as text."""
    values = finite_table(features, "features")
    covariates = finite_table(design, "covariates")
    names = [str(site) for site in sites]
    if not len(values) == len(covariates) == len(names):
        message = (
            "need one row of features, one site and one row of covariates a person, found "
            f"{len(values)}, {len(names)} and {len(covariates)}"
        )
        raise ValueError(message)
    return values, covariates, names


def _regress_within(
    values: Floats, covariates: Floats, members: Sequence[NDArray[np.int64]]
) -> tuple[Floats, Floats]:
    """Coefficients (c, p) of a regression with an intercept a site, and its residuals (n, p)."""
    own_values, own_covariates = values.copy(), covariates.copy()
    for own in members:
        own_values[own] -= values[own].mean(axis=0)
        own_covariates[own] -= covariates[own].mean(axis=0)
    _require_told_apart(own_covariates, covariates)
    scale = np.linalg.norm(own_covariates, axis=0)
    scaled: Floats = np.linalg.lstsq(own_covariates / scale, own_values, rcond=None)[0]
    coefficients: Floats = scaled / scale[:, None]
    return coefficients, own_values - own_covariates @ coefficients


def _require_told_apart(within: Floats, covariates: Floats) -> None:
    """Raise where site and covariates, or two covariates, cannot be told apart."""
    flat = np.abs(within) <= _NO_SPREAD * np.abs(covariates).max(axis=0, initial=0.0)
    constant = np.flatnonzero(flat.all(axis=0))
    if constant.size:
        message = (
            f"covariates {_listed(constant)} (columns of the design, from 0) are the same for "
            "everybody within each site, so that they cannot be told from the site; leave them "
            "out, or add people who differ within a site"
        )
        raise ValueError(message)
    require_independent(within, "covariates within sites")


def _require_spread(variance: Floats, values: Floats) -> None:
    constant = np.flatnonzero(np.sqrt(variance) <= _NO_SPREAD * np.abs(values).max(axis=0))
    if constant.size:
        message = (
            f"features {_listed(constant)} (columns, from 0) do not vary within sites beyond the "
            "covariates, so that no site effect can be scaled; leave them out"
        )
        raise ValueError(message)


def _shrink(shift: Floats, standard: Floats) -> tuple[Floats, Floats]:
    """A site's shift and variance share (p,) each, drawn towards those of its other features.

    ``standard`` (n, p) are standardised residuals around the site's own mean. Each round takes
    gamma's mean given delta, then delta's mean given gamma; delta only moves one way and is
    bounded, so the rounds end.
    """
    n = len(standard)
    between, centre = float(np.var(shift, ddof=1)), float(shift.mean())

    def mean_shift(delta: Floats) -> Floats:
        return (between * n * shift + delta * centre) / (between * n + delta)

    if n == 1:
        delta = np.ones_like(shift)
        return mean_shift(delta), delta
    squares = (standard**2).sum(axis=0)
    own = squares / (n - 1)
    own[own <= _NO_SPREAD**2] = 1.0
    mean, spread = float(own.mean()), float(np.var(own, ddof=1))
    delta = own
    for _ in range(_MAX_ROUNDS):
        gamma = mean_shift(delta)
        # The inverse gamma's posterior mean, times its prior variance, which may be 0.
        numerator = spread * (0.5 * (squares + n * (shift - gamma) ** 2) + mean) + mean**3
        updated = numerator / (spread * (n / 2 + 1) + mean**2)
        moved = float(np.abs(updated / delta - 1).max())
        delta = updated
        if moved < _CONVERGED:
            break
    return mean_shift(delta), delta


def _listed(names: Sequence[object] | NDArray[np.int64]) -> str:
    return ", ".join(map(str, names))
