"""Masks of one scan against its truth, found the way the participant level finds them."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

from bids_harmonize.atlases import load_template
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.brainmask import find_brain
from bids_harmonize.imaging.grid import Grid, place_grid, resample_mask
from bids_harmonize.imaging.headmask import find_head

MIN_CONFIDENCE = 0.5


@dataclass(frozen=True)
class Row:
    """What was found in one scan; ``nan`` where there is no truth or no mask.

    Dice on the study grid; ``*_missed`` is the share of the truth outside the mask; litres and
    contact with the grid's edge of the mask; CPU seconds of head and brain; whether the app itself
    says that the mask is doubtful, and why.
    """

    case: str
    head: float
    brain: float
    head_missed: float
    brain_missed: float
    litres: float
    at_edge: bool
    head_s: float
    brain_s: float
    head_confidence: float
    brain_confidence: float
    flags: str

    @property
    def head_flagged(self) -> bool:
        return self.head_confidence < MIN_CONFIDENCE

    @property
    def brain_flagged(self) -> bool:
        return self.brain_confidence < MIN_CONFIDENCE or self.head_flagged

    def as_dict(self) -> dict:
        return asdict(self)


Truth = Callable[[Grid], tuple[np.ndarray | None, np.ndarray | None]]
"""From a study grid to the true head and brain mask on it; ``None`` where one is unknown."""


def no_truth(grid: Grid) -> tuple[None, None]:
    """Truth of a real image."""
    return None, None


def dice(mask: np.ndarray, truth: np.ndarray | None) -> float:
    """Overlap of two masks, 0 to 1, higher is better; ``nan`` without truth."""
    if truth is None:
        return np.nan
    return float(2 * (mask & truth).sum() / max(1, int(mask.sum()) + int(truth.sum())))


def touches_edge(mask: np.ndarray) -> bool:
    """Whether a mask reaches an outer layer of its array."""
    inner = mask[1:-1, 1:-1, 1:-1]
    return bool(inner.sum() < mask.sum())


def measure_case(
    case: str,
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    resolution_mm: float,
    truth: Truth = no_truth,
    ignore_stripped: bool = False,
) -> tuple[Row, dict[str, np.ndarray]]:
    """Row of one scan, and its masks (``head``, ``brain``) on the study grid with ``affine``.

    Parameters
    ----------
    case
        Name of the row.
    volume, affine
        The raw scan.
    resolution_mm
        Of the study grid.
    truth
        See :data:`Truth`.
    ignore_stripped
        Look for the brain as if the head mask did not know that it is one.
    """
    start = time.process_time()
    try:
        head = find_head(volume, affine)
        head_s = time.process_time() - start
        grid = place_grid(head.mask, affine, resolution_mm=resolution_mm)
        stripped = head.skull_stripped and not ignore_stripped
        start = time.process_time()
        brain = find_brain(volume, affine, head.mask, load_template(), skull_stripped=stripped)
    except ScanError as error:
        return _refused(case, str(error)), {}
    brain_s = time.process_time() - start
    head_mask = resample_mask(head.mask, affine, grid)
    brain_mask = resample_mask(brain.mask, affine, grid) & head_mask
    true_head, true_brain = truth(grid)
    row = Row(
        case=case,
        head=dice(head_mask, true_head),
        brain=dice(brain_mask, true_brain),
        head_missed=_missed(head_mask, true_head),
        brain_missed=_missed(brain_mask, true_brain),
        litres=float(brain.volume_litres),
        at_edge=touches_edge(brain_mask),
        head_s=head_s,
        brain_s=brain_s,
        head_confidence=float(getattr(head, "confidence", 1.0)),
        brain_confidence=float(getattr(brain, "confidence", 0.0 if brain.doubtful else 1.0)),
        flags="; ".join((*head.flags, *brain.flags)),
    )
    return row, {"head": head_mask, "brain": brain_mask, "affine": grid.affine}


def _missed(mask: np.ndarray, truth: np.ndarray | None) -> float:
    if truth is None:
        return np.nan
    return float((truth & ~mask).sum() / max(1, int(truth.sum())))


def _refused(case: str, message: str) -> Row:
    """A scan that the app refuses counts as flagged."""
    return Row(case, np.nan, np.nan, np.nan, np.nan, 0.0, False, 0.0, 0.0, 0.0, 0.0, message)
