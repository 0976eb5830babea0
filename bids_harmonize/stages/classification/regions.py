"""The regions of the template that hold most of a site's mean saliency."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from scipy import ndimage

from bids_harmonize.atlases.regions import Regions, load_regions
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.bids.names import site_output
from bids_harmonize.bids.study import Study
from bids_harmonize.imaging.grid import Grid
from bids_harmonize.imaging.resampling import resample_through
from bids_harmonize.stages.classification.maps import (
    has_template_transform,
    template_grid,
    template_to_scan,
)
from bids_harmonize.training.saliency import DEFAULT_METHOD

N_TOP: Final = 5
_SMOOTH_MM: Final = 4.0  # standard deviation; a single bright voxel of the mean is no peak
_N_HEADS = 10  # scans of a site that say where its heads lie on the template


def region_rows(
    study: Study,
    means: Mapping[tuple[str, str], np.ndarray],
    *,
    regions: Regions | None = None,
) -> list[dict[str, Any]]:
    """Rows of group_saliencyregions.tsv.

    Parameters
    ----------
    study
        Whose mean maps of the default method are on disk.
    means
        Method and site to the mean map of another method, on the template's grid.
    regions
        On the template's grid; by default the coarse regions of the head.

    Returns
    -------
    list of dict
        Five rows a site and method; none for a site without scans on the template.
    """
    grid = template_grid(study)
    if regions is None:
        regions = load_regions(resolution_mm=grid.voxel_size_mm[0])
    rows: list[dict[str, Any]] = []
    for site in study.trained_sites:
        placed = [
            scan
            for scan in study.training_scans
            if scan.site == site and has_template_transform(study, scan)
        ]
        if not placed:
            continue
        head = _usual_head(study, placed[:_N_HEADS], grid)
        maps = {method: mean for (method, where), mean in means.items() if where == site}
        path = site_output(study.output_dir, site, "site_mean_saliency")
        if path.is_file():
            maps = {DEFAULT_METHOD: read_image(path)[0], **maps}
        for method, mean in maps.items():
            rows += [
                {"site": site, "method": method, **row} for row in top_regions(mean, head, regions)
            ]
    return rows


def top_regions(mean: np.ndarray, head: np.ndarray, regions: Regions) -> list[dict[str, Any]]:
    """The regions with the largest shares of the positive part of a map.

    Parameters
    ----------
    mean
        The map, shape (I, J, K).
    head
        Bool, shape (I, J, K): nothing else counts.
    regions
        On the same grid.

    Returns
    -------
    list of dict
        rank (from 1), region, share (0..1 of the head's positive values), ratio (that share over
        the region's share of the head's volume), x_mm, y_mm, z_mm (the maximum of the map in the
        region after a Gaussian of 4 mm; template, RAS+). Empty where nothing is positive.
    """
    positive = np.clip(mean, 0, None) * head
    if not positive.any():
        return []
    voxel_mm = float(np.linalg.norm(regions.affine[:3, 0]))
    smooth = ndimage.gaussian_filter(mean * head, _SMOOTH_MM / voxel_mm, mode="constant")
    labels = np.array(sorted(regions.names))
    held = ndimage.sum_labels(positive, regions.labels, labels) / positive.sum(dtype=np.float64)
    size = ndimage.sum_labels(head, regions.labels, labels) / head.sum()
    rows = []
    for rank, place in enumerate(np.argsort(-held, kind="stable")[:N_TOP], start=1):
        if held[place] <= 0:
            break
        own = head & (regions.labels == labels[place])
        peak = np.unravel_index(np.where(own, smooth, -np.inf).argmax(), own.shape)
        x, y, z = (regions.affine[:3, :3] @ np.array(peak) + regions.affine[:3, 3]).tolist()
        rows.append(
            {
                "rank": rank,
                "region": regions.names[int(labels[place])],
                "share": float(held[place]),
                "ratio": float(held[place] / size[place]),
                "x_mm": x,
                "y_mm": y,
                "z_mm": z,
            }
        )
    return rows


def _usual_head(study: Study, scans: Sequence[DerivedScan], grid: Grid) -> np.ndarray:
    """Where at least half of these scans have head, bool on the template's grid."""
    total = np.zeros(grid.shape, dtype=np.float64)
    for scan in scans:
        head, affine = read_mask(scan.head_mask)
        to_scan = template_to_scan(study, scan)
        share = head.astype(np.float32)
        total += resample_through(share, affine, to_scan, grid, interpolation="linear")
    usual: np.ndarray = total >= 0.5 * len(scans)
    return usual
