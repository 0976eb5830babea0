"""The few directions in which patients vary more than controls do.

How many count is asked of the controls: again and again one half of them plays the controls, and
the other half and as many patients are both held out. A covariance that was estimated on few
people is too narrow for anybody whom it has not seen, patient or control, and a site's mean and
spread that were estimated on its few controls are wrong for all others: so the sites too are
adjusted by the first half, and neither makes a dimension.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bids_harmonize.stats.whitening import Whitening, fit_whitening

MAX_DIMENSIONS = 5
_PEOPLE_OF_PRIOR = 10
"""A site's own variances count as its number of people, those of everybody as so many."""


@dataclass(frozen=True)
class SiteTerms:
    """What some controls say of the sites of other people.

    Attributes
    ----------
    means
        Shape (n, p), in the unit of the deviations.
    spreads
        Shape (n, p), SD as a multiple of everybody's.
    """

    means: np.ndarray
    spreads: np.ndarray

    def removed_from(self, deviations: np.ndarray) -> np.ndarray:
        """Deviations, (n, p), in which these sites are like everybody."""
        removed: np.ndarray = (deviations - self.means) / self.spreads
        return removed


@dataclass(frozen=True)
class Split:
    """One way to halve the controls, and who is compared by it.

    Attributes
    ----------
    whitening
        Fitted on the first half.
    case_terms
        Means and spreads of the first half at each patient's site.
    cases
        Indices of the patients that are compared, as many as there are held-out controls.
    widest_control
        Variance of the held-out controls along their own widest axis.
    """

    whitening: Whitening
    case_terms: SiteTerms
    cases: np.ndarray
    widest_control: float


def split_controls(
    controls: np.ndarray,
    control_sites: Sequence[str],
    case_sites: Sequence[str],
    *,
    rng: np.random.Generator,
    n_splits: int = 20,
) -> tuple[Split, ...]:
    """Halves of the controls, once for all sets of patients that are held against them.

    Parameters
    ----------
    controls
        Shape (n, p).
    control_sites, case_sites
        One name a person; equal names for all leave the sites where they are.
    rng
        Source of the halves.
    n_splits
        How many.

    Returns
    -------
    tuple of Split
        Patients beyond the number of held-out controls are left out of the comparison at
        random, and the other way round, since the widest of few people is wider.
    """
    splits = []
    n_cases = len(case_sites)
    sites = np.asarray(control_sites, dtype=object)
    for _ in range(n_splits):
        order = rng.permutation(len(controls))
        first, second = np.array_split(order, 2)
        cases = rng.permutation(n_cases)[: len(second)]
        second = second[: len(cases)]
        own, theirs = _site_terms(controls[first], sites[first], control_sites, case_sites)
        adjusted = own.removed_from(controls)
        whitening = fit_whitening(adjusted[first])
        widest = _variances(whitening.apply(adjusted[second]))[0]
        splits.append(Split(whitening, theirs, cases, float(widest)))
    return tuple(splits)


@dataclass(frozen=True)
class Excess:
    """How much wider patients are than held-out controls, axis by axis.

    Attributes
    ----------
    variances
        Shape (d,), patients' variances along their widest axes, median over splits; 1 is that
        of controls in whom the covariance was estimated.
    limit
        What held-out controls reach along their widest axis, at the level asked for. It holds
        for the second axis too: behind one real dimension the next is the widest of chance.
    n_dimensions
        How many axes are beyond the limit, 0 to d.
    """

    variances: np.ndarray
    limit: float
    n_dimensions: int


def find_excess(cases: np.ndarray, splits: Sequence[Split], *, level: float = 0.95) -> Excess:
    """The dimensions in which patients vary more than held-out controls do.

    Parameters
    ----------
    cases
        Shape (n_cases, p), deviations in the unit of the controls'.
    splits
        Of :func:`split_controls`.
    level
        Of the one-sided limit. Halves of the same controls differ less than new samples do: over
        the splits their variance is half of that between samples, as of any half that is drawn
        without putting back. Patients are a sample of their own, and the mean of the splits is
        as uncertain as one half as large again: 2 + 1 times the variance over the splits.

    Returns
    -------
    Excess
    """
    measured = np.stack(
        [
            _variances(split.whitening.apply(split.case_terms.removed_from(cases)[split.cases]))
            for split in splits
        ]
    )
    variances = np.median(measured, axis=0)
    widest = np.array([split.widest_control for split in splits])
    limit = float(widest.mean() + NormalDist().inv_cdf(level) * np.sqrt(3.0) * widest.std())
    return Excess(variances, limit, int(np.sum(variances > limit)))


def _site_terms(values: np.ndarray, sites: np.ndarray, *asked: Sequence[str]) -> list[SiteTerms]:
    """Terms of the people asked for; at sites without values those of everybody."""
    everybody, variance = values.mean(axis=0), values.var(axis=0)
    known = {name: values[sites == name] for name in np.unique(sites)}
    means = {name: own.mean(axis=0) for name, own in known.items()}
    spreads = {name: _spread(own, variance) for name, own in known.items()}
    one = np.ones_like(everybody)
    return [
        SiteTerms(
            np.stack([means.get(name, everybody) for name in names]),
            np.stack([spreads.get(name, one) for name in names]),
        )
        for names in asked
    ]


def _spread(own: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """SD of a site's people as a multiple of everybody's, drawn towards 1, (p,)."""
    ratio = np.divide(own.var(axis=0), variance, out=np.ones_like(variance), where=variance > 0)
    drawn: np.ndarray = (len(own) * ratio + _PEOPLE_OF_PRIOR) / (len(own) + _PEOPLE_OF_PRIOR)
    return np.sqrt(drawn)


def _variances(whitened: np.ndarray) -> np.ndarray:
    """Variances along the widest axes, (d,), by the smaller of the two matrices."""
    away = whitened - whitened.mean(axis=0)
    small = away.T @ away if away.shape[1] <= away.shape[0] else away @ away.T
    sizes = np.linalg.eigvalsh(small)[::-1] / (len(away) - 1)
    found: np.ndarray = sizes[: min(MAX_DIMENSIONS, away.shape[1], len(away) - 1)]
    return found
