"""Fitted harmonizers on disk: one folder, one weights file for all source sites."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import torch

from bids_harmonize.errors import UnusableDataError, UsageError
from bids_harmonize.harmonizers import HARMONIZERS, make_harmonizer
from bids_harmonize.harmonizers.base import PAIRWISE, Frame, Harmonizer
from bids_harmonize.harmonizers.card_localhistogram import CARDS, CardLocalHistogram
from bids_harmonize.training.checkpoint import load_weights, save_weights

KIND = "harmonizer"
_KEYS = (
    *("name", "high", "settings", "learnt"),
    *("reference_site", "source_sites", "voxel_size_mm", "scaling_mask"),
)
_CPU: Final = torch.device("cpu")


@runtime_checkable
class _OnDevice(Protocol):
    """A harmonizer with networks, which ``restore`` puts where ``device`` says."""

    device: torch.device


def save_harmonizer(
    harmonizer: Harmonizer, folder: Path, *, provenance: Mapping[str, Any]
) -> None:
    """Write a fitted harmonizer.

    Parameters
    ----------
    harmonizer
        A fitted one.
    folder
        Gets ``model.safetensors`` and ``model.json``; made where absent.
    provenance
        More to keep in ``model.json``: seed, run, hashes of the training data.

    Raises
    ------
    OutputError, StorageError
        If a file cannot be written.
    """
    tensors, learnt = harmonizer.capture()
    model = {
        **provenance,
        "kind": KIND,
        "name": harmonizer.name,
        **asdict(harmonizer.frame),
        "settings": dict(harmonizer.settings),
        "high_ref": harmonizer.high[harmonizer.frame.reference_site],
        "high": dict(harmonizer.high),
        "learnt": learnt,
    }
    save_weights(folder, tensors, model)


def load_harmonizer(folder: Path, *, device: torch.device = _CPU) -> Harmonizer:
    """The harmonizer in a folder, ready to transform; equal bits to the one that was saved.

    Parameters
    ----------
    folder
        What :func:`save_harmonizer` wrote.
    device
        Where its networks shall live, if it has any.

    Returns
    -------
    Harmonizer
        On that device.

    Raises
    ------
    UnusableDataError
        If the folder does not hold a whole model that this version can read.
    """
    tensors, model = load_weights(folder)
    missing = [key for key in _KEYS if key not in model]
    if missing or model["name"] not in HARMONIZERS:
        message = (
            f"{folder}: not a harmonizer this version knows (found {model.get('name')!r}, missing "
            f"{', '.join(missing) or 'nothing'}); available: {', '.join(HARMONIZERS)}"
        )
        raise UnusableDataError(message)
    try:
        harmonizer = _unfitted(model)
        harmonizer.high = model["high"]
        if isinstance(harmonizer, _OnDevice):
            harmonizer.device = device
        harmonizer.restore(tensors, model["learnt"])
    except (UsageError, KeyError, IndexError, RuntimeError) as error:
        # What PyTorch and the settings say of a model of another version.
        message = (
            f"{folder}: written by version {model.get('code_version')}, and this version cannot "
            f"use its settings or weights ({error}); use that version, or train again"
        )
        raise UnusableDataError(message) from error
    return harmonizer


def _unfitted(model: Mapping[str, Any]) -> Harmonizer:
    if CARDS in model["learnt"]:  # trained without images of the reference
        frame = Frame(
            reference_site=model["reference_site"],
            source_sites=tuple(model["source_sites"]),
            voxel_size_mm=model["voxel_size_mm"],
            scaling_mask=model["scaling_mask"],
        )
        return CardLocalHistogram(frame, model["settings"])
    return make_harmonizer(
        model["name"],
        reference_site=model["reference_site"],
        source_sites=model["source_sites"],
        voxel_size_mm=model["voxel_size_mm"],
        scaling_mask=model["scaling_mask"],
        settings=model["settings"],
        sources=model.get("sources", PAIRWISE),
    )
