"""Occlusion: how much of the log-odds is lost when a block is replaced by other sites' mean there.

Choice: own batched calls over overlapping blocks of 32 mm. Reason: the replacement must fit the
place, and what is explained are log-odds, because probabilities saturate at 1. MONAI's
``OcclusionSensitivity`` knows replacements by one number or by the block's own mean alone (a
function is not told where the block lies, and is refused in 1.5); it can be asked about the
difference to the mean scan, and then finds the same numbers, which the tests check. But it indexes
tensors by lists, which torch announces to read differently, and it also asks about blocks of pure
background. Rejected: black, or a Gaussian hole (no scanner makes it; the network answers to its
edge). Revisit when MONAI takes a replacement volume.
"""

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.training.saliency import ScanQuestion, site_log_odds

BLOCK_MM: Final = 32.0
STEP_SHARE: Final = 0.75  # of the block's edge, from one block to the next


def occlusion(question: ScanQuestion, rng: np.random.Generator) -> np.ndarray:
    """Loss of log-odds by blocks of 32 mm.

    Parameters
    ----------
    question
        Network, scan, site and baselines, whose mean takes a block's place.
    rng
        Not drawn from: the method is deterministic.

    Returns
    -------
    np.ndarray
        Float32, shape (I, J, K): mean over the blocks that cover a voxel of the log-odds lost,
        divided by the block's voxels, smoothed by a Gaussian of a quarter of a block.

    References
    ----------
    Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53.
    """
    volume, classifier = question.volume, question.classifier
    replacement = np.stack(list(question.baselines)).mean(axis=0, dtype=np.float32)
    edge = max(1, round(BLOCK_MM / classifier.voxel_size_mm))
    corners = [block_corners(n, edge) for n in volume.shape]
    blocks = [
        place
        for corner in product(*corners)
        if question.head_mask[place := tuple(slice(start, start + edge) for start in corner)].any()
    ]
    whole = site_log_odds(classifier, [volume], question.site)
    left = site_log_odds(classifier, _Occluded(volume, replacement, blocks), question.site)
    total = np.zeros(volume.shape, dtype=np.float64)
    n_covers = np.zeros(volume.shape, dtype=np.intp)
    for place, lost in zip(blocks, whole - left, strict=True):
        total[place] += lost / volume[place].size
        n_covers[place] += 1
    lost_per_voxel = total / np.maximum(n_covers, 1)
    # Without smoothing a plateau's first voxel would be the place of the maximum.
    smoothed = ndimage.gaussian_filter(lost_per_voxel, edge / 4, mode="constant")
    return smoothed.astype(np.float32)


def block_corners(n: int, edge: int) -> list[int]:
    """First voxels of the blocks along an axis; the last block ends at the axis' end.

    Parameters
    ----------
    n
        Voxels along the axis.
    edge
        Voxels of a block; an axis that is shorter gets one block.

    Returns
    -------
    list of int
        From 0, three quarters of an edge apart.

    Examples
    --------
    >>> block_corners(20, 8), block_corners(6, 8)
    ([0, 6, 12], [0])
    """
    last = max(0, n - edge)
    step = max(1, round(STEP_SHARE * edge))
    return [*range(0, last, step), last]


class _Occluded(Sequence[np.ndarray]):
    """The volume with one block replaced, made when asked for: at 1 mm all would not fit."""

    def __init__(
        self, volume: np.ndarray, replacement: np.ndarray, blocks: list[tuple[slice, ...]]
    ) -> None:
        self.volume, self.replacement, self.blocks = volume, replacement, blocks

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, wanted):  # type: ignore[no-untyped-def]
        if isinstance(wanted, slice):
            return [self[index] for index in range(*wanted.indices(len(self)))]
        changed = self.volume.copy()
        changed[self.blocks[wanted]] = self.replacement[self.blocks[wanted]]
        return changed
