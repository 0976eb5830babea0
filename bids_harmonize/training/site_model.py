"""A trained site classifier: predicting with it, saving and loading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.training.checkpoint import load_weights, save_weights
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.volumes import VolumeSource

_PREDICTION_BATCH = 4


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
    """

    network: nn.Module
    sites: tuple[str, ...]
    shape: tuple[int, int, int]
    voxel_size_mm: float
    device: torch.device


def predict(classifier: Classifier, source: VolumeSource) -> np.ndarray:
    """Probability of each site for each scan.

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
    check_grid(classifier, source)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(source), _PREDICTION_BATCH):
            indices = range(start, min(start + _PREDICTION_BATCH, len(source)))
            batch = np.stack([source.volume(index) for index in indices])
            volumes = torch.from_numpy(batch)[:, None].to(classifier.device)  # (B, 1, I, J, K)
            logits = classifier.network(volumes)  # (B, n_sites)
            rows.append(torch.softmax(logits.double(), dim=1).cpu().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, len(classifier.sites)))


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


def save_classifier(folder: Path, classifier: Classifier, model: Mapping[str, Any]) -> None:
    """Write the network as ``model.safetensors`` and ``model.json``.

    Parameters
    ----------
    folder
        The model's folder.
    classifier
        What to save.
    model
        Further facts for ``model.json``.
    """
    facts = {
        "kind": "site_classifier",
        "sites": list(classifier.sites),
        "shape": list(classifier.shape),
        "voxel_size_mm": classifier.voxel_size_mm,
        **model,
    }
    save_weights(folder, classifier.network.state_dict(), facts)


def load_classifier(folder: Path, runtime: Runtime) -> tuple[Classifier, dict[str, Any]]:
    """A saved network, in evaluation mode, and the content of its ``model.json``.

    Parameters
    ----------
    folder
        The model's folder.
    runtime
        Where the network shall live.

    Returns
    -------
    tuple
        The classifier and its description.

    Raises
    ------
    UnusableDataError
        If the folder holds no whole classifier.
    """
    tensors, model = load_weights(folder)
    if model.get("kind") != "site_classifier":
        message = f"{folder}: holds a {model.get('kind')!r}, expected a site_classifier"
        raise UnusableDataError(message)
    network = SiteClassifier(len(model["sites"]))
    network.load_state_dict(tensors)
    i, j, k = model["shape"]
    classifier = Classifier(
        network=network.to(runtime.device).eval(),
        sites=tuple(model["sites"]),
        shape=(i, j, k),
        voxel_size_mm=model["voxel_size_mm"],
        device=runtime.device,
    )
    return classifier, model
