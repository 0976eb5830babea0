"""Matching of intensity percentiles, with or without taking the bias field out first.

Four rows of the table are this one class: ``nyul`` (few percentiles), ``histogram`` (many),
``n4`` (the field alone) and ``n4_histogram``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.harmonizers.base import FitReport, Frame, TrainingData, keep_outside
from bids_harmonize.imaging.biasfield import correct_bias
from bids_harmonize.imaging.intensity import p99_scaling
from bids_harmonize.imaging.types import Array, Mask, Volume
from bids_harmonize.training.runtime import Runtime

# Two levels, so that the finest knots are half of ``knots_mm`` apart. A third level (25 mm here)
# follows the tissue: on phantoms the error of the field grew from 2 to 12 percent.
N4_ITERATIONS: Final = (50, 50)


class Matching:
    """Moves a volume's percentiles to their mean at the other site.

    Parameters
    ----------
    name
        The method's row.
    frame
        Sites and units.
    settings
        All settings of the row; with ``shrink_mm`` among them the bias field is taken out first.
    percentiles
        Which percentiles, in the mask of the unit; none means that the field alone is taken out.
    """

    def __init__(
        self, name: str, frame: Frame, settings: Mapping[str, Any], percentiles: Array
    ) -> None:
        self.name = name
        self.frame = frame
        self.settings = settings
        self.percentiles = percentiles
        self.high: Mapping[str, float] = {}
        self.curves: dict[str, Array] = {}

    def fit(
        self, data: TrainingData, *, runtime: Runtime, seed: int, work_dir: Path, resume: bool
    ) -> FitReport:
        """Learn the mean percentiles and the unit of every site, from images as they are.

        Those of a virtual reference are the median of the sites'.
        """
        del runtime, seed, work_dir, resume
        self.high = {site: data.median_high(site) for site in self.frame.sites}
        if self.percentiles.size:
            real = self.frame.source_sites if self.frame.is_virtual else self.frame.sites
            self.curves = {site: self._mean_curve(data, site) for site in real}
        if self.curves and self.frame.is_virtual:
            middle = np.median(list(self.curves.values()), axis=0)
            self.curves[self.frame.reference_site] = middle
        return FitReport()

    def transform(
        self,
        volume: Volume,
        *,
        site: str,
        to_site: str | None = None,
        head_mask: Mask,
        brain_mask: Mask,
    ) -> Volume:
        """Volume of one site with the other's percentiles; see the protocol."""
        direction = self.frame.direction(site, to_site)
        if direction is None:
            return volume
        mask = self.frame.unit_mask(head_mask, brain_mask)
        changed = volume
        if "shrink_mm" in self.settings:
            size = self.frame.voxel_size_mm
            changed, _ = correct_bias(
                volume,
                mask,
                np.diag([size, size, size, 1.0]),
                shrink_mm=self.settings["shrink_mm"],
                n_iterations=N4_ITERATIONS,
                spline_distance_mm=self.settings["knots_mm"],
            )
            changed = p99_scaling(changed, mask).apply(changed)
        if self.percentiles.size:
            own = np.percentile(changed[mask], self.percentiles)
            changed = match_curve(changed, own, self.curves[direction[1]])
        return keep_outside(changed, volume, head_mask)

    def method(self, site: str) -> str:
        """Always its own name."""
        del site
        return self.name

    def capture(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The mean percentiles of every site."""
        return {site: torch.from_numpy(curve) for site, curve in self.curves.items()}, {}

    def restore(self, tensors: Mapping[str, Tensor], learnt: Mapping[str, Any]) -> None:
        """Put the percentiles back."""
        del learnt
        self.curves = {site: tensor.numpy() for site, tensor in tensors.items()}

    def _mean_curve(self, data: TrainingData, site: str) -> Array:
        curves = []
        for index in data.of_site(site):
            source = data.native
            mask = self.frame.unit_mask(source.head_mask(index), source.brain_mask(index))
            curves.append(np.percentile(source.volume(index)[mask], self.percentiles))
        return np.mean(curves, axis=0)


def match_curve(volume: Volume, own: Array, target: Array) -> Volume:
    """Intensities moved piecewise linearly so that one set of percentiles becomes another.

    Parameters
    ----------
    volume
        Any shape, at least 0.
    own, target
        Rising intensities of equal length. Below the first and above the last, intensities
        change in proportion.

    Returns
    -------
    np.ndarray
        Float32, same shape.

    Examples
    --------
    >>> match_curve(np.float32([0, 1, 2, 4]), np.array([1.0, 2.0]), np.array([2.0, 3.0])).tolist()
    [0.0, 2.0, 3.0, 6.0]
    """
    rising = np.maximum.accumulate(np.concatenate([[0.0], own]))
    moved = np.interp(volume, rising, np.concatenate([[0.0], target]))
    beyond = volume > rising[-1]
    return np.where(beyond, volume * (target[-1] / rising[-1]), moved).astype(np.float32)
