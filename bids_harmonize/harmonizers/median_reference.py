"""``--reference-site median``: a virtual reference, the median of all trained sites.

Choice: in each cell of the head the quantiles of intensity and of gradient are the median of the
sites' quantiles. Reason: the loss of ``localhistogram`` is the Wasserstein-1 distance of one-
dimensional histograms, and this is the histogram whose summed distance to all sites is least; a
tissue's peak stays one peak, and one odd site out of five moves nothing. Each site weighs the
same, each person within it too. Rejected: the pooled histogram of everybody (two scanners' grey
matter gives two peaks, and the largest site decides), pooled images for an adversary (they hold
what is to be taken out). Revisit when adversaries of a virtual reference are asked for.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.harmonizers.base import TrainingData
from bids_harmonize.harmonizers.card import ReferenceCard
from bids_harmonize.harmonizers.card_making import person_histograms
from bids_harmonize.imaging.types import Array
from bids_harmonize.training.losses import INTENSITY_BINS, local_histogram_distance
from bids_harmonize.training.pair_steps import mean_in_order

_LEAST_SHARE: Final = 0.5  # of the sites that must fill a cell, or it is not looked at


def median_reference(
    data: TrainingData, sites: Sequence[str], *, scaling_mask: str, device: torch.device
) -> ReferenceCard:
    """What a training sees of the virtual reference.

    Parameters
    ----------
    data
        Scans to fit on; ``monitor`` gives nothing to the target.
    sites
        All trained sites; each has at least one scan that trains.
    scaling_mask
        ``brain`` or ``head``: where the unit was taken.
    device
        Where histograms are computed.

    Returns
    -------
    ReferenceCard
        Of the name ``data.reference_site``, without ``sources``: nothing is known of it from
        outside. ``person_distance`` is the mean, over sites, of how far one person lies from the
        others of the own site.
    """
    means, distances = [], []
    for site in sites:
        train, _ = data.split_site(site)
        people = person_histograms(data.network, train, device)
        means.append(mean_in_order(people))
        distances.append(_person_distance(people))
    i, j, k = data.network.shape
    return ReferenceCard(
        reference_site=data.reference_site,
        histograms=median_histograms(torch.stack(means)),
        shape=(i, j, k),
        voxel_size_mm=data.network.voxel_size_mm,
        scaling_mask=scaling_mask,
        high_ref=median_high(data, sites),
        person_distance=float(np.mean(distances)),
        sources=(),
    )


def median_high(data: TrainingData, sites: Sequence[str]) -> float:
    """Native intensity of 1 at the virtual reference: the median of the sites' own.

    Parameters
    ----------
    data
        Scans to fit on.
    sites
        All trained sites.

    Returns
    -------
    float
        Of an even number of sites the geometric mean of the two in the middle, for receiver gains
        are factors.
    """
    return float(np.exp(np.median([np.log(data.median_high(site)) for site in sites])))


def median_histograms(sites: Tensor) -> Tensor:
    """The histograms in the middle of those of several sites, cell by cell.

    Parameters
    ----------
    sites
        Shape (sites, cells, 40), masses in voxels: 24 intensity bins, then 16 gradient bins.

    Returns
    -------
    Tensor
        Shape (cells, 40), float32. Every quantile is the median of the sites' quantiles; a cell's
        mass is the mean of theirs. A cell that fewer than half of the sites fill is empty.
    """
    found = sites.numpy().astype(np.float64)
    result = np.zeros(found.shape[1:])
    for cell in range(found.shape[1]):
        for part in (slice(0, INTENSITY_BINS), slice(INTENSITY_BINS, None)):
            own = found[:, cell, part]
            filled = own.sum(axis=1) > 0
            if filled.mean() >= _LEAST_SHARE:
                mass = own.sum(axis=1).mean()
                result[cell, part] = mass * _median_distribution(own[filled])
    return torch.from_numpy(result.astype(np.float32))


def _median_distribution(masses: Array) -> Array:
    """Shares of bins, shape (bins,), whose quantiles are the median of those of each row."""
    cumulated = np.cumsum(masses / masses.sum(axis=1, keepdims=True), axis=1)  # (sites, bins)
    cumulated[:, -1] = 1
    levels = np.unique(np.concatenate([[0.0], cumulated.ravel()]))  # quantiles change here alone
    middles = (levels[1:] + levels[:-1]) / 2
    bins = [np.searchsorted(row, middles) for row in cumulated]
    place = np.median(bins, axis=0)  # half bins where two sites in the middle disagree
    lower = np.floor(place).astype(int)
    share = place - lower
    widths = np.diff(levels)
    n_bins = masses.shape[1]
    return np.bincount(lower, widths * (1 - share), n_bins) + np.bincount(
        np.minimum(lower + 1, n_bins - 1), widths * share, n_bins
    )


def _person_distance(people: Tensor) -> float:
    """Mean distance of one person to the mean of the others; 0 for a single person."""
    n_people = len(people)
    if n_people < 2:
        return 0.0
    total = people.sum(dim=0)
    found = [
        float(local_histogram_distance(own, (total - own) / (n_people - 1))) for own in people
    ]
    return float(np.mean(found))
