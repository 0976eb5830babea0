"""Where local histograms are drawn to, once differences between people are told from the site's.

Choice: what differs between two sites is split in two. One tone curve for the whole head (matching
of global histograms) is taken at face value. What the cells differ by beyond it is believed as far
as it is larger than people's own differences would make it by chance: an empirical-Bayes share,
between 0 and 1, one for intensities and one for gradients. And the target of a scan is made from
this scan's own matched histogram and the site's mean by that share, so that a person's anatomy
stands on both sides of the comparison. Reason: with a dozen people a site, mean local histograms
differ by who was scanned; where sites differ by a tone curve alone, drawing to the plain mean cost
3 to 4 dB (real heads, 12 a site: 28.8 and 29.6 dB against 31.7 and 31.9 of ``nyul``). Where coils
differ the share is .96 and nothing changes. The tone curve's target alone, without a scan's own
histogram in it, closed a sixth to a half of that gap. Not tried: shares that differ between cells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.imaging.types import Array
from bids_harmonize.training.losses import (
    INTENSITY_BINS,
    LocalHistograms,
    cell_weights,
    cumulated,
)
from bids_harmonize.training.pair_data import PairData
from bids_harmonize.training.pair_steps import mean_in_order, scan_histograms

PERCENTILES: Final = np.linspace(0, 100, 201)
_PARTS: Final = (slice(0, INTENSITY_BINS), slice(INTENSITY_BINS, None))
_LEAST_VOXELS: Final = 1.0  # of a matched cell that says anything


class SiteShares(NamedTuple):
    """How much of what differs beyond the tone curve is taken for the site's, 0 to 1."""

    intensity: float
    gradient: float


_ALL: Final = SiteShares(1.0, 1.0)


@dataclass(frozen=True, eq=False)
class ToneCurve:
    """Matching of global histograms: percentiles of one site to those of another.

    Attributes
    ----------
    origin, target
        Shape (percentiles,), units of the 99th percentile; neither falls.
    """

    origin: Tensor
    target: Tensor

    def apply(self, volume: Tensor, mask: Tensor) -> Tensor:
        """The volume after the curve, 0 outside the mask; beyond the ends the value is held."""
        last = len(self.origin) - 1
        upper = torch.bucketize(volume, self.origin).clamp(1, last)
        low, high = self.origin[upper - 1], self.origin[upper]
        share = ((volume - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
        matched = torch.lerp(self.target[upper - 1], self.target[upper], share)
        return matched * mask


@dataclass(frozen=True, eq=False)
class Target:
    """Local histograms that a direction is drawn to.

    Attributes
    ----------
    mean
        Shape (cells, 40), the mean of the site's people, in voxels.
    curve
        From the other site; ``None`` where the target is the plain mean.
    shares
        How much of what differs beyond the curve is the site's.
    """

    mean: Tensor
    curve: ToneCurve | None = None
    shares: SiteShares = _ALL

    @property
    def weights(self) -> Tensor:
        """How much each cell counts, shape (cells,)."""
        return cell_weights(self.mean)

    def of_scan(self, matched: Tensor) -> Tensor:
        """The target of one scan.

        Parameters
        ----------
        matched
            Shape (cells, 40), local histograms of the scan after the curve.

        Returns
        -------
        Tensor
            Same shape, the masses of ``mean``. A cell that the scan does not reach has the mean.
        """
        target = torch.empty_like(self.mean)
        for part, share in zip(_PARTS, self.shares, strict=True):
            own, mean = matched[:, part], self.mean[:, part]
            mass = own.sum(dim=1, keepdim=True)
            scaled = own / mass.clamp(min=1e-6) * mean.sum(dim=1, keepdim=True)
            target[:, part] = torch.where(
                mass > _LEAST_VOXELS, torch.lerp(scaled, mean, share), mean
            )
        return target


def make_target(
    data: PairData,
    places: tuple[Sequence[int], Sequence[int]],
    histograms: LocalHistograms,
    *,
    device: torch.device,
    splits: bool,
) -> tuple[Target, Tensor]:
    """The target of a direction, and its running means before the first scan.

    Parameters
    ----------
    data
        Where the scans are.
    places
        Positions of the scans that train, of the site that images come from and of that they go
        to. With one person of either there is no telling people from sites: the shares are 1.
    histograms
        What measures them.
    device
        Where.
    splits
        Whether people's differences are told from the sites'; else the target is the plain mean.

    Returns
    -------
    tuple
        The target; and the mean of the scans of the first site beside the mean of their targets,
        shape (2, cells, 40).
    """
    origin, target = places
    untouched, found = (
        scan_histograms(data, indices, histograms, device=device) for indices in places
    )
    before, mean = mean_in_order(untouched), mean_in_order(found)
    if not splits:
        return Target(mean), torch.stack([before, mean])
    curve = _tone_curve(data, origin, target, device)
    matched = scan_histograms(data, origin, histograms, device=device, change=curve.apply)
    shares = _shares(_of_people(matched, data, origin), _of_people(found, data, target))
    made = Target(mean, curve, shares)
    wanted = torch.stack([made.of_scan(own) for own in matched]).mean(dim=0)
    return made, torch.stack([before, wanted])


def told_shares(targets: Mapping[str, Target]) -> dict[str, SiteShares]:
    """The shares of those targets that are no plain means, by the targets' names."""
    return {name: target.shares for name, target in targets.items() if target.curve is not None}


def _of_people(scans: Tensor, data: PairData, indices: Sequence[int]) -> Tensor:
    """Means over each person's scans, which are no independent witnesses; (people, cells, 40)."""
    names = [data.volumes.scans[index].participant_id for index in indices]
    people = dict.fromkeys(names)
    return torch.stack([scans[[name == own for own in names]].mean(dim=0) for name in people])


def _tone_curve(
    data: PairData, origin: Iterable[int], target: Iterable[int], device: torch.device
) -> ToneCurve:
    first, second = (
        torch.from_numpy(_percentiles(data, indices).astype(np.float32)).to(device)
        for indices in (origin, target)
    )
    return ToneCurve(first, second)


def _percentiles(data: PairData, indices: Iterable[int]) -> Array:
    """Percentiles in the head, mean over scans."""
    scans = (data.load(index) for index in indices)
    return np.mean([np.percentile(volume[mask], PERCENTILES) for volume, mask in scans], axis=0)


def _shares(matched: Tensor, found: Tensor) -> SiteShares:
    """Share of the squared difference of two sites' means that people do not explain.

    Parameters
    ----------
    matched, found
        Shape (people, cells, 40) of both sites.

    Returns
    -------
    SiteShares
        1 - (squared standard error) / (squared difference), summed
        over bins and cells, at least 0; the positive-part shrinkage of James and Stein 1961.
    """
    if min(len(matched), len(found)) < 2:
        return _ALL
    weights = cell_weights(found.mean(dim=0))[:, None]
    shares = []
    for part in _PARTS:
        sites = [cumulated(people[:, :, part]) for people in (matched, found)]
        errors = sum(site.var(dim=0) / len(site) for site in sites)
        apart = (sites[0].mean(dim=0) - sites[1].mean(dim=0)) ** 2
        chance, all_of_it = ((weights * values).sum() for values in (errors, apart))
        shares.append(float((1 - chance / all_of_it.clamp(min=1e-12)).clamp(0, 1)))
    return SiteShares(*shares)
