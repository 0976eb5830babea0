"""Whether lesions that are put into a scan are still there in the harmonized image.

Only for models of this study: another tool's images come without the tool. Scans of people whom
no model was trained on come first; a generator that keeps those keeps the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.study import Study
from bids_harmonize.errors import DirectionError, ScanError
from bids_harmonize.imaging.lesions import find_places, lesion_change, make_lesion
from bids_harmonize.stages.evaluation.comparison import mean_or_nan
from bids_harmonize.stages.evaluation.pairs import read_scan_images
from bids_harmonize.stages.evaluation.travelling import Method
from bids_harmonize.stats import bootstrap_interval
from bids_harmonize.training.runtime import seeded_generator

LESIONS: Final[Mapping[str, float]] = MappingProxyType({"dark": -0.35, "bright": 0.25})
"""Change of intensity at the core, as a share of the tissue's own."""

MOST_SCANS: Final[Mapping[str, int]] = MappingProxyType({"quick": 3, "full": 8})
"""Scans of a source site into which lesions are put, one a person."""

LESION_COLUMNS = (
    *("method", "source_site", "lesion", "n"),
    *("contrast", "contrast_low", "contrast_high"),
    *("volume", "volume_low", "volume_high", "away"),
)
_ROW = ["method", "source_site", "lesion"]
_PERSON_COLUMNS = [*_ROW, "participant_id", "contrast", "volume", "away"]


@dataclass(frozen=True)
class LesionScores:
    """One row a method, person and lesion; scans that failed; source sites without any."""

    frame: pd.DataFrame
    failures: tuple[str, ...]
    notes: tuple[str, ...]


def plant_lesions(
    study: Study, methods: Sequence[Method], *, effort: str, seed: int
) -> LesionScores:
    """Put a dark and a bright lesion into scans of every source site, and harmonize them.

    Parameters
    ----------
    study
        The study.
    methods
        Trained harmonizers.
    effort
        ``quick`` or ``full``: how many scans a site.
    seed
        The run's; places are drawn by it and the scan's name.

    Returns
    -------
    LesionScores
        Columns of the frame: method, source_site, lesion, participant_id, contrast, volume, away.
    """
    rows: list[dict[str, object]] = []
    failures: list[str] = []
    notes: list[str] = []
    for site in study.trained_sites if methods else ():
        if site == study.reference_site:
            continue
        scans = _scans(study, site)[: MOST_SCANS[effort]]
        if not scans:
            notes.append(f"no lesion was put into scans of {site}: they have no brain mask")
        for scan in scans:
            try:
                rows += _one_scan(study, scan, methods, seed=seed)
            except ScanError as error:
                failures.append(f"{scan.stem}: no lesion was put into it: {error}")
    frame = pd.DataFrame(rows, columns=_PERSON_COLUMNS)
    return LesionScores(frame, tuple(failures), tuple(notes))


def lesions_table(rows: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    """Means over people.

    Parameters
    ----------
    rows
        The frame of :func:`plant_lesions`.
    rng
        Source of the bootstrap.

    Returns
    -------
    DataFrame
        Columns as in :data:`LESION_COLUMNS`.
    """
    found = []
    for key, own in rows.groupby(_ROW, sort=True):
        numbers: dict[str, object] = {"n": own["participant_id"].nunique()}
        for name in ("contrast", "volume"):
            values = own[name].dropna().to_numpy(dtype=np.float64)
            low, high = bootstrap_interval(values, rng=rng)
            numbers |= {name: mean_or_nan(values), f"{name}_low": low, f"{name}_high": high}
        largest = float(own["away"].max())
        found.append({**dict(zip(_ROW, key, strict=True)), **numbers, "away": largest})
    return pd.DataFrame(found, columns=list(LESION_COLUMNS))


def _scans(study: Study, site: str) -> list[DerivedScan]:
    """One usable scan with a brain mask a person, people who train last."""
    first: dict[str, DerivedScan] = {}
    for scan in study.of_site(site):
        if scan.usable and scan.brain_mask is not None:
            first.setdefault(scan.participant_id, scan)
    return sorted(first.values(), key=lambda scan: scan.participant_id in study.trainees)


def _one_scan(
    study: Study, scan: DerivedScan, methods: Sequence[Method], *, seed: int
) -> Iterator[dict[str, object]]:
    images = read_scan_images(scan)
    rng = seeded_generator(seed, "lesions", scan.stem)
    if images.brain is None:
        return
    places = find_places(
        images.volume, images.brain, images.affine, n_places=len(LESIONS), rng=rng
    )
    if len(places) < len(LESIONS):
        message = "the brain has no room for two lesions deep inside; is the mask right?"
        raise ScanError(message)
    lesions = {
        name: make_lesion(images.volume.shape, images.affine, place)
        for name, place in zip(LESIONS, places, strict=True)
    }
    for method in methods:
        try:
            plain = method.transform(images, study.reference_site)
        except DirectionError:
            continue
        for name, lesion in lesions.items():
            planted = lesion.put_into(images.volume, change=LESIONS[name])
            shown = method.transform(replace(images, volume=planted), study.reference_site)
            change = lesion_change(
                lesion, (images.volume, planted), (plain, shown), brain=images.brain
            )
            yield {
                "method": method.name,
                "source_site": scan.site,
                "lesion": name,
                "participant_id": scan.participant_id,
                "contrast": change.contrast,
                "volume": change.volume,
                "away": change.away,
            }
