"""Which scans of a travelling subject are compared with which, and how they are aligned.

Of every person the first usable scan at a site is used, and its second one there for the ceiling.
One rigid registration a pair is estimated on the images before harmonization; every method is then
judged through that same transform, so that no method gains by a better alignment.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.study import Study
from bids_harmonize.config import settings_hash
from bids_harmonize.imaging.head_pair import HeadScan, register_heads
from bids_harmonize.imaging.intensity import percentile_scaling
from bids_harmonize.imaging.types import Affine, Mask, Volume

# Raise when the registration changes, so that transforms of an older one are not reused.
_REGISTRATION_VERSION = 2


@dataclass(frozen=True)
class Pair:
    """Two scans of one person; ``moving`` is harmonized and moved onto ``fixed``.

    Attributes
    ----------
    kind
        ``direct`` (source to reference, against the real scan there), ``reverse`` (reference to
        source) or ``agreement`` (two source sites, both harmonized, against each other).
    rescan
        True for the ceiling: both scans are from the target site, and none is harmonized.
    """

    kind: str
    source_site: str
    target_site: str
    moving: DerivedScan
    fixed: DerivedScan
    rescan: bool = False


@dataclass(frozen=True, eq=False)
class ScanImages:
    """A scan's volume in native units, its place and its masks."""

    scan: DerivedScan
    volume: Volume
    affine: Affine
    head: Mask
    brain: Mask | None

    def rescaled(self, volume: Volume, scaling_mask: str) -> Volume:
        """A version of this scan by its own 1st and 99th percentile; 0 outside the head.

        Parameters
        ----------
        volume
            Shape (I, J, K), any intensity unit.
        scaling_mask
            ``brain`` or ``head``: where the percentiles are taken.

        Returns
        -------
        ndarray
            Float32; any affine change of the intensities gives the same result.
        """
        inside = self.brain if scaling_mask == "brain" and self.brain is not None else self.head
        scaled = percentile_scaling(volume, inside).apply(volume)
        return np.where(self.head, scaled, np.float32(0))


def read_scan_images(scan: DerivedScan) -> ScanImages:
    """The images of one scan, read from the derivatives.

    Parameters
    ----------
    scan
        A scan of the study.

    Returns
    -------
    ScanImages
        Volume in native units and masks on the study grid.

    Raises
    ------
    ScanError
        If a file cannot be read.
    """
    volume, affine = read_image(scan.t1w)
    head = read_image(scan.head_mask)[0] > 0
    brain = None if scan.brain_mask is None else read_image(scan.brain_mask)[0] > 0
    return ScanImages(scan=scan, volume=volume, affine=affine, head=head, brain=brain)


def plan_pairs(study: Study) -> tuple[Pair, ...]:
    """Every comparison that the travelling subjects allow.

    Parameters
    ----------
    study
        The study; scans with a doubtful mask take no part.

    Returns
    -------
    tuple of Pair
        Sorted by person; empty without travelling subjects.
    """
    pairs: list[Pair] = []
    for person in sorted(study.travelling):
        scans: dict[str, list[DerivedScan]] = {}
        for scan in study.scans:
            known = scan.site in {*study.trained_sites, study.reference_site}
            if scan.participant_id == person and scan.usable and known:
                scans.setdefault(scan.site, []).append(scan)
        pairs.extend(_pairs_of(scans, study.reference_site))
    return tuple(pairs)


def _pairs_of(scans: dict[str, list[DerivedScan]], reference: str) -> Iterable[Pair]:
    others = sorted(set(scans) - {reference})
    if reference in scans:
        for site in others:
            for kind, source, target in (
                ("direct", site, reference),
                ("reverse", reference, site),
            ):
                yield Pair(kind, source, target, scans[source][0], scans[target][0])
                if len(scans[target]) > 1:
                    second, first = scans[target][1], scans[target][0]
                    yield Pair(kind, source, target, second, first, rescan=True)
    for one, two in combinations(others, 2):
        yield Pair("agreement", one, two, scans[one][0], scans[two][0])


def pair_transform(pair: Pair, images: Sequence[ScanImages], *, folder: Path) -> Affine:
    """The rigid transform of a pair: estimated once, kept in the work directory.

    Parameters
    ----------
    pair
        Which scans.
    images
        Images of ``pair.moving`` and ``pair.fixed``, as they are.
    folder
        Where transforms are kept; one is estimated again when a file has changed.

    Returns
    -------
    ndarray
        4x4 matrix, mm, RAS+, from the world of ``pair.fixed`` to that of ``pair.moving``. For
        ``reverse`` it is the inverse of what was estimated for ``direct``.
    """
    moving, fixed = images
    if pair.kind == "reverse" and not pair.rescan:
        there = _estimate(fixed, moving, folder=folder)
        return np.asarray(np.linalg.inv(there), dtype=np.float64)
    return _estimate(moving, fixed, folder=folder)


def _estimate(moving: ScanImages, fixed: ScanImages, *, folder: Path) -> Affine:
    path = folder / f"{moving.scan.stem}_to_{fixed.scan.stem}.json"
    content = settings_hash(_REGISTRATION_VERSION, _stamp(moving.scan), _stamp(fixed.scan))
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["content"] == content:
            return np.array(kept["fixed_to_moving_mm"], dtype=np.float64)
    transform = register_heads(_head_scan(moving), _head_scan(fixed))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, {"content": content, "fixed_to_moving_mm": transform.tolist()})
    return transform


def _head_scan(images: ScanImages) -> HeadScan:
    return HeadScan(images.volume, images.affine, images.head, images.brain)


def _stamp(scan: DerivedScan) -> list[object]:
    files = [path for path in (scan.t1w, scan.head_mask, scan.brain_mask) if path is not None]
    return [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
