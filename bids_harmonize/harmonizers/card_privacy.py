"""What a card could tell about one person: leave-one-out change, membership tests, and noise.

Choice: empirical figures for the very people behind the card, written into it. Reason: a reader
must be able to judge a card without its images. What they do not show: formal differential
privacy. Somebody who has the exact histograms of all people but one can always subtract. Rejected:
a bound from the number of people alone, which no cell with few voxels keeps.

References
----------
Homer et al. 2008, doi:10.1371/journal.pgen.1000167 (membership from published means);
Chernozhukov, Fernandez-Val and Galichon 2009, doi:10.1093/biomet/asp030 (sorting a noisy curve
never takes it farther from a rising truth).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.metrics import roc_auc_score

from bids_harmonize.imaging.types import Array
from bids_harmonize.training.losses import (
    GRADIENT_BINS,
    HIGHEST_GRADIENT,
    HIGHEST_INTENSITY,
    INTENSITY_BINS,
)

N_SPLITS: Final = 20  # random halves of the people in the informed membership test
_LEAST_MASS: Final = 0.1  # of a cell's mass that noise on the mass leaves
_TINY: Final = 1e-6
_PARTS: Final = (slice(None, INTENSITY_BINS), slice(INTENSITY_BINS, None))
_WIDTHS: Final = np.repeat(
    [HIGHEST_INTENSITY / (INTENSITY_BINS - 1), HIGHEST_GRADIENT / (GRADIENT_BINS - 1)],
    [INTENSITY_BINS, GRADIENT_BINS],
)

Publish = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Membership:
    """How well a person's own scan tells whether the person is behind the card.

    Attributes
    ----------
    auc
        From the distance of the person's histograms to the card: .5 tells nothing, 1 everything.
    auc_informed
        The same for somebody who also has scans of other people of the site, and a card of half
        as many people; the harder test.
    person_distance
        Mean distance of a person to the published card of the others.
    """

    auc: float
    auc_informed: float
    person_distance: float


def cumulated(histograms: Array) -> Array:
    """Cumulated shares of each part of local histograms, from 0 to 1.

    Parameters
    ----------
    histograms
        Shape (..., 40), masses.

    Returns
    -------
    np.ndarray
        Same shape, float64; all 0 where there is no mass.
    """
    parts = []
    for part in _PARTS:
        own = np.asarray(histograms, dtype=np.float64)[..., part]
        mass = np.maximum(own.sum(axis=-1, keepdims=True), _TINY)
        parts.append(np.cumsum(own / mass, axis=-1))
    return np.concatenate(parts, axis=-1)


def cell_distances(found: Array, target: Array) -> Array:
    """Distance of cumulated histograms in each cell, units of the 99th percentile.

    Parameters
    ----------
    found, target
        Shape (..., cells, 40), masses.

    Returns
    -------
    np.ndarray
        Shape (..., cells); 0 for equal histograms.
    """
    differences = np.abs(cumulated(found) - cumulated(target))
    distances: Array = (differences * _WIDTHS).sum(axis=-1)
    return distances


def distance(found: Array, target: Array) -> float:
    """Mean of :func:`cell_distances`, cells weighted by the target's voxels in them."""
    mass = target[..., _PARTS[0]].sum(axis=-1)
    weighted = cell_distances(found, target) * mass
    return float(weighted.sum() / max(float(mass.sum()), _TINY))


def others_mean(people: Array, index: int) -> Array:
    """Mean over all people but one, shape (cells, 40)."""
    mean: Array = (people.sum(axis=0) - people[index]) / (len(people) - 1)
    return mean


def leave_one_out(people: Array) -> dict[str, Any]:
    """How much the card changes when one person is left out, against how people differ.

    Parameters
    ----------
    people
        Shape (people, cells, 40), masses in voxels; emptied cells are 0.

    Returns
    -------
    dict
        ``largest`` and ``mean`` over people and cells, and both for each cell (``None`` where it
        is empty), as shares of the mean distance between a person and the others in that cell.
    """
    mean = people.mean(axis=0)
    filled = mean.sum(axis=-1) > 0  # (cells,)
    others = np.stack([others_mean(people, index) for index in range(len(people))])
    changes = cell_distances(others, mean)  # (people, cells)
    spread = cell_distances(people, others).mean(axis=0)  # (cells,)
    shares = changes[:, filled] / np.maximum(spread[filled], _TINY)
    largest, typical = shares.max(axis=0), shares.mean(axis=0)
    return {
        "largest": _rounded(largest.max()),
        "mean": _rounded(typical.mean()),
        "largest_by_cell": _by_cell(largest, filled),
        "mean_by_cell": _by_cell(typical, filled),
    }


def publisher(people: Array, *, sigma: float, rng: np.random.Generator) -> Publish:
    """A function that adds noise in proportion to what one person changes.

    Parameters
    ----------
    people
        Shape (people, cells, 40), masses.
    sigma
        Standard deviation of the noise, in units of the largest change of a cumulated share (of
        a mass) in the same cell when one person is left out; 0 adds none.
    rng
        Source of the noise: every call draws anew.

    Returns
    -------
    callable
        Takes a mean, shape (cells, 40), and gives one whose cumulated shares rise from 0 to 1.
    """
    if sigma == 0:
        return lambda mean: mean
    mean = people.mean(axis=0)
    others = np.stack([others_mean(people, index) for index in range(len(people))])
    steps = np.abs(cumulated(others) - cumulated(mean)).max(axis=0)  # (cells, 40)
    mass = mean[:, _PARTS[0]].sum(axis=-1)  # (cells,)
    masses = others[..., _PARTS[0]].sum(axis=-1)  # (people, cells)
    mass_steps = np.abs(masses / np.maximum(mass, _TINY) - 1).max(axis=0)

    def publish(mean: Array) -> Array:
        factors = 1 + sigma * mass_steps * rng.normal(size=mass_steps.shape)
        own = mean[:, _PARTS[0]].sum(axis=-1) * np.maximum(factors, _LEAST_MASS)
        curves = cumulated(mean)
        parts = []
        for part in _PARTS:
            step = steps[:, part].max(axis=-1, keepdims=True)  # one scale a cell and part
            noisy = curves[:, part] + sigma * step * rng.normal(size=curves[:, part].shape)
            noisy[:, -1] = 1.0
            rising = np.sort(np.clip(noisy, 0.0, 1.0), axis=-1)
            parts.append(np.diff(rising, axis=-1, prepend=0.0) * own[:, None])
        return np.concatenate(parts, axis=-1)

    return publish


def membership(people: Array, *, sigma: float, rng: np.random.Generator) -> Membership:
    """How well membership can be told from a card of these people.

    Parameters
    ----------
    people
        Shape (people, cells, 40), masses.
    sigma
        Noise of the card, see :func:`publisher`.
    rng
        Source of the noise and of the splits.

    Returns
    -------
    Membership
        By leave-one-out: each person is once behind the card and once not.
    """
    publish = publisher(people, sigma=sigma, rng=rng)
    mean = people.mean(axis=0)
    inside = [distance(own, publish(mean)) for own in people]
    outside = [
        distance(own, publish(others_mean(people, index))) for index, own in enumerate(people)
    ]
    informed = [_informed(people, sigma=sigma, rng=rng) for _ in range(N_SPLITS)]
    return Membership(
        auc=_auc(-np.array(inside), -np.array(outside)),
        auc_informed=float(np.mean(informed)),
        person_distance=float(np.mean(outside)),
    )


def _informed(people: Array, *, sigma: float, rng: np.random.Generator) -> float:
    """A card of one half; the other half is what the curious one has, or holds the asked one."""
    order = rng.permutation(len(people))
    members, strangers = people[order[::2]], people[order[1::2]]
    card = publisher(members, sigma=sigma, rng=rng)(members.mean(axis=0))
    known = strangers.mean(axis=0)
    inside = [distance(own, known) - distance(own, card) for own in members]
    outside = [
        distance(own, others_mean(strangers, index)) - distance(own, card)
        for index, own in enumerate(strangers)
    ]
    return _auc(np.array(inside), np.array(outside))


def describe_membership(found: Membership, *, n_people: int) -> Mapping[str, Any]:
    """The figures with what they mean, for ``model.json``."""
    return {
        "auc": _rounded(found.auc),
        "auc_informed": _rounded(found.auc_informed),
        "n_people": n_people,
        "meaning": (
            "auc: from a person's distance to the card alone, leave-one-out; auc_informed: for "
            "somebody who also holds scans of half of the site's people, on a card of the other "
            "half. 0.5 tells nothing, 1 everything; both need the person's own scan"
        ),
    }


def _auc(inside: Array, outside: Array) -> float:
    labels = np.repeat([1, 0], [len(inside), len(outside)])
    return float(roc_auc_score(labels, np.concatenate([inside, outside])))


def _by_cell(values: Array, filled: Array) -> list[float | None]:
    numbers = iter(values)
    return [_rounded(next(numbers)) if own else None for own in filled]


def _rounded(value: float) -> float:
    return round(float(value), 4)
