"""Where the site classifier looks: integrated gradients against scans of other sites.

Choice: expected gradients, that is integrated gradients whose baselines are training scans of the
other sites, averaged over many of them and smoothed by a Gaussian. Reason: the map answers "what
makes this scan look like its site rather than like another", and sums to a difference in
log-odds. Rejected: the black volume as baseline (the path leads through darkened heads that no
scanner makes, and what is dark can never be salient), occlusion (about 1,000 forward passes a scan
at 4 mm, ten times the time). Revisit when scans are registered to each other, which would
make the differences to a baseline sharper.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

from bids_harmonize.training.site_model import Classifier

_BATCH = 4


def site_saliency(
    classifier: Classifier,
    volume: np.ndarray,
    site: str,
    *,
    baselines: Sequence[np.ndarray],
    rng: np.random.Generator,
    smooth_voxels: float = 1.0,
) -> np.ndarray:
    """How much each voxel speaks for the site rather than for the others.

    Parameters
    ----------
    classifier
        A network that was not trained on this scan.
    volume
        Float32, shape (I, J, K), rescaled units, 0 outside the head.
    site
        The site that the map speaks for.
    baselines
        Volumes of other sites; one step of the path for each, so give 16 or more.
    rng
        Draws the place of each step on its path.
    smooth_voxels
        Standard deviation of the Gaussian that smooths the map, voxels.

    Returns
    -------
    np.ndarray
        Float32, shape (I, J, K), log-odds a voxel. Before smoothing it sums to the log-odds of
        the scan minus the mean log-odds of the baselines, within the error of the steps.

    References
    ----------
    Sundararajan et al. 2017, https://proceedings.mlr.press/v70/sundararajan17a.html
    Erion et al. 2021, doi:10.1038/s42256-021-00343-w
    """
    target = classifier.sites.index(site)
    n_steps = len(baselines)
    places = (np.arange(n_steps) + rng.random(n_steps)) / n_steps  # one in each of n strata
    places = rng.permutation(places).astype(np.float32)
    total = np.zeros(volume.shape, dtype=np.float64)
    for start in range(0, n_steps, _BATCH):
        chunk = np.stack(list(baselines[start : start + _BATCH]))  # (B, I, J, K)
        place = places[start : start + _BATCH, None, None, None]
        difference = volume[None] - chunk
        gradient = _gradient(classifier, chunk + place * difference, target)
        total += (gradient * difference).sum(axis=0, dtype=np.float64)
    saliency = (total / n_steps).astype(np.float32)
    smoothed: np.ndarray = ndimage.gaussian_filter(saliency, smooth_voxels, mode="constant")
    return smoothed


def brain_share(
    saliency: np.ndarray, head_mask: np.ndarray, brain_mask: np.ndarray
) -> tuple[float, float]:
    """Share of the positive saliency that lies inside the brain, and its ratio to chance.

    Parameters
    ----------
    saliency
        Shape (I, J, K).
    head_mask, brain_mask
        Bool, shape (I, J, K).

    Returns
    -------
    tuple of float
        Share of the head's positive saliency inside the brain, 0..1, and that share divided by
        the brain's share of the head's voxels: 1 is what a map that ignores the brain would have,
        higher means that the brain decides. NaN where nothing is positive.
    """
    positive = np.clip(saliency, 0, None) * head_mask
    total = float(positive.sum(dtype=np.float64))
    inside = brain_mask & head_mask
    if total <= 0 or not inside.any():
        return float("nan"), float("nan")
    share = float(positive[inside].sum(dtype=np.float64)) / total
    return share, share / (float(inside.sum()) / float(head_mask.sum()))


def _gradient(classifier: Classifier, volumes: np.ndarray, target: int) -> np.ndarray:
    """Gradient of the target's log-odds, shape (B, I, J, K)."""
    inputs = torch.from_numpy(np.ascontiguousarray(volumes, dtype=np.float32))[:, None]
    inputs = inputs.to(classifier.device).requires_grad_(True)  # (B, 1, I, J, K)
    logits = classifier.network(inputs)  # (B, n_sites)
    others = [index for index in range(len(classifier.sites)) if index != target]
    log_odds = logits[:, target] - torch.logsumexp(logits[:, others], dim=1)  # (B,)
    (gradient,) = torch.autograd.grad(log_odds.sum(), inputs)
    result: np.ndarray = gradient[:, 0].cpu().numpy()
    return result
