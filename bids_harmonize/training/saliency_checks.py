"""Whether a saliency map tells the truth about its network: deletion, and weights drawn anew.

Choice: a deleted block is replaced by the same place of one scan of another site, and the curve is
averaged over several such scans. Reason: with all blocks replaced the volume *is* a scan of
another site, so the whole curve stays near images that the network knows. Rejected: black (a hole
that no scanner makes: the network answers to the hole, Hooker 2019), the mean of many scans
(blurred, a look that no scanner has either), in-painting (a network more to trust). The x axis
counts head voxels, not blocks: else a random order would spend half of its blocks on the rim.
Revisit when scans are registered to each other.

References: Samek 2017, doi:10.1109/TNNLS.2016.2599820 (deletion); Hooker 2019, arXiv:1806.10758;
Adebayo 2018, arXiv:1810.03292 (weights drawn anew).
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Final

import numpy as np
from scipy import ndimage, stats
from torch import nn

from bids_harmonize.training.runtime import seeded_torch
from bids_harmonize.training.saliency import ScanQuestion, site_log_odds
from bids_harmonize.training.site_model import Classifier

FRACTIONS: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
BLOCK_MM: Final = 24.0


def deletion_curves(
    question: ScanQuestion,
    saliency: np.ndarray,
    *,
    replacements: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of the site while blocks are taken away, in the map's order and at random.

    Parameters
    ----------
    question
        Network, scan and site.
    saliency
        The map whose order is tried, shape (I, J, K).
    replacements
        Scans of other sites; each gives one curve with the map's order and one with a random
        order, and the curves are averaged.
    rng
        Draws the random orders.

    Returns
    -------
    by_map, at_random : np.ndarray
        Float64, shape (8,): log-odds after each share of :data:`FRACTIONS` of the head was
        replaced. Blocks are cubes of 24 mm that hold some of the head, the same ones in both.
    """
    blocks = _blocks(question.head_mask, question.classifier.voxel_size_mm)
    numbers = np.arange(1, blocks.max() + 1)
    volumes = ndimage.sum_labels(question.head_mask, blocks, numbers)
    score = ndimage.sum_labels(saliency * question.head_mask, blocks, numbers) / volumes
    by_score = np.argsort(-score, kind="stable")
    curves: list[list[np.ndarray]] = [[], []]
    for other in replacements:
        for kind, order in enumerate((by_score, rng.permutation(len(numbers)))):
            changed = [
                np.where(gone, other, question.volume) for gone in _removed(blocks, order, volumes)
            ]
            curves[kind].append(site_log_odds(question.classifier, changed, question.site))
    by_map, at_random = (np.mean(found, axis=0) for found in curves)
    return by_map, at_random


def area_between(by_map: np.ndarray, at_random: np.ndarray) -> float:
    """Area between the two curves of :func:`deletion_curves`.

    Parameters
    ----------
    by_map, at_random
        Shape (8,), log-odds.

    Returns
    -------
    float
        Mean over the removed share of random minus map, log-odds; above 0 where the map finds
        what the network decides on faster than chance.

    Examples
    --------
    >>> area_between(np.zeros(8), np.ones(8))
    1.0
    """
    return float(np.trapezoid(at_random - by_map, FRACTIONS))


def redrawn(classifier: Classifier, *, seed: int, name: str) -> Classifier:
    """The same network with all its weights drawn anew, as before any training.

    Parameters
    ----------
    classifier
        A trained network; it is not changed.
    seed, name
        Where the weights come from.

    Returns
    -------
    Classifier
        In evaluation mode.
    """
    network = deepcopy(classifier.network)
    with seeded_torch(seed, "redrawn", name):
        for module in network.modules():
            _redraw(module)
    return replace(classifier, network=network.eval())


def rank_agreement(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> float:
    """Spearman correlation of the absolute values of two maps.

    Parameters
    ----------
    one, other
        Shape (I, J, K).
    mask
        Bool, shape (I, J, K).

    Returns
    -------
    float
        -1..1; about 0 where the maps have nothing in common, NaN where one is constant.

    Examples
    --------
    >>> values = np.arange(8.0).reshape(2, 2, 2)
    >>> round(rank_agreement(values, -values, values >= 0), 6)
    1.0
    """
    found = [np.abs(values[mask]) for values in (one, other)]
    if any(values.size < 2 or np.ptp(values) == 0 for values in found):
        return float("nan")
    return float(stats.spearmanr(*found).statistic)


def _blocks(head_mask: np.ndarray, voxel_size_mm: float) -> np.ndarray:
    """Number (from 1) of the cube that a voxel lies in; 0 where the cube holds no head."""
    edge = max(1, round(BLOCK_MM / voxel_size_mm))
    places = [np.arange(n) // edge for n in head_mask.shape]
    counts = [int(place[-1]) + 1 for place in places]
    index = np.ravel_multi_index(np.ix_(*places), counts)
    wanted = np.unique(index[head_mask])
    numbers = np.zeros(int(np.prod(counts)), dtype=np.intp)
    numbers[wanted] = np.arange(1, len(wanted) + 1)
    return numbers[index]


def _removed(blocks: np.ndarray, order: np.ndarray, volumes: np.ndarray) -> list[np.ndarray]:
    """For each fraction, bool (I, J, K): the blocks that are gone by then."""
    grown = np.concatenate([[0.0], np.cumsum(volumes[order])])
    masks = []
    for fraction in FRACTIONS:
        n_gone = int(np.searchsorted(grown, fraction * grown[-1] - 0.5))  # half a voxel: rounding
        gone = np.zeros(len(volumes) + 1, dtype=bool)
        gone[order[:n_gone] + 1] = True
        masks.append(gone[blocks])
    return masks


def _redraw(module: nn.Module) -> None:
    """Call the module's own first drawing, where it has one."""
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
