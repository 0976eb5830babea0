"""How far the patches of some volumes lie from those of others: the alarm of training.

It steers checkpoint selection without pairs. It is an alarm, not a ranking: two harmonizers
whose distances differ a little may be in either order.
"""

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bids_harmonize.imaging.types import Array, Mask, Volume
from bids_harmonize.training.runtime import seeded_generator

N_PATCHES: Final = 800  # a scan and a scale
N_DIRECTIONS: Final = 48
N_QUANTILES: Final = 128
PATCH_VOXELS: Final = 3
SCALES: Final = (1, 2, 4)  # voxels averaged along each axis before patches are taken

Scan = tuple[Volume, Mask]
Load = Callable[[int], Scan]


class PatchDistance:
    """Sliced-Wasserstein distance of multi-scale patches to those of a fixed set of scans.

    Parameters
    ----------
    targets
        Volume and head mask of every scan of the target.
    seed
        Chooses directions and places; equal seeds give equal distances.

    References
    ----------
    Rabin et al. 2012, doi:10.1007/978-3-642-24785-9_37.
    """

    def __init__(self, targets: Iterable[Scan], *, seed: int) -> None:
        self.seed = seed
        size = (len(SCALES), PATCH_VOXELS**3, N_DIRECTIONS)
        directions = seeded_generator(seed, "patch-directions").normal(size=size)
        self._directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self._target = self._quantiles(targets)

    def measure(self, scans: Iterable[Scan]) -> float:
        """Distance of some scans to the target.

        Parameters
        ----------
        scans
            Volume of shape (I, J, K) and head mask of each scan.

        Returns
        -------
        float
            Units of the 99th percentile; 0 for equal patches, lower is better.
        """
        return float(np.abs(self._quantiles(scans) - self._target).mean())

    def _quantiles(self, scans: Iterable[Scan]) -> Array:
        patches: list[list[Array]] = [[] for _ in SCALES]
        for number, (volume, mask) in enumerate(scans):
            rng = seeded_generator(self.seed, "patch-places", str(number))
            for level, scale in enumerate(SCALES):
                patches[level].append(_draw_patches(volume, mask, scale=scale, rng=rng))
        levels = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
        return np.stack(
            [
                np.quantile(np.concatenate(drawn) @ self._directions[level], levels, axis=0)
                for level, drawn in enumerate(patches)
            ]
        )


def _draw_patches(volume: Volume, mask: Mask, *, scale: int, rng: np.random.Generator) -> Array:
    """Patches around random voxels of the mask, shape (patches, voxels of a patch)."""
    small, inside = _mean_blocks(volume, scale), _mean_blocks(mask, scale) > 0.5
    windows = sliding_window_view(small, (PATCH_VOXELS,) * 3)
    margin = PATCH_VOXELS // 2
    centres = inside[tuple(slice(margin, n - margin) for n in inside.shape)]
    places = np.argwhere(centres)
    if not len(places):
        return np.zeros((1, PATCH_VOXELS**3))
    chosen = places[rng.integers(len(places), size=N_PATCHES)]
    return windows[tuple(chosen.T)].reshape(N_PATCHES, -1).astype(np.float64)


def _mean_blocks(volume: Array, scale: int) -> Array:
    i, j, k = (n // scale for n in volume.shape)
    cut = volume[: i * scale, : j * scale, : k * scale]
    blocks = cut.reshape(i, scale, j, scale, k, scale)
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)
