"""Words about a pair training that went wrong, or no better than a method without training."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bids_harmonize.harmonizers.matching import Matching
from bids_harmonize.training.pair_data import REFERENCE, SOURCE, PairData
from bids_harmonize.training.pairs import PairResult
from bids_harmonize.training.patch_distance import PatchDistance


def training_warning(
    result: PairResult,
    pair: PairData,
    *,
    site: str,
    reference_site: str,
    rival: Matching,
    seed: int,
) -> str | None:
    """What the user must know about the training of a pair, or ``None``.

    Parameters
    ----------
    result, pair
        The training and its scans.
    site, reference_site
        The source site, and where its scans go.
    rival
        A fitted method without training; its monitor images are held against the trained ones.
    seed
        That of the training, so that both distances are of the same patches.

    Returns
    -------
    str or None
        A sentence for a training that diverged, or whose monitor scans end farther from the
        reference than the rival's.
    """
    ways = f"between {site} and {reference_site}"
    if result.diverged:
        return f"training {ways} diverged twice; its scans are harmonized by {rival.name} instead"
    found = min(_distances(result.rows))
    other = _rival_distance(pair, site=site, rival=rival, seed=seed)
    if found <= other:
        return None
    return (
        f"training {ways}: patches of the monitor scans end farther from the reference "
        f"({found:.3f}) than those of {rival.name} ({other:.3f}); look at the stage evaluate"
    )


def _distances(rows: tuple[Mapping[str, Any], ...]) -> list[float]:
    last = max(row["attempt"] for row in rows)
    return [row["distance_to_reference"] for row in rows if row["attempt"] == last]


def _rival_distance(pair: PairData, *, site: str, rival: Matching, seed: int) -> float:
    seen = pair.seen
    alike = Matching(
        rival.name,
        replace(rival.frame, voxel_size_mm=seen.voxel_size_mm),
        rival.settings,
        rival.percentiles,
    )
    alike.curves = rival.curves
    made = [
        (
            alike.transform(
                seen.volume(index),
                site=site,
                head_mask=seen.head_mask(index),
                brain_mask=seen.brain_mask(index),
            ),
            seen.head_mask(index),
        )
        for index in pair.monitor[SOURCE]
    ]
    targets = (pair.load(index) for index in sorted(pair.train[REFERENCE]))
    return PatchDistance(targets, seed=seed).measure(made)
