"""Blocks of a volume that are hidden or kept alone; drawing and applying are two functions."""

from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

import numpy as np

from bids_harmonize.imaging.types import Array

Block: TypeAlias = tuple[slice, slice, slice]


def draw_block(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    low: float = 0.25,
    high: float = 0.75,
) -> Block:
    """Random block inside a volume.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    shape
        Shape (I, J, K) of the volume.
    low, high
        The block's length along each axis as a share of the volume's, 0 to 1.

    Returns
    -------
    tuple of slice
        One slice an axis, wholly inside the volume, at least one voxel long.
    """
    slices = []
    for n in shape:
        length = min(n, max(1, round(float(rng.uniform(low, high)) * n)))
        start = int(rng.integers(0, n - length + 1))
        slices.append(slice(start, start + length))
    return slices[0], slices[1], slices[2]


def hide_block(volume: Array, block: Block) -> Array:
    """Copy of a volume with a block set to 0.

    Parameters
    ----------
    volume
        Array whose last three axes are I, J, K.
    block
        What to hide.

    Returns
    -------
    ndarray
        Array of the same shape and type.
    """
    result = volume.copy()
    result[..., block[0], block[1], block[2]] = 0
    return result


def keep_block(volume: Array, block: Block) -> Array:
    """Copy of a volume that is 0 everywhere but in a block.

    Parameters
    ----------
    volume
        Array whose last three axes are I, J, K.
    block
        What to keep.

    Returns
    -------
    ndarray
        Array of the same shape and type.
    """
    result = np.zeros_like(volume)
    inside = (..., block[0], block[1], block[2])
    result[inside] = volume[inside]
    return result


def occlusion_blocks(
    shape: tuple[int, int, int], *, block_voxels: int, stride_voxels: int
) -> Iterator[Block]:
    """Blocks that slide over a volume; together they cover every voxel.

    Parameters
    ----------
    shape
        Shape (I, J, K) of the volume.
    block_voxels
        Edge length of a block, at least 1.
    stride_voxels
        Step between blocks, 1 to ``block_voxels``.

    Yields
    ------
    tuple of slice
        One slice an axis; the last block of an axis ends at the volume's edge.

    Raises
    ------
    ValueError
        If the stride would leave gaps.

    Examples
    --------
    >>> len(list(occlusion_blocks((4, 4, 4), block_voxels=2, stride_voxels=2)))
    8
    """
    if not 1 <= stride_voxels <= block_voxels:
        message = (
            f"found stride_voxels={stride_voxels} with block_voxels={block_voxels}; expected"
            " 1 <= stride_voxels <= block_voxels, or voxels would never be hidden"
        )
        raise ValueError(message)
    starts = [_starts(n, block_voxels=block_voxels, stride_voxels=stride_voxels) for n in shape]
    for i, j, k in product(*starts):
        yield (
            slice(i, min(i + block_voxels, shape[0])),
            slice(j, min(j + block_voxels, shape[1])),
            slice(k, min(k + block_voxels, shape[2])),
        )


def _starts(n: int, *, block_voxels: int, stride_voxels: int) -> list[int]:
    last = max(0, n - block_voxels)
    return [*range(0, last, stride_voxels), last]
