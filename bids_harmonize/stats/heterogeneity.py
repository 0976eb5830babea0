"""Whether patients are of several kinds, of one that varies, or no more diverse than controls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bids_harmonize.stats.clustering import SubtypeModel, fit_subtypes
from bids_harmonize.stats.clusternulls import (
    NOT_DRAWN,
    Null,
    Search,
    full_space_null,
    separation,
    subspace_null,
)
from bids_harmonize.stats.excess import Excess, find_excess, split_controls
from bids_harmonize.stats.stability import measure_stability
from bids_harmonize.stats.verdict import Effort, Solution, Verdict, decide
from bids_harmonize.stats.whitening import Whitening, fit_whitening

FEWEST_PEOPLE = 20


@dataclass(frozen=True)
class Heterogeneity:
    """What was found.

    Attributes
    ----------
    verdict
        ``none``, ``dimensional``, ``uncertain`` or ``discrete``.
    k
        The number of clusters that describes patients best; 1 without any dimension.
    excess
        Variances of patients axis by axis, the limit of controls, and how many are beyond.
    solutions
        By number of clusters, 1 to ``k_max``; in one dimension where none is beyond.
    whitening
        Of the controls; with a solution's model it places people who come later.
    labels
        Shape (n,), cluster of each person 0 to k - 1, largest first; -1 for controls.
    posterior
        Shape (n, k), NaN for controls.
    scores
        Shape (n, q), everybody along the axes, in SD of controls.
    """

    verdict: Verdict
    k: int
    excess: Excess
    solutions: Mapping[int, Solution]
    whitening: Whitening
    labels: np.ndarray
    posterior: np.ndarray
    scores: np.ndarray


def assess_heterogeneity(
    deviations: np.ndarray,
    is_case: np.ndarray,
    sites: Sequence[str],
    *,
    rng: np.random.Generator,
    effort: Effort | None = None,
    test_every_k: bool = False,
) -> Heterogeneity:
    """Whether patients are of several kinds, with what speaks for and against it.

    Parameters
    ----------
    deviations
        Shape (n, p), finite: values of everybody less what a model of the controls expects of
        their age, sex and, where it is taken out, site; in any unit.
    is_case
        Shape (n,), true for patients.
    sites
        One name a person.
    rng
        Source of every draw; with the same seed the order of people does not matter.
    effort
        How much is computed.
    test_every_k
        Whether the nulls are drawn for each number of clusters, not only for the one that
        describes patients best.

    Returns
    -------
    Heterogeneity

    Raises
    ------
    ValueError
        If shapes differ, values are not finite, or there are under 20 patients or controls.

    References
    ----------
    Whitening and the axes: Fukunaga 1990, doi:10.1016/C2009-0-27872-X; nulls: Liu et al. 2008,
    doi:10.1198/016214508000000454; the trap: Dinga et al. 2019, doi:10.1016/j.nicl.2019.101796
    """
    effort = effort or Effort()
    values, cases, names = _checked(deviations, is_case, sites)
    order = np.lexsort((names, cases, *values.T))
    found = _assess(values[order], cases[order], names[order], rng, effort, test_every_k)
    back = np.argsort(order)
    return replace(
        found,
        labels=found.labels[back],
        posterior=found.posterior[back],
        scores=found.scores[back],
    )


def _assess(
    values: np.ndarray,
    is_case: np.ndarray,
    sites: np.ndarray,
    rng: np.random.Generator,
    effort: Effort,
    test_every_k: bool,
) -> Heterogeneity:
    controls, patients = values[~is_case], values[is_case]
    splits = split_controls(
        controls, list(sites[~is_case]), list(sites[is_case]), rng=rng, n_splits=effort.n_splits
    )
    excess = find_excess(patients, splits)
    whitening = fit_whitening(controls)
    whitened = whitening.apply(patients)
    models, bics = _models(whitened, max(1, excess.n_dimensions), effort, rng)
    best = 1 + int(np.argmin(bics)) if excess.n_dimensions else 1
    stabilities = measure_stability(
        whitened,
        list(sites[is_case]),
        models,
        method=effort.method,
        n_resamples=effort.n_resamples,
        rng=rng,
    )
    search = Search(whitening, splits, effort.method)
    solutions = {}
    for model, bic, stability in zip(models, bics, stabilities, strict=True):
        k = model.clusters.k
        asked = k > 1 and (test_every_k or k == best)
        nulls = _nulls(patients, model, search, rng, effort.n_null * asked)
        gap = separation(model.scores(whitened), model.clusters)
        solutions[k] = Solution(model, bic, stability, gap, *nulls)
    verdict = decide(excess.n_dimensions, best, solutions[best], effort)
    model = solutions[best].model
    labels = np.full(len(values), -1)
    posterior = np.full((len(values), best), np.nan)
    labels[is_case], posterior[is_case] = model.assign(whitened), model.posterior(whitened)
    scores = model.scores(whitening.apply(values))
    return Heterogeneity(verdict, best, excess, solutions, whitening, labels, posterior, scores)


def _models(
    whitened: np.ndarray, n_dimensions: int, effort: Effort, rng: np.random.Generator
) -> tuple[tuple[SubtypeModel, ...], list[float]]:
    """A model for each number of clusters, and the criterion of the mixture with so many."""
    ks = range(1, effort.k_max + 1)
    mixtures = fit_subtypes(whitened, ks, n_dimensions, rng=rng)
    bics = [model.clusters.bic(model.scores(whitened)) for model in mixtures]
    if effort.method == "mixture":
        return mixtures, bics
    return fit_subtypes(whitened, ks, n_dimensions, method=effort.method, rng=rng), bics


def _nulls(
    patients: np.ndarray,
    model: SubtypeModel,
    search: Search,
    rng: np.random.Generator,
    n_null: int,
) -> tuple[Null, Null]:
    """Of the whole pipeline, and of the subspace; empty where no draw is asked for."""
    if n_null == 0:
        return NOT_DRAWN, NOT_DRAWN
    k, scores = model.clusters.k, model.scores(search.whitening.apply(patients))
    return (
        full_space_null(patients, k, search, rng=rng, n_null=n_null),
        subspace_null(scores, k, search, rng=rng, n_null=n_null),
    )


def _checked(
    deviations: np.ndarray, is_case: np.ndarray, sites: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = np.asarray(deviations, dtype=np.float64)
    cases = np.asarray(is_case, dtype=bool)
    names = np.asarray(sites, dtype=str)
    if values.ndim != 2 or cases.shape != (len(values),) or names.shape != cases.shape:
        message = (
            f"need deviations (n, p) and one group and site a person, found {values.shape}, "
            f"{cases.shape} and {names.shape}"
        )
        raise ValueError(message)
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        message = f"deviations must be finite, found {n_bad} that are not"
        raise ValueError(message)
    n_cases = int(cases.sum())
    if min(n_cases, len(cases) - n_cases) < FEWEST_PEOPLE:
        message = (
            f"need {FEWEST_PEOPLE} patients and {FEWEST_PEOPLE} controls, found {n_cases} and "
            f"{len(cases) - n_cases}"
        )
        raise ValueError(message)
    return values, cases, names
