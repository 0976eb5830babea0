"""Site classifiers on disk: ``model.safetensors`` and the ``model.json`` that describes it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.networks.site_classifier import SiteClassifier
from bids_harmonize.training.checkpoint import load_weights, save_weights
from bids_harmonize.training.runtime import Runtime
from bids_harmonize.training.site_model import Classifier, FeatureSpread, Stopping

_MEANS, _PRECISION = "unseen.means", "unseen.precision"
_TEMPERATURE_RULE = (
    "most likely temperature on logits of unseen scans, their truth softened by the rule of "
    "succession: of the early stop's scans, else of the cross-validation's other folds, and for "
    "the final network of all folds; 1 where there are none"
)
_UNSEEN_RULE = (
    "Mahalanobis distance of the embedding to the nearest site, shared covariance; a site is "
    "called unseen above the distance that 95 % of the training scans, each asked of a "
    "classifier that had not seen it, do not pass"
)


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
    stopping = classifier.stopping
    facts = {
        "kind": "site_classifier",
        "architecture": classifier.architecture,
        "sites": list(classifier.sites),
        "shape": list(classifier.shape),
        "voxel_size_mm": classifier.voxel_size_mm,
        "temperature": classifier.temperature,
        "temperature_rule": _TEMPERATURE_RULE,
        "unseen_threshold": classifier.unseen_threshold,
        "unseen_rule": _UNSEEN_RULE,
        "stopping": None if stopping is None else asdict(stopping),
        **model,
    }
    tensors = dict(classifier.network.state_dict())
    if classifier.spread is not None:
        tensors[_MEANS] = torch.from_numpy(classifier.spread.means)
        tensors[_PRECISION] = torch.from_numpy(classifier.spread.precision)
    save_weights(folder, tensors, facts)


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
        The classifier and its description. Models of earlier versions have the lean network,
        temperature 1 and no unseen-site score.

    Raises
    ------
    UnusableDataError
        If the folder holds no whole classifier.
    """
    tensors, model = load_weights(folder)
    if model.get("kind") != "site_classifier":
        message = f"{folder}: holds a {model.get('kind')!r}, expected a site_classifier"
        raise UnusableDataError(message)
    spread = None
    if _MEANS in tensors:
        means, precision = (tensors.pop(name).numpy() for name in (_MEANS, _PRECISION))
        spread = FeatureSpread(means=means, precision=precision)
    architecture = model.get("architecture", "lean")
    try:
        network = SiteClassifier(len(model["sites"]), architecture=architecture)
        network.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        message = f"{folder}: cannot be read as network {architecture!r}: {error}"
        raise UnusableDataError(message) from error
    i, j, k = model["shape"]
    stopping = model.get("stopping")
    classifier = Classifier(
        network=network.to(runtime.device).eval(),
        sites=tuple(model["sites"]),
        shape=(i, j, k),
        voxel_size_mm=model["voxel_size_mm"],
        device=runtime.device,
        architecture=architecture,
        temperature=model.get("temperature", 1.0),
        spread=spread,
        unseen_threshold=model.get("unseen_threshold"),
        stopping=None if stopping is None else Stopping(**stopping),
    )
    return classifier, model
