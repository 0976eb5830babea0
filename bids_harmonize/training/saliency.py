"""Where the site classifier looks: methods by name, the default one, and the share in the brain.

Choice: expected gradients, that is integrated gradients whose baselines are training scans of the
other sites, averaged over many of them and smoothed by a Gaussian. Reason: the map answers "what
makes this scan look like its site rather than like another", and sums to a difference in
log-odds. Rejected: the black volume as baseline (the path leads through darkened heads that no
scanner makes, and what is dark can never be salient), occlusion as the default (hundreds of
forward passes a scan, and blocks of 32 mm). The other methods stand beside it on a sample: a place
that methods of different make agree on is seldom the doing of a method. Revisit when scans are
registered to each other, which would make the differences to a baseline sharper.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pkgutil import resolve_name

import numpy as np
import torch
from scipy import ndimage

from bids_harmonize.errors import UsageError
from bids_harmonize.training.site_model import Classifier

DEFAULT_METHOD = "integrated_gradients"
SALIENCY_METHODS: dict[str, str] = {
    DEFAULT_METHOD: "bids_harmonize.training.saliency:integrated_gradients",
    "hirescam": "bids_harmonize.training.saliency_activation:hirescam",
    "occlusion": "bids_harmonize.training.saliency_occlusion:occlusion",
}
"""Name to the function that makes the map; loaded on use, MONAI's part takes seconds to import."""

_BATCH = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class ScanQuestion:
    """What every saliency method is asked: why this network gives this scan to its site.

    Attributes
    ----------
    classifier
        A network that was not trained on this scan.
    volume
        Float32, shape (I, J, K), rescaled units, 0 outside the head.
    head_mask
        Bool, shape (I, J, K).
    site
        The site that the map speaks for.
    baselines
        Training scans of the other sites, shape (I, J, K) each; every site gives as many.
    """

    classifier: Classifier
    volume: np.ndarray
    head_mask: np.ndarray
    site: str
    baselines: Sequence[np.ndarray]


def saliency_map(question: ScanQuestion, method: str, *, rng: np.random.Generator) -> np.ndarray:
    """The map of one scan by a method's name.

    Parameters
    ----------
    question
        Network, scan, site and baselines.
    method
        A name of :data:`SALIENCY_METHODS`.
    rng
        For methods that draw.

    Returns
    -------
    np.ndarray
        Float32, shape (I, J, K), log-odds a voxel; higher speaks for the site, below 0 against
        it. Exactly 0 outside the head.

    Raises
    ------
    UsageError
        If there is no such method.
    """
    if method not in SALIENCY_METHODS:
        message = f"unknown saliency method {method!r}. Available: {', '.join(SALIENCY_METHODS)}"
        raise UsageError(message)
    saliency = resolve_name(SALIENCY_METHODS[method])(question, rng)
    masked: np.ndarray = np.where(question.head_mask, saliency, np.float32(0))
    return masked


def integrated_gradients(question: ScanQuestion, rng: np.random.Generator) -> np.ndarray:
    """The default method: :func:`site_saliency` of the question, smoothed by one voxel."""
    return site_saliency(
        question.classifier,
        question.volume,
        question.site,
        baselines=question.baselines,
        rng=rng,
    )


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
    saliency: np.ndarray, head_mask: np.ndarray, brain_mask: np.ndarray | None
) -> tuple[float, float]:
    """Share of the positive saliency that lies inside the brain, and its ratio to chance.

    Parameters
    ----------
    saliency
        Shape (I, J, K).
    head_mask, brain_mask
        Bool, shape (I, J, K); ``None`` where the scan has no brain mask, and so no inside.

    Returns
    -------
    tuple of float
        Share of the head's positive saliency inside the brain, 0..1, and that share divided by
        the brain's share of the head's voxels: 1 is what a map that ignores the brain would have,
        higher means that the brain decides. NaN where nothing is positive, or without a mask.
    """
    if brain_mask is None:
        return float("nan"), float("nan")
    positive = np.clip(saliency, 0, None) * head_mask
    total = float(positive.sum(dtype=np.float64))
    inside = brain_mask & head_mask
    if total <= 0 or not inside.any():
        return float("nan"), float("nan")
    share = float(positive[inside].sum(dtype=np.float64)) / total
    return share, share / (float(inside.sum()) / float(head_mask.sum()))


def log_odds(logits: torch.Tensor, target: int) -> torch.Tensor:
    """Log-odds of one site against all others together.

    Parameters
    ----------
    logits
        Shape (B, n_sites).
    target
        Column of the site.

    Returns
    -------
    torch.Tensor
        Shape (B,), natural logarithm; above 0 where the site has over half of the probability.

    Examples
    --------
    >>> log_odds(torch.log(torch.tensor([[0.8, 0.1, 0.1]])), 0).exp().round().item()
    4.0
    """
    others = [index for index in range(logits.shape[1]) if index != target]
    return logits[:, target] - torch.logsumexp(logits[:, others], dim=1)  # (B,)


def site_log_odds(classifier: Classifier, volumes: Sequence[np.ndarray], site: str) -> np.ndarray:
    """Log-odds of a site for each volume; nothing is kept for gradients.

    Parameters
    ----------
    classifier
        The network.
    volumes
        Float32, shape (I, J, K) each.
    site
        One of the classifier's sites.

    Returns
    -------
    np.ndarray
        Float64, shape (n_volumes,); see :func:`log_odds`.
    """
    target = classifier.sites.index(site)
    found: list[np.ndarray] = []
    with torch.inference_mode():
        for start in range(0, len(volumes), _BATCH):
            batch = torch.from_numpy(np.stack(list(volumes[start : start + _BATCH])))
            logits = classifier.network(batch[:, None].to(classifier.device))  # (B, n_sites)
            found.append(log_odds(logits, target).double().cpu().numpy())
    return np.concatenate(found)


def _gradient(classifier: Classifier, volumes: np.ndarray, target: int) -> np.ndarray:
    """Gradient of the target's log-odds, shape (B, I, J, K)."""
    inputs = torch.from_numpy(np.ascontiguousarray(volumes, dtype=np.float32))[:, None]
    inputs = inputs.to(classifier.device).requires_grad_(True)  # (B, 1, I, J, K)
    logits = classifier.network(inputs)  # (B, n_sites)
    (gradient,) = torch.autograd.grad(log_odds(logits, target).sum(), inputs)
    result: np.ndarray = gradient[:, 0].cpu().numpy()
    return result
