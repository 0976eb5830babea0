"""HiResCAM: which cells of a network's inner grid speak for the site.

Choice: gradient times activation, summed over the channels, on the last layer whose grid has cells
of at most 20 mm. Reason: the lean network's last grid at 4 mm is 3 x 3 x 3 cells of 64 mm, on
which no place can be told; its third convolution has 16 mm. At 1 mm the last grid has 16 mm itself
and is taken. HiResCAM and not Grad-CAM or Grad-CAM++, because those average the gradient over the
grid first, which shows places that the decision does not rest on. The price: on any layer but the
last the map is exact to first order only. Rejected: the layer as a setting (names differ between
networks). Revisit when a network without strides is added.
"""

from typing import Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bids_harmonize.training.saliency import ScanQuestion, log_odds

COARSEST_MM: Final = 20.0
_SPATIAL_DIMENSIONS = 5  # (B, C, I, J, K)


def hirescam(question: ScanQuestion, rng: np.random.Generator) -> np.ndarray:
    """How much each cell of the chosen layer speaks for the site, brought to the voxels.

    Parameters
    ----------
    question
        Network, scan and site; the baselines play no part.
    rng
        Not drawn from: the method is deterministic.

    Returns
    -------
    np.ndarray
        Float32, shape (I, J, K), log-odds a voxel, interpolated linearly between cells. Not
        clipped at 0: what speaks against the site stays negative.

    References
    ----------
    Draelos and Carin 2020, arXiv:2011.08891.
    """
    classifier = question.classifier
    volume = torch.from_numpy(np.ascontiguousarray(question.volume, dtype=np.float32))
    inputs = volume[None, None].to(classifier.device)  # (1, 1, I, J, K)
    layer = chosen_layer(classifier.network, inputs, classifier.voxel_size_mm)
    kept: list[torch.Tensor] = []
    # The layer may have been used several times; its last output is the one that counts.
    handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    try:
        logits = classifier.network(inputs.requires_grad_(True))  # (1, n_sites)
    finally:
        handle.remove()
    target = classifier.sites.index(question.site)
    (gradient,) = torch.autograd.grad(log_odds(logits, target).sum(), kept[-1])
    cells = (gradient * kept[-1]).sum(dim=1, keepdim=True).detach()  # (1, 1, i, j, k)
    voxels_per_cell = question.volume.size / cells.numel()
    fine = F.interpolate(
        cells, size=question.volume.shape, mode="trilinear", align_corners=False
    )  # (1, 1, I, J, K)
    result: np.ndarray = fine[0, 0].cpu().numpy() / np.float32(voxels_per_cell)
    return result


def chosen_layer(network: nn.Module, inputs: torch.Tensor, voxel_size_mm: float) -> nn.Module:
    """The last layer whose grid is fine enough to tell a place.

    Parameters
    ----------
    network
        In evaluation mode.
    inputs
        Shape (B, 1, I, J, K).
    voxel_size_mm
        Voxel size of the inputs, mm.

    Returns
    -------
    nn.Module
        The last module, in the order in which they finish, whose output lies on a grid with cells
        of at most 20 mm; where the first grid is coarser already, the last module on that grid.
    """
    found: list[tuple[float, nn.Module]] = []

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == _SPATIAL_DIMENSIONS:
            steps = [n / m for n, m in zip(inputs.shape[2:], output.shape[2:], strict=True)]
            found.append((voxel_size_mm * max(steps), module))

    handles = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.inference_mode():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    limit = max(COARSEST_MM, min(size for size, _ in found))
    return [module for size, module in found if size <= limit][-1]
