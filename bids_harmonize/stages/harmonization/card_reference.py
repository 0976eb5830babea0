"""``--reference-card``: the card that a study is harmonized to, once it is sure that they fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from bids_harmonize.bids.sidecars import read_json, sidecar_path
from bids_harmonize.bids.study import Study
from bids_harmonize.config import Settings
from bids_harmonize.errors import UnusableDataError
from bids_harmonize.harmonizers.card import (
    ReferenceCard,
    average_cards,
    grid_words,
    load_cards,
)
from bids_harmonize.imaging.grid import study_shape
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.inputs import scan_files
from bids_harmonize.training.generation import as_tensor
from bids_harmonize.training.losses import LocalHistograms, local_histogram_distance
from bids_harmonize.training.volumes import DiskVolumes, VolumeSource, map_volumes

FAR: Final = 3.0  # times the distance of its own people: more is another scanner
_SAME_MM: Final = 1e-3


def check_reference_cards(settings: Settings) -> None:
    """Refuse cards that cannot be read, or not be averaged; raises as ``load_reference_card``."""
    _, faults = load_cards(Path(path) for path in settings.group.reference_card)
    if faults:
        raise UnusableDataError("\n".join(faults))


def load_reference_card(study: Study, settings: Settings) -> ReferenceCard | None:
    """The card to harmonize to, or ``None`` without ``--reference-card``.

    Parameters
    ----------
    study
        Its grid and scaling mask must fit the card's.
    settings
        The group section names the cards.

    Returns
    -------
    ReferenceCard or None
        Several cards are averaged with equal weight.

    Raises
    ------
    UnusableDataError
        For everything that is wrong with the cards, in one message.
    """
    paths = settings.group.reference_card
    if not paths:
        return None
    cards, faults = load_cards(Path(path) for path in paths)
    for card in cards:
        faults += _study_faults(card, study)
    if faults:
        raise UnusableDataError("\n".join(dict.fromkeys(faults)))
    return average_cards(cards)


def bias_correction_of(study: Study) -> str | None:
    """How the field was taken out of the study's images; ``None`` where no sidecar tells."""
    for scan in study.training_scans:
        sidecar = sidecar_path(scan.t1w)
        if sidecar.is_file() and "BiasCorrection" in (found := read_json(sidecar)):
            return str(found["BiasCorrection"])
    return None


def card_warnings(context: StageContext, card: ReferenceCard) -> list[str]:
    """What must be known of a study and its card that is no reason to stop.

    Parameters
    ----------
    context
        The study and the place to work in.
    card
        The reference.

    Returns
    -------
    list of str
        Sentences: another bias correction, or own scans that do not look like the card.
    """
    own = bias_correction_of(context.study)
    others = {str(source["bias_correction"]) for source in card.sources} - {"None", str(own)}
    told = [
        f"the card of {card.reference_site} was made from images with --bias-correction "
        f"{', '.join(sorted(others))}, this study's have {own}: what differs is taken for the "
        "scanner. Run participant again with the card's"
    ]
    stranger = other_scanner_warning(context, card)
    return [*(told if own is not None and others else []), *([stranger] if stranger else [])]


def other_scanner_warning(context: StageContext, card: ReferenceCard) -> str | None:
    """A sentence if the study's own scans of the card's site do not look like the card.

    Parameters
    ----------
    context
        The study, which may have scans of a site with the card's name.
    card
        What they should look like.

    Returns
    -------
    str or None
        ``None`` where they do, or where there are none.
    """
    study = context.study
    scans = [scan for scan in study.of_site(study.reference_site) if scan.usable]
    if not scans:
        return None
    native = DiskVolumes([scan_files(scan) for scan in scans], study.scaling_mask)
    volumes = map_volumes(native, resolution_mm=card.voxel_size_mm, folder=context.work_dir)
    found = mean_distance(volumes, range(len(volumes)), card, context)
    if found <= FAR * card.person_distance:
        return None
    return (
        f"the {len(scans)} scans of {study.reference_site} in this study lie at {found:.3f} from "
        f"the card, its own people at {card.person_distance:.3f}: is it another scanner of the "
        "same name? Then rename the local site by --site-map; they are only scaled"
    )


def mean_distance(
    volumes: VolumeSource, indices: Sequence[int], card: ReferenceCard, context: StageContext
) -> float:
    """Mean local-histogram distance of some scans to a card, units of the 99th percentile."""
    device = context.runtime.device
    measure = LocalHistograms(volumes.shape, voxel_size_mm=volumes.voxel_size_mm, device=device)
    found = []
    for index in indices:
        volume, head = volumes.volume(index), volumes.head_mask(index)
        own = measure.measure(as_tensor(volume, device), as_tensor(head, device))
        found.append(float(local_histogram_distance(own, card.histograms.to(device))))
    return float(np.mean(found))


def _study_faults(card: ReferenceCard, study: Study) -> list[str]:
    """What keeps the study from being harmonized to a card."""
    which = f"--reference-card of {card.reference_site}: it is on {grid_words(card)}"
    faults = []
    size = card.voxel_size_mm
    same = abs(study.voxel_size_mm - size) <= _SAME_MM
    if study.voxel_size_mm > size + _SAME_MM:
        faults.append(
            f"{which}; this study has voxels of {study.voxel_size_mm:g} mm, which is coarser: run "
            f"participant again with --resolution {size:g} or finer, or ask for a coarser card "
            "(--network-resolution there)"
        )
    else:
        shape = study.grid_shape if same else study_shape(size)
        if tuple(shape) != card.shape:
            faults.append(
                f"{which}; at that voxel size this study has {' x '.join(map(str, shape))} voxels:"
                " both must use the same --grid-shape, best the default"
            )
    if study.scaling_mask != card.scaling_mask:
        faults.append(
            f"{which}; the unit of this study is taken in the {study.scaling_mask}: run "
            "participant again with "
            + ("a brain mask" if card.scaling_mask == "brain" else "--brain-mask none")
        )
    return faults
