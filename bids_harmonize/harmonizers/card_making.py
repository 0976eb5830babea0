"""From the scans of a reference site to its card."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.harmonizers.card import MIN_PEOPLE
from bids_harmonize.harmonizers.card_privacy import (
    describe_membership,
    leave_one_out,
    membership,
    publisher,
)
from bids_harmonize.imaging.types import Array
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import INTENSITY_BINS, LocalHistograms
from bids_harmonize.training.pair_steps import mean_in_order
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.sources import VolumeSource

LARGEST_SHARE: Final = 0.25  # of a cell's voxels that may come from one person
_UNIT_DIGITS: Final = 3  # the median of an odd number of people is one person's: round it
_SPREAD_DIGITS: Final = 2
_DISTANCE_DIGITS: Final = 4


def make_card(
    volumes: VolumeSource,
    indices: Sequence[int],
    *,
    noise: float,
    seed: int,
    device: torch.device,
) -> tuple[Tensor, dict[str, Any]]:
    """Mean local histograms of some scans, one person weighing once, and the checks on them.

    Parameters
    ----------
    volumes
        Scans on the network's grid, units of the 99th percentile.
    indices
        Those of the reference site.
    noise
        Standard deviation in units of what one person changes; 0 adds none.
    seed
        The run's. The noise depends on the numbers themselves too, so that nobody who knows the
        seed alone can take it away again.
    device
        Where histograms are computed.

    Returns
    -------
    tuple
        Float32 tensor of shape (cells, 40), and what ``model.json`` says about it.

    Raises
    ------
    UnusableDataError
        If there are fewer than ten people, or nothing is left of their histograms.
    """
    people = person_histograms(volumes, indices, device)
    if len(people) < MIN_PEOPLE:
        message = (
            f"a card needs {MIN_PEOPLE} people, the reference site has {len(people)} who have a "
            "usable scan and do not travel; a mean over fewer shows single persons. Wait for more "
            "people, or name another site by --reference-site"
        )
        raise UnusableDataError(message)
    kept = kept_cells(people)
    if not kept.any():
        message = (
            f"no cell of the head is filled by {MIN_PEOPLE} people, so nothing is left of the "
            "card; look at the head masks"
        )
        raise UnusableDataError(message)
    mean = mean_in_order(people)
    lost = float(mean[:, :INTENSITY_BINS].sum(dim=1)[torch.from_numpy(~kept)].sum())
    share = lost / float(mean[:, :INTENSITY_BINS].sum())
    mean = mean * torch.from_numpy(kept)[:, None]
    arrays = people.numpy().astype(np.float64) * kept[:, None]
    secret = hashlib.sha256(arrays.tobytes()).hexdigest()
    if noise:
        rng = seeded_generator(seed, "card-noise", secret)
        noisy = publisher(arrays, sigma=noise, rng=rng)(mean.numpy().astype(np.float64))
        mean = torch.from_numpy(noisy.astype(np.float32))
    found = membership(arrays, sigma=noise, rng=seeded_generator(seed, "card-membership", secret))
    return mean, {
        "n_people": len(people),
        "n_scans": len(indices),
        "shape": list(volumes.shape),
        "voxel_size_mm": volumes.voxel_size_mm,
        "card_noise": noise,
        "random_seed": seed,
        **_units(_person_units(volumes, indices)),
        "person_distance": _significant(found.person_distance, _DISTANCE_DIGITS),
        "emptied_cells": {"n": int((~kept).sum()), "of": len(kept), "share_of_voxels": share},
        "leave_one_out": leave_one_out(arrays),
        "membership": describe_membership(found, n_people=len(people)),
    }


def kept_cells(people: Tensor) -> Array:
    """Which cells may be published.

    Parameters
    ----------
    people
        Shape (people, cells, 40), masses in voxels.

    Returns
    -------
    np.ndarray
        Bool, shape (cells,): ten people contribute, and none of them more than a quarter.
    """
    mass = people[:, :, :INTENSITY_BINS].sum(dim=2).numpy()  # (people, cells)
    total = mass.sum(axis=0)
    enough = (mass > 0).sum(axis=0) >= MIN_PEOPLE
    shared = mass.max(axis=0) <= LARGEST_SHARE * total
    kept: Array = enough & shared
    return kept


def person_histograms(
    volumes: VolumeSource, indices: Sequence[int], device: torch.device
) -> Tensor:
    """Mean local histograms of every person, in the order of the scans.

    Parameters
    ----------
    volumes
        Scans on the network's grid, units of the 99th percentile.
    indices
        Scans to take.
    device
        Where histograms are computed.

    Returns
    -------
    Tensor
        Float32 on the CPU, shape (people, cells, 40), masses in voxels.
    """
    measure = LocalHistograms(volumes.shape, voxel_size_mm=volumes.voxel_size_mm, device=device)
    histograms: dict[str, list[Tensor]] = {}
    for index in indices:
        volume, head = volumes.volume(index), volumes.head_mask(index)
        own = measure.measure(as_tensor(volume, device), as_tensor(head, device)).cpu()
        histograms.setdefault(volumes.scans[index].participant_id, []).append(own)
    means = [torch.stack(own).sum(dim=0) / len(own) for own in histograms.values()]
    return torch.stack(means) if means else torch.zeros((0, 0, 0))


def _person_units(volumes: VolumeSource, indices: Sequence[int]) -> list[float]:
    units: dict[str, list[float]] = {}
    for index in indices:
        person = volumes.scans[index].participant_id
        units.setdefault(person, []).append(volumes.scaling(index).high)
    return [float(np.mean(own)) for own in units.values()]


def _units(units: Sequence[float]) -> Mapping[str, float]:
    middle = float(np.median(units))
    low, high = np.percentile(units, (25, 75))
    return {
        "high_ref": _significant(middle, _UNIT_DIGITS),
        "high_spread": _significant((high - low) / middle, _SPREAD_DIGITS),
    }


def _significant(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
