"""How much of the head the network needs: accuracy where only one block of it stays visible."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bids_harmonize.imaging.occlusion import Block, keep_block
from bids_harmonize.imaging.types import Mask
from bids_harmonize.stages.classification.models import FoldModel, select
from bids_harmonize.stats import paired_difference_interval, wilson_interval
from bids_harmonize.training.classifier import Classifier, predict
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.volumes import TransformedVolumes, VolumeSource

VISIBLE_FRACTIONS = (1.0, 0.5, 0.25, 0.125)
N_BLOCKS = 4
"""Blocks drawn a scan and fraction."""
UNAIDED = "withoutblocks"
"""The network that the others are compared with."""

_PERSON = ["participant_id", "site"]


def head_block(rng: np.random.Generator, head_mask: Mask, fraction: float) -> Block:
    """A random block of a fraction of the head's bounding box, wholly inside the box.

    Parameters
    ----------
    rng
        Where the place comes from.
    head_mask
        Bool, shape (I, J, K).
    fraction
        Volume of the block over that of the box, 0 to 1. The block has the box's proportions:
        each edge is the box's times the cube root, rounded to voxels, at least one.

    Returns
    -------
    tuple of slice
        One slice an axis; the whole volume where the mask is empty.
    """
    slices = []
    for axis, n_all in enumerate(head_mask.shape):
        inside = np.moveaxis(head_mask, axis, 0).reshape(n_all, -1).any(axis=1)
        places = np.flatnonzero(inside) if inside.any() else np.arange(n_all)
        first, n = int(places[0]), int(places[-1] - places[0] + 1)
        length = min(n, max(1, round(float(np.cbrt(fraction)) * n)))
        start = first + int(rng.integers(0, n - length + 1))
        slices.append(slice(start, start + length))
    return slices[0], slices[1], slices[2]


def visible_shares(source: VolumeSource, folds: Sequence[FoldModel], *, seed: int) -> pd.DataFrame:
    """How often each participant is named rightly when only a block is visible.

    Parameters
    ----------
    source
        Scans of eligible participants.
    folds
        Networks with those whom they have not seen; nobody else is asked about.
    seed
        The run's. Blocks depend on it and on the scan alone, so every network sees the same.

    Returns
    -------
    DataFrame
        participant_id, site, visible_fraction, right (0 to 1: mean over blocks, then scans).
    """
    parts = []
    for fold in folds:
        unseen = select(source, fold.held_out)
        blocks = [_blocks(unseen, index, seed) for index in range(len(unseen))]
        for fraction in VISIBLE_FRACTIONS:
            right = np.mean(
                [
                    _right(fold.classifier, _only(unseen, [own[fraction][draw] for own in blocks]))
                    for draw in range(len(blocks[0][fraction]))
                ],
                axis=0,
            )
            frame = {
                "participant_id": [scan.participant_id for scan in unseen.scans],
                "site": [scan.site for scan in unseen.scans],
                "visible_fraction": fraction,
                "right": right,
            }
            parts.append(pd.DataFrame(frame))
    scans = pd.concat(parts, ignore_index=True)
    return scans.groupby([*_PERSON, "visible_fraction"])["right"].mean().reset_index()


def visibility_rows(shares: Mapping[str, pd.DataFrame], *, effort: str) -> list[dict[str, Any]]:
    """Rows of group_sitevisibility.tsv.

    Parameters
    ----------
    shares
        Network to what :func:`visible_shares` says of it.
    effort
        ``full`` or ``quick``.

    Returns
    -------
    list of dict
        One row a network and fraction; differences to :data:`UNAIDED` are paired by participant
        and have Tango's interval, which keeps its width where everybody differs alike; NaN where
        there is no such network.
    """
    rows = []
    for model, table in shares.items():
        for fraction in VISIBLE_FRACTIONS:
            right = _of_fraction(table, fraction)
            low, high = wilson_interval(float(right.sum()), len(right))
            row = {
                "model": model,
                "visible_fraction": fraction,
                "n": len(right),
                "accuracy": float(right.mean()),
                "accuracy_low": low,
                "accuracy_high": high,
                **dict.fromkeys(("difference", "difference_low", "difference_high"), np.nan),
                "effort": effort,
            }
            if model != UNAIDED and UNAIDED in shares:
                both = (right - _of_fraction(shares[UNAIDED], fraction)).dropna().to_numpy()
                gained, lost = (float(np.maximum(part, 0).sum()) for part in (both, -both))
                ends = paired_difference_interval(gained, lost, len(both))
                row |= {
                    "difference": float(both.mean()),
                    "difference_low": ends[0],
                    "difference_high": ends[1],
                }
            rows.append(row)
    return rows


def _blocks(source: VolumeSource, index: int, seed: int) -> dict[float, list[Block]]:
    rng = seeded_generator(seed, "visible block", source.scans[index].key)
    head = source.head_mask(index)
    whole = (slice(None), slice(None), slice(None))
    return {
        fraction: [whole]
        if fraction == 1
        else [head_block(rng, head, fraction) for _ in range(N_BLOCKS)]
        for fraction in VISIBLE_FRACTIONS
    }


def _only(source: VolumeSource, blocks: Sequence[Block]) -> TransformedVolumes:
    return TransformedVolumes(source, lambda index, volume: keep_block(volume, blocks[index]))


def _right(classifier: Classifier, source: VolumeSource) -> np.ndarray:
    """Whether each scan's site was named, 0 or 1, shape (n_scans,)."""
    named = predict(classifier, source).argmax(axis=1)
    true = [classifier.sites.index(scan.site) for scan in source.scans]
    return (named == np.asarray(true)).astype(np.float64)


def _of_fraction(table: pd.DataFrame, fraction: float) -> pd.Series:
    return table[table["visible_fraction"] == fraction].set_index(_PERSON)["right"]
