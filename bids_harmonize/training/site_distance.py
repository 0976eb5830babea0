"""How far a scan lies from the sites that a joint model was trained on.

The measure is that of the local-histogram loss: distance of the scan's cumulated histograms of
48 mm cells to a site's mean. It is divided by the site's own spread, so that 1 is an ordinary scan
of that site. An alarm for a scanner unlike all that training saw; no probability.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.imaging.types import Mask, Volume
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import LocalHistograms, local_histogram_distance
from bids_harmonize.training.sources import VolumeSource

_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class SiteDistance:
    """Mean local histograms of the training sites, and how far their own scans lie from them.

    Attributes
    ----------
    means
        Shape (sites, cells, 40), voxels; a few thousand numbers a site.
    spreads
        Shape (sites,): median distance of a site's scans to the mean of its other scans.
    usual
        The largest distance, in spreads, of any training scan to its nearest site, its own
        site's mean taken without it.
    shape, voxel_size_mm
        Of the grid on which volumes are measured; mm.
    """

    means: Tensor
    spreads: Tensor
    usual: float
    shape: tuple[int, ...]
    voxel_size_mm: float

    def measure(self, volume: Volume, head_mask: Mask) -> float:
        """Distance to the nearest site.

        Parameters
        ----------
        volume
            Float32 on this grid, units of the 99th percentile, 0 outside the head.
        head_mask
            Bool, same shape.

        Returns
        -------
        float
            In spreads of that site, at least 0; about 1 for a scan of a training site.
        """
        found = _measure(self._histograms(), volume, head_mask)
        return min(
            float(local_histogram_distance(found, mean)) / float(spread)
            for mean, spread in zip(self.means, self.spreads, strict=True)
        )

    def _histograms(self) -> LocalHistograms:
        return _histograms(self.shape, self.voxel_size_mm)


def fit_site_distance(volumes: VolumeSource, indices: Mapping[str, Iterable[int]]) -> SiteDistance:
    """Means and spreads of training sites.

    Parameters
    ----------
    volumes
        Scans on the network's grid.
    indices
        Site to positions in ``volumes``; two scans a site at least.

    Returns
    -------
    SiteDistance
        Of these sites, in their order.
    """
    histograms = _histograms(volumes.shape, volumes.voxel_size_mm)
    found = {
        site: torch.stack(
            [_measure(histograms, volumes.volume(n), volumes.head_mask(n)) for n in own]
        )
        for site, own in indices.items()
    }  # (scans, cells, 40)
    means = torch.stack([scans.mean(dim=0) for scans in found.values()])
    to_own = {site: _to_others(scans) for site, scans in found.items()}
    spreads = torch.tensor(
        [max(float(np.median(own)), _LEAST_SPREAD) for own in to_own.values()],
        dtype=torch.float64,
    )
    nearest = [
        min(
            (own if other == place else float(local_histogram_distance(scan, means[other])))
            / float(spreads[other])
            for other in range(len(means))
        )
        for place, (site, scans) in enumerate(found.items())
        for scan, own in zip(scans, to_own[site], strict=True)
    ]
    return SiteDistance(means, spreads, max(nearest), tuple(volumes.shape), volumes.voxel_size_mm)


def _to_others(scans: Tensor) -> list[float]:
    """Distance of each scan of a site to the mean of the site's other scans."""
    total, n = scans.sum(dim=0), len(scans)
    return [float(local_histogram_distance(scan, (total - scan) / (n - 1))) for scan in scans]


def _histograms(shape: tuple[int, ...], voxel_size_mm: float) -> LocalHistograms:
    return LocalHistograms(shape, voxel_size_mm=voxel_size_mm, device=torch.device("cpu"))


def _measure(histograms: LocalHistograms, volume: Volume, head_mask: Mask) -> Tensor:
    cpu = torch.device("cpu")
    return histograms.measure(as_tensor(volume, cpu), as_tensor(head_mask, cpu))
