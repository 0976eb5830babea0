"""Checkpoints to go on from, and weights to keep.

A checkpoint lives in the work directory and holds everything that resuming needs, the states of
all generators among it. Weights live in ``models/`` as safetensors, beside a ``model.json`` that
says what they are: no code runs on loading either.
"""

import hashlib
import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from bids_harmonize._version import __version__
from bids_harmonize.bids.files import replacing, write_bytes, write_json
from bids_harmonize.errors import UnusableDataError

FORMAT_VERSION = 1
WEIGHTS_NAME = "model.safetensors"
MODEL_NAME = "model.json"
_TORCH_RNG = "torch_rng"
_CUDA_RNG = "cuda_rng"


def capture_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a live training state comes down to on disk.

    Parameters
    ----------
    state
        Name to module, optimizer, schedule, NumPy or PyTorch generator, tensor or plain value.

    Returns
    -------
    dict
        Tensors and plain values only, PyTorch's own generators added.
    """
    captured = {name: _capture(value) for name, value in state.items()}
    captured[_TORCH_RNG] = torch.get_rng_state()
    if torch.cuda.is_available():
        captured[_CUDA_RNG] = torch.cuda.get_rng_state_all()
    return captured


def restore_state(state: MutableMapping[str, Any], captured: Mapping[str, Any]) -> None:
    """Put a captured state back into the live objects.

    Parameters
    ----------
    state
        The live training state, as given to :func:`capture_state`; changed.
    captured
        What :func:`capture_state` returned.
    """
    for name, value in state.items():
        saved = captured[name]
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = saved
        elif isinstance(value, torch.Generator):
            value.set_state(saved)
        elif hasattr(value, "load_state_dict"):
            value.load_state_dict(saved)
        else:
            state[name] = saved
    torch.set_rng_state(captured[_TORCH_RNG])
    if _CUDA_RNG in captured and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(captured[_CUDA_RNG])


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a captured state in one go: the old file stays whole until the new one is.

    Parameters
    ----------
    path
        The file; its folder is made.
    state
        What :func:`capture_state` returned.
    """
    with replacing(path) as temporary:
        torch.save(dict(state), temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A captured state from disk; tensors come to the CPU.

    Parameters
    ----------
    path
        The file that :func:`save_checkpoint` wrote.

    Returns
    -------
    dict
        For :func:`restore_state`.
    """
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def save_weights(
    folder: Path, tensors: Mapping[str, torch.Tensor], model: Mapping[str, Any]
) -> None:
    """Write ``model.safetensors`` and the ``model.json`` that belongs to it.

    Parameters
    ----------
    folder
        The model's folder; made where absent.
    tensors
        Name to tensor.
    model
        What the weights are: settings, sites, grid, provenance. ``format_version``,
        ``code_version`` and the weights' ``sha256`` are added.
    """
    weights = save_tensors(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    )
    described = {
        "format_version": FORMAT_VERSION,
        "code_version": __version__,
        **model,
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    write_bytes(folder / WEIGHTS_NAME, weights)
    write_json(folder / MODEL_NAME, described)


def load_weights(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors and the description of a saved model.

    Parameters
    ----------
    folder
        The model's folder.

    Returns
    -------
    tuple
        Name to CPU tensor, and the content of ``model.json``.

    Raises
    ------
    UnusableDataError
        If a file is missing, of another format version, or the two do not belong together.
    """
    try:
        model = json.loads((folder / MODEL_NAME).read_text(encoding="utf-8"))
        weights = (folder / WEIGHTS_NAME).read_bytes()
    except (OSError, ValueError) as error:
        message = f"{folder}: not a model folder ({error}); give one that this app wrote"
        raise UnusableDataError(message) from error
    version = model.get("format_version") if isinstance(model, dict) else None
    if version != FORMAT_VERSION:
        message = (
            f"{folder / MODEL_NAME}: format_version is {version}, expected "
            f"{FORMAT_VERSION}; use the version of the app that wrote it, or train again"
        )
        raise UnusableDataError(message)
    found = hashlib.sha256(weights).hexdigest()
    if found != model.get("sha256"):
        message = (
            f"{folder / WEIGHTS_NAME}: sha256 is {found}, {MODEL_NAME} says "
            f"{model.get('sha256')}; the file was changed or its writing was interrupted"
        )
        raise UnusableDataError(message)
    return load_tensors(weights), model


def _capture(value: Any) -> Any:
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, torch.Generator):
        return value.get_state()
    if hasattr(value, "state_dict"):
        return value.state_dict()
    return value
