"""From one scan through a generator: what training's checks and every later use both call."""

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.imaging.types import Array, Mask, Volume
from bids_harmonize.networks.generators import Generator
from bids_harmonize.training.runtime import one_thread
from bids_harmonize.training.volumes import to_network_grid


def generate(
    generator: Generator, volume: Volume, *, head_mask: Mask, voxel_size_mm: float
) -> Volume:
    """Volume after a generator; what changes is predicted from a coarse copy.

    Parameters
    ----------
    generator
        Decides on the coarse copy's voxel size.
    volume
        Float32, shape (I, J, K), units of the 99th percentile, 0 outside the head.
    head_mask
        Bool, same shape.
    voxel_size_mm
        Voxel size of the volume, mm; not coarser than the generator's.

    Returns
    -------
    np.ndarray
        Float32, same shape, at least 0, and 0 outside the head. On a CPU equal input gives equal
        bits, however many threads the run has.
    """
    coarse, coarse_head, _ = to_network_grid(
        volume,
        head_mask,
        head_mask,
        voxel_size_mm=voxel_size_mm,
        resolution_mm=generator.voxel_size_mm,
    )
    device = next(generator.parameters()).device
    with one_thread(), torch.no_grad():
        grid = generator.predict_grid(as_tensor(coarse, device), as_tensor(coarse_head, device))
        changed = generator.apply_grid(
            as_tensor(volume, device),
            as_tensor(head_mask, device),
            grid,
            voxel_size_mm=voxel_size_mm,
        )
    result: Volume = changed[0, 0].cpu().numpy()
    return result


def as_tensor(array: Array, device: torch.device) -> Tensor:
    """Float32 tensor of shape (1, 1, I, J, K); never shares memory with the array."""
    return torch.from_numpy(np.array(array, dtype=np.float32))[None, None].to(device)
