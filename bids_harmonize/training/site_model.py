"""A trained site classifier, and what it says about scans."""

from dataclasses import dataclass

import numpy as np
import torch

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.stats.novelty import mahalanobis_scores
from bids_harmonize.training.volumes import VolumeSource

_PREDICTION_BATCH = 4


@dataclass(frozen=True, eq=False)
class FeatureSpread:
    """Where the training scans of each site lie among the features.

    Attributes
    ----------
    means
        Float64, shape (n_sites, F).
    precision
        Inverse of the covariance within sites, float64, shape (F, F).
    """

    means: np.ndarray
    precision: np.ndarray


@dataclass(frozen=True)
class Stopping:
    """When the training ended.

    Attributes
    ----------
    n_epochs
        Length of the learning-rate schedule, epochs.
    kept_epoch
        After which epoch the kept weights stood; ``n_epochs`` without early stop.
    n_monitor
        Scans that steered the early stop and gave no gradient; 0 without early stop.
    """

    n_epochs: int
    kept_epoch: int
    n_monitor: int = 0


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained network and what it may be asked.

    Attributes
    ----------
    network
        In evaluation mode.
    sites
        Site of each logit.
    shape
        Shape (I, J, K) of the volumes.
    voxel_size_mm
        Their voxel size.
    device
        Where the network lives.
    architecture
        Name of the network's trunk.
    temperature
        What the logits are divided by before they become probabilities.
    spread
        For the unseen-site score; ``None`` in models of earlier versions.
    unseen_threshold
        A scan with a higher score comes from a site that was not trained on; ``None`` where it
        was not measured.
    stopping
        When the training ended; ``None`` in models of earlier versions.
    """

    network: SiteClassifier
    sites: tuple[str, ...]
    shape: tuple[int, int, int]
    voxel_size_mm: float
    device: torch.device
    architecture: str = "lean"
    temperature: float = 1.0
    spread: FeatureSpread | None = None
    unseen_threshold: float | None = None
    stopping: Stopping | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier says about scans; the score is that of Lee et al. 2018.

    Attributes
    ----------
    logits
        Float64, shape (n_scans, n_sites), before the temperature.
    probabilities
        Float64, shape (n_scans, n_sites), calibrated, rows sum to 1.
    unseen_scores
        Float64, shape (n_scans,): Mahalanobis distance of the embedding to the nearest site; a
        score above ``classifier.unseen_threshold`` speaks for an unseen site. NaN from models of
        earlier versions, which keep no spread of the features.
    """

    logits: np.ndarray
    probabilities: np.ndarray
    unseen_scores: np.ndarray


def ask(classifier: Classifier, source: VolumeSource) -> Answers:
    """All answers about each scan from one pass through the network.

    Parameters
    ----------
    classifier
        The trained network.
    source
        The scans, on the grid that the network was trained on.

    Returns
    -------
    Answers
        In the order of the scans.

    Raises
    ------
    UnusableDataError
        If the scans are on another grid.
    """
    embedded, logits = _pass_through(classifier, source)
    scores = np.full(len(source), np.nan)
    if classifier.spread is not None:
        spread = classifier.spread
        scores = mahalanobis_scores(embedded, spread.means, spread.precision)
    tempered = torch.from_numpy(logits / classifier.temperature)
    return Answers(logits, torch.softmax(tempered, dim=1).numpy(), scores)


def predict(classifier: Classifier, source: VolumeSource) -> np.ndarray:
    """Probability of each site for each scan, calibrated by the classifier's temperature.

    Parameters
    ----------
    classifier
        The trained network.
    source
        The scans, on the grid that the network was trained on.

    Returns
    -------
    np.ndarray
        Float64, shape (n_scans, n_sites), rows sum to 1.

    Raises
    ------
    UnusableDataError
        If the scans are on another grid.
    """
    return ask(classifier, source).probabilities


def embed(classifier: Classifier, source: VolumeSource) -> np.ndarray:
    """The standardised features of each scan, which the linear layer sees.

    Parameters
    ----------
    classifier
        The trained network.
    source
        The scans, on the grid that the network was trained on.

    Returns
    -------
    np.ndarray
        Float64, shape (n_scans, F).

    Raises
    ------
    UnusableDataError
        If the scans are on another grid.
    """
    return _pass_through(classifier, source)[0]


def check_grid(classifier: Classifier, source: VolumeSource) -> None:
    """Refuse volumes on another grid than the classifier's.

    Parameters
    ----------
    classifier
        The trained network.
    source
        The scans to look at.

    Raises
    ------
    UnusableDataError
        If shape or voxel size differ.
    """
    same_size = abs(source.voxel_size_mm - classifier.voxel_size_mm) < 1e-3
    if source.shape != classifier.shape or not same_size:
        message = (
            f"the site classifier was trained on {classifier.shape} voxels of "
            f"{classifier.voxel_size_mm:g} mm, these volumes have {source.shape} of "
            f"{source.voxel_size_mm:g} mm; use the same --network-resolution"
        )
        raise UnusableDataError(message)


def _pass_through(classifier: Classifier, source: VolumeSource) -> tuple[np.ndarray, np.ndarray]:
    """Embedding and logits of each scan, float64."""
    check_grid(classifier, source)
    network = classifier.network
    # Made before: small results kept between the batches' large features would split the heap.
    embedded = np.empty((len(source), network.head.in_features))
    logits = np.empty((len(source), network.head.out_features))
    with torch.inference_mode():
        for start in range(0, len(source), _PREDICTION_BATCH):
            indices = range(start, min(start + _PREDICTION_BATCH, len(source)))
            batch = np.stack([source.volume(index) for index in indices])
            volumes = torch.from_numpy(batch)[:, None].to(classifier.device)  # (B, 1, I, J, K)
            features = network.embed(volumes)  # (B, F)
            asked = slice(indices.start, indices.stop)
            embedded[asked] = features.double().cpu().numpy()
            logits[asked] = network.head(features).double().cpu().numpy()  # (B, n_sites)
    return embedded, logits
