"""A reference site's card: the mean local histograms of its people, in place of their images.

Choice: the card is what ``localhistogram`` is drawn to, a mean of a few thousand numbers over at
least ten people, each of whom weighs once. Cells of the head's rim to which fewer than ten people
contribute, or one person more than a quarter, are emptied and take no part in training. Reason: a
mean over one or two people is a picture of them. Rejected: medians and percentiles per voxel (an
image in all but name), the mean image (the same). Revisit when a legal opinion asks for formal
differential privacy; docs/reference_card.md says what is shown today and what is not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.training.card_training import CardTarget
from bids_harmonize.training.checkpoint import load_weights, save_weights
from bids_harmonize.training.losses import GRADIENT_BINS, INTENSITY_BINS, LocalHistograms

CARD_KIND: Final = "reference_card"
CARD_VERSION: Final = 1
MIN_PEOPLE: Final = 10
HISTOGRAMS: Final = "histograms"  # name of the one tensor
NOT_STATED: Final = "not stated"
_N_BINS: Final = INTENSITY_BINS + GRADIENT_BINS
_JOINT: Final = "+"  # between the names of the sites of a virtual reference
_NEEDED: Final = (
    "reference_site", "n_people", "shape", "voxel_size_mm", "scaling_mask", "high_ref",
    "person_distance", "card_noise", "licence", "sha256",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReferenceCard:
    """What is known of a reference without images: they are elsewhere, or it is virtual.

    Attributes
    ----------
    reference_site
        Its name; ``A+B`` for a virtual reference of several sites.
    histograms
        Float32, shape (cells, 40): mean masses of 24 intensity and 16 gradient bins, voxels.
    shape, voxel_size_mm
        The network's grid on which they were taken, mm.
    scaling_mask
        ``brain`` or ``head``: where the 99th percentile that sets the unit was taken.
    high_ref
        Native intensity of 1, in which images are written back.
    person_distance
        Mean local-histogram distance of one of its people to the card of the others.
    sources
        One entry a card: site, sha256, n_people, card_noise, licence, bias_correction,
        code_version. None for the median of the study's own sites.
    """

    reference_site: str
    histograms: Tensor
    shape: tuple[int, int, int]
    voxel_size_mm: float
    scaling_mask: str
    high_ref: float
    person_distance: float
    sources: tuple[Mapping[str, Any], ...]

    @property
    def n_people(self) -> int:
        """People behind all of its cards."""
        return sum(int(source["n_people"]) for source in self.sources)

    @property
    def target(self) -> CardTarget:
        """What a training sees of it."""
        return CardTarget(self.histograms, self.person_distance)


def save_card(folder: Path, histograms: Tensor, described: Mapping[str, Any]) -> None:
    """Write the numbers of a card and what they are.

    Parameters
    ----------
    folder
        Gets ``model.safetensors`` and ``model.json``; made where absent.
    histograms
        Float32, shape (cells, 40), voxels.
    described
        Everything that :class:`ReferenceCard` holds beside them, and the checks.

    Raises
    ------
    OutputError, StorageError
        If a file cannot be written.
    """
    model = {"kind": CARD_KIND, "card_version": CARD_VERSION, **described}
    save_weights(folder, {HISTOGRAMS: histograms}, model)


def load_cards(folders: Iterable[Path]) -> tuple[list[ReferenceCard], list[str]]:
    """The cards in some folders, and everything that is wrong with the others.

    Parameters
    ----------
    folders
        What :func:`save_card` wrote, one a site.

    Returns
    -------
    tuple
        Whole cards in the order given, and one sentence a fault.
    """
    cards, faults = [], []
    for folder in folders:
        try:
            tensors, model = load_weights(folder)
        except UnusableDataError as error:
            faults.append(f"--reference-card {error}")
            continue
        found = _model_faults(tensors, model)
        faults += [f"--reference-card {folder}: {fault}" for fault in found]
        if not found:
            cards.append(_as_card(tensors, model))
    return cards, faults + _mixed_faults(cards)


def average_cards(cards: Sequence[ReferenceCard]) -> ReferenceCard:
    """One card, or the virtual reference of several, each of which weighs the same.

    Parameters
    ----------
    cards
        On one grid and in one unit, as :func:`load_cards` checks; at least one.

    Returns
    -------
    ReferenceCard
        A cell that is empty on one card is empty. ``high_ref`` is the geometric mean, for
        receiver gains are factors; ``person_distance`` the mean.
    """
    first = cards[0]
    if len(cards) == 1:
        return first
    ordered = sorted(cards, key=lambda card: card.reference_site)
    stacked = torch.stack([card.histograms for card in ordered])  # (cards, cells, 40)
    everywhere = (stacked.sum(dim=2) > 0).all(dim=0)  # (cells,)
    return ReferenceCard(
        reference_site=joint_name([card.reference_site for card in ordered]),
        histograms=stacked.mean(dim=0) * everywhere[:, None],
        shape=first.shape,
        voxel_size_mm=first.voxel_size_mm,
        scaling_mask=first.scaling_mask,
        high_ref=float(np.exp(np.mean([np.log(card.high_ref) for card in ordered]))),
        person_distance=float(np.mean([card.person_distance for card in ordered])),
        sources=tuple(source for card in ordered for source in card.sources),
    )


def joint_name(sites: Iterable[str]) -> str:
    """Name of the reference that the cards of some sites make together.

    Examples
    --------
    >>> joint_name(["Oslo", "Kyoto"])
    'Kyoto+Oslo'
    """
    return _JOINT.join(sorted(sites))


def _as_card(tensors: Mapping[str, Tensor], model: Mapping[str, Any]) -> ReferenceCard:
    i, j, k = (int(n) for n in model["shape"])
    kept = ("sha256", "n_people", "card_noise", "licence", "bias_correction", "code_version")
    return ReferenceCard(
        reference_site=str(model["reference_site"]),
        histograms=tensors[HISTOGRAMS].to(torch.float32),
        shape=(i, j, k),
        voxel_size_mm=float(model["voxel_size_mm"]),
        scaling_mask=str(model["scaling_mask"]),
        high_ref=float(model["high_ref"]),
        person_distance=float(model["person_distance"]),
        sources=({"site": model["reference_site"], **{key: model.get(key) for key in kept}},),
    )


def _model_faults(tensors: Mapping[str, Tensor], model: Mapping[str, Any]) -> list[str]:
    if model.get("kind") != CARD_KIND:
        what = f"a trained {model['name']}" if "learnt" in model else repr(model.get("kind"))
        return [f"holds {what}, not a card; expected a folder that --export-card wrote"]
    if model.get("card_version") != CARD_VERSION:
        return [
            f"card_version is {model.get('card_version')}, this app reads {CARD_VERSION}; use the "
            "version of the app that wrote it, or ask its site to export it again"
        ]
    missing = [key for key in _NEEDED if key not in model]
    if missing or HISTOGRAMS not in tensors:
        return [f"lacks {', '.join(missing or [HISTOGRAMS])}; ask its site to export it again"]
    faults = []
    if model["n_people"] < MIN_PEOPLE:
        faults.append(f"it is made from {model['n_people']} people, at least {MIN_PEOPLE} needed")
    faults += _number_faults(tensors[HISTOGRAMS], model)
    return faults


def _number_faults(histograms: Tensor, model: Mapping[str, Any]) -> list[str]:
    shape, size = model["shape"], float(model["voxel_size_mm"])
    cells = LocalHistograms(shape, voxel_size_mm=size, device=torch.device("cpu")).cells
    expected = (cells[0] * cells[1] * cells[2], _N_BINS)
    if tuple(histograms.shape) != expected:
        found = " x ".join(map(str, histograms.shape))
        return [f"found {found} numbers, its grid has {expected[0]} cells of {expected[1]} bins"]
    if not torch.isfinite(histograms).all() or histograms.min() < 0 or histograms.sum() == 0:
        return ["its numbers are no histograms (empty, negative or not finite)"]
    if not (model["high_ref"] > 0 and model["person_distance"] > 0):
        return ["high_ref and person_distance must be above 0"]
    return []


def _mixed_faults(cards: Sequence[ReferenceCard]) -> list[str]:
    """What keeps several cards from being averaged."""
    faults = []
    sites = [card.reference_site for card in cards]
    twice = sorted({site for site in sites if sites.count(site) > 1})
    if twice:
        faults.append(f"--reference-card: several cards of {', '.join(twice)}; give one a site")
    return faults + [
        f"--reference-card: {cards[0].reference_site} is on {grid_words(cards[0])}, "
        f"{card.reference_site} on {grid_words(card)}; cards are averaged on one grid only"
        for card in cards[1:]
        if grid_words(card) != grid_words(cards[0])
    ]


def grid_words(card: ReferenceCard) -> str:
    """The grid and unit of a card in words, equal for cards that go together."""
    sizes = " x ".join(map(str, card.shape))
    return f"{sizes} voxels of {card.voxel_size_mm:g} mm, scaled in the {card.scaling_mask}"
