"""The proof on travelling subjects: how near each method's image is to the real one.

Every image that enters a metric is rescaled by its own percentiles, so an affine change of the
intensities gains nothing; see :mod:`bids_harmonize.metrics` for the numbers themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bids_harmonize.bids.study import Study
from bids_harmonize.errors import DirectionError, ScanError
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample_through
from bids_harmonize.imaging.types import Affine, Mask, Volume
from bids_harmonize.metrics import METRICS, load_metric
from bids_harmonize.metrics.sharpness import blur_to_level, gradient_level, sharpness
from bids_harmonize.stages.evaluation.pairs import (
    Pair,
    ScanImages,
    pair_transform,
    plan_pairs,
    read_scan_images,
)

TRAVELLING_COLUMNS = (
    "participant_id",
    "source_site",
    "target_site",
    "kind",
    "method",
    "mask",
    "metric",
    "value",
)
PAIR_METRICS = tuple(name for name, row in METRICS.items() if row.inputs == "image pair")

# Scans a site that its sharpness is taken from; the mean hardly moves beyond.
_MOST_LEVEL_SCANS = 20

Transform = Callable[[ScanImages, str], Volume]
"""Takes a scan's images and the site to go to; gives the volume in any intensity unit."""

Watch = Callable[[str, ScanImages, str, Volume], None]
"""Is shown every image that a method makes: its name, the scan, the site to go to, the volume."""


@dataclass(frozen=True)
class Method:
    """One row of the comparison; ``transform`` raises DirectionError for what it cannot do."""

    name: str
    transform: Transform


@dataclass(frozen=True)
class TravellingScores:
    """One row a value, and the scans that could not be scored."""

    frame: pd.DataFrame
    failures: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _AlignedPair:
    pair: Pair
    moving: ScanImages
    fixed: ScanImages
    transform: Affine
    masks: Mapping[str, Mask]


def site_levels(study: Study) -> dict[str, float]:
    """Mean gradient magnitude of every trained site's own scans, on unmoved images.

    Parameters
    ----------
    study
        The study; usable scans of the people who train are read, 20 a site at most.

    Returns
    -------
    dict
        Site to level, rescaled units per voxel; empty where the study has no brain masks. That of
        a virtual reference is the median of all. Of a reference known by its card it is that of
        its scans in this study, if any.
    """
    levels: dict[str, float] = {}
    for site in sorted({*study.trained_sites, study.reference_site}):
        trains = site in study.trained_sites
        own = study.of_site(site, participants=study.trainees if trains else None)
        scans = [scan for scan in own if scan.usable and scan.brain_mask is not None]
        found = []
        for scan in scans[:_MOST_LEVEL_SCANS]:
            images = read_scan_images(scan)
            found.append(_level(images, images.rescaled(images.volume, study.scaling_mask)))
        if found:
            levels[site] = float(np.mean(found))
    if study.virtual_reference and levels:
        levels[study.reference_site] = float(np.median(list(levels.values())))
    return levels


def blur_method(levels: Mapping[str, float]) -> Method:
    """The control that smooths a scan until it is no sharper than the target site.

    Parameters
    ----------
    levels
        Target site to its level, see :func:`site_levels`.

    Returns
    -------
    Method
        ``blur``; a scan blurrier than its target stays as it is.
    """

    def smooth(images: ScanImages, to_site: str) -> Volume:
        if images.brain is None or to_site not in levels:
            message = f"no sharpness is known of site {to_site}: there are no brain masks"
            raise DirectionError(message)
        return blur_to_level(images.volume, images.brain, levels[to_site])[0]

    return Method("blur", smooth)


def score_travelling(
    study: Study,
    methods: Sequence[Method],
    *,
    levels: Mapping[str, float],
    work_dir: Path,
    watch: Watch | None = None,
) -> TravellingScores:
    """Every metric of every method on every comparison of every travelling subject.

    Parameters
    ----------
    study
        The study.
    methods
        What is compared; the ceiling is added from second scans at the target.
    levels
        Site to gradient level of its own scans.
    work_dir
        Where registrations are kept.
    watch
        Who else looks at the images, so that none is made twice.

    Returns
    -------
    TravellingScores
        Rows of group_travelling.tsv, and one line a pair that failed.
    """
    rows: list[dict[str, object]] = []
    failures: list[str] = []
    pairs = plan_pairs(study)
    for person in sorted({pair.moving.participant_id for pair in pairs}):
        own = [pair for pair in pairs if pair.moving.participant_id == person]
        try:
            aligned = _align(own, folder=work_dir / "evaluate" / "registrations")
        except ScanError as error:
            failures.append(f"{person} was not scored: {error}")
            continue
        for method in methods:
            try:
                rows.extend(_score_method(aligned, method, levels, study, watch))
            except ScanError as error:
                failures.append(f"{person} was not scored with {method.name}: {error}")
        rows.extend(_score_rescans(aligned, levels, study))
    frame = pd.DataFrame(rows, columns=list(TRAVELLING_COLUMNS))
    order = [name for name in TRAVELLING_COLUMNS if name != "value"]
    return TravellingScores(frame.sort_values(order, ignore_index=True), tuple(failures))


def _align(pairs: Sequence[Pair], *, folder: Path) -> list[_AlignedPair]:
    scans = {scan.stem: scan for pair in pairs for scan in (pair.moving, pair.fixed)}
    images = {stem: read_scan_images(scan) for stem, scan in scans.items()}
    aligned = []
    for pair in pairs:
        moving, fixed = images[pair.moving.stem], images[pair.fixed.stem]
        transform = pair_transform(pair, (moving, fixed), folder=folder)
        masks = {"head": _common(moving.head, fixed.head, moving, fixed, transform)}
        if moving.brain is not None and fixed.brain is not None:
            masks["brain"] = _common(moving.brain, fixed.brain, moving, fixed, transform)
        aligned.append(_AlignedPair(pair, moving, fixed, transform, masks))
    return aligned


def _common(
    own: Mask, other: Mask, moving: ScanImages, fixed: ScanImages, transform: Affine
) -> Mask:
    """The moved mask and the fixed one, intersected on the fixed grid."""
    grid = Grid(other.shape, fixed.affine)
    moved = resample_through(own, moving.affine, transform, grid, interpolation="nearest")
    common = moved & other
    if not common.any():
        message = f"{moving.scan.stem} and {fixed.scan.stem} do not overlap after registration"
        raise ScanError(message)
    return common


def _score_method(
    aligned: Sequence[_AlignedPair],
    method: Method,
    levels: Mapping[str, float],
    study: Study,
    watch: Watch | None,
) -> list[dict[str, object]]:
    """All rows of one person and one method; each scan is transformed once a target."""
    made: dict[tuple[str, str], Volume] = {}

    def image(images: ScanImages, to_site: str) -> Volume:
        key = (images.scan.stem, to_site)
        if key not in made:
            made[key] = images.rescaled(method.transform(images, to_site), study.scaling_mask)
            if watch is not None:
                watch(method.name, images, to_site, made[key])
        return made[key]

    rows: list[dict[str, object]] = []
    for item in aligned:
        if item.pair.rescan:
            continue
        to_site = study.reference_site
        if item.pair.kind != "agreement":
            to_site = item.pair.target_site
        try:
            volume = image(item.moving, to_site)
            if item.pair.kind == "agreement":
                target = image(item.fixed, to_site)
            else:
                target = item.fixed.rescaled(item.fixed.volume, study.scaling_mask)
        except DirectionError:
            continue
        # Two images agree if both are blurred: at a virtual reference the median level tells.
        tells = item.pair.kind != "agreement" or study.virtual_reference
        level = levels.get(to_site) if tells else None
        rows.extend(_rows(item, method.name, volume, target, level))
    return rows


def _score_rescans(
    aligned: Sequence[_AlignedPair], levels: Mapping[str, float], study: Study
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for item in aligned:
        if item.pair.rescan:
            volume, target = (
                images.rescaled(images.volume, study.scaling_mask)
                for images in (item.moving, item.fixed)
            )
            level = levels.get(item.pair.target_site)
            rows.extend(_rows(item, "ceiling", volume, target, level))
    return rows


def _rows(
    item: _AlignedPair, method: str, volume: Volume, target: Volume, level: float | None
) -> list[dict[str, object]]:
    grid = Grid(target.shape, item.fixed.affine)
    moved = resample_through(volume, item.moving.affine, item.transform, grid)
    values = {
        (mask, metric): load_metric(metric)(moved, target, inside)
        for mask, inside in item.masks.items()
        for metric in PAIR_METRICS
    }
    if item.moving.brain is not None and level:
        values["brain", "sharpness"] = sharpness(volume, item.moving.brain, level)
    return [
        {
            "participant_id": item.pair.moving.participant_id,
            "source_site": item.pair.source_site,
            "target_site": item.pair.target_site,
            "kind": item.pair.kind,
            "method": method,
            "mask": mask,
            "metric": metric,
            "value": value,
        }
        for (mask, metric), value in values.items()
    ]


def _level(images: ScanImages, volume: Volume) -> float:
    if images.brain is None:
        message = f"{images.scan.stem}: no brain mask to measure sharpness in"
        raise ScanError(message)
    return gradient_level(volume, images.brain)
