"""Saliency maps on disk: one a scan on the study grid, and their mean per site on the template."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from bids_harmonize.atlases.templates import load_template
from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image, read_mask, write_image
from bids_harmonize.bids.names import scan_output, site_output
from bids_harmonize.bids.provenance import bids_uri
from bids_harmonize.bids.sidecars import read_json, remove_with_sidecar, sidecar_path
from bids_harmonize.bids.study import Study
from bids_harmonize.imaging._itk import from_itk_transform
from bids_harmonize.imaging.grid import Grid, centred_grid, resample
from bids_harmonize.imaging.resampling import resample_through
from bids_harmonize.imaging.types import Affine

UNITS = "log-odds per mL"
METHOD = "integrated gradients against training scans of the other sites, Gaussian of 1 voxel"
_TEMPLATE_MM = 2.0
_MM3_PER_ML = 1000.0


def write_scan_map(
    study: Study,
    scan: DerivedScan,
    saliency: np.ndarray,
    *,
    resolution_mm: float,
    model: str,
) -> Path:
    """Write a scan's saliency map on the study grid, 0 outside the head.

    Parameters
    ----------
    study, scan
        Where the map belongs.
    saliency
        Float32 on the network's grid, log-odds a voxel.
    resolution_mm
        Voxel size of that grid, mm.
    model
        Which network was asked, in words for the sidecar.

    Returns
    -------
    Path
        The map; its values are log-odds per mL, so that they do not depend on the voxel size.
    """
    head, affine = read_mask(scan.head_mask)
    i, j, k = head.shape
    study_grid = Grid(shape=(i, j, k), affine=affine)
    density = saliency / np.float32(resolution_mm**3 / _MM3_PER_ML)
    if saliency.shape != head.shape:
        own_affine = network_affine(study_grid, saliency.shape, resolution_mm=resolution_mm)
        density = resample(density, own_affine, study_grid, interpolation="linear")
    path = scan_output(study.output_dir, scan.stem, "site_saliency")
    write_image(path, np.where(head, density, np.float32(0)), affine)
    sidecar = {
        "Description": f"How much each voxel speaks for the site {scan.site} and against the "
        "other sites, in the eyes of a network that has not seen this person.",
        "Units": UNITS,
        "Site": scan.site,
        "Method": METHOD,
        "Model": model,
        "SkullStripped": read_json(sidecar_path(scan.t1w)).get("SkullStripped", False),
        "Sources": [bids_uri(scan.t1w, study.output_dir)],
    }
    write_json(sidecar_path(path), sidecar)
    return path


def write_site_mean(study: Study, site: str, scans: Sequence[DerivedScan]) -> Path:
    """Write the mean saliency map of a site on the ICBM 2009a template.

    Parameters
    ----------
    study
        Where the map belongs.
    site
        Real name of the site.
    scans
        Scans of the site whose maps and affines to the template are on disk.

    Returns
    -------
    Path
        The map, log-odds per mL of the scans' own volume.
    """
    grid = template_grid(study)
    total = np.zeros(grid.shape, dtype=np.float64)
    for scan in scans:
        saliency, affine = read_image(scan_output(study.output_dir, scan.stem, "site_saliency"))
        transform = template_to_scan(study, scan)
        total += resample_through(saliency, affine, transform, grid, interpolation="linear")
    path = site_output(study.output_dir, site, "site_mean_saliency")
    write_image(path, (total / len(scans)).astype(np.float32), grid.affine)
    sidecar = {
        "Description": f"Mean over {len(scans)} scans of how much each place speaks for the site "
        f"{site}, on the ICBM152 2009a symmetric template.",
        "Units": UNITS,
        "Site": site,
        "Method": METHOD,
        "SkullStripped": False,
        "Sources": [
            bids_uri(scan_output(study.output_dir, scan.stem, "site_saliency"), study.output_dir)
            for scan in scans
        ],
    }
    write_json(sidecar_path(path), sidecar)
    return path


def network_affine(study_grid: Grid, shape: tuple[int, ...], *, resolution_mm: float) -> Affine:
    """4x4 voxel-to-world matrix, mm, of a scan's volume on the network's grid.

    Parameters
    ----------
    study_grid
        Where the scan lies.
    shape
        Shape (I, J, K) of the network's volume; the study's own where it is not coarser.
    resolution_mm
        Its voxel size, mm.

    Returns
    -------
    ndarray
        Around the same centre.
    """
    if tuple(shape) == tuple(study_grid.shape):
        return study_grid.affine
    x, y, z = shape
    return centred_grid(study_grid, resolution_mm=resolution_mm, shape=(x, y, z)).affine


def template_grid(study: Study) -> Grid:
    """The template's grid at 2 mm, or at the study's voxel size where that is coarser."""
    template = load_template(max(_TEMPLATE_MM, study.voxel_size_mm))
    i, j, k = template.t1.shape
    return Grid(shape=(i, j, k), affine=template.affine)


def template_to_scan(study: Study, scan: DerivedScan) -> Affine:
    """4x4 matrix, mm, RAS+, from the template's world to the preprocessed scan's."""
    path = scan_output(study.output_dir, scan.stem, "xfm_preproc_to_template")
    return from_itk_transform(sitk.ReadTransform(str(path)))


def has_template_transform(study: Study, scan: DerivedScan) -> bool:
    """Whether the participant level left an affine to the template."""
    return scan_output(study.output_dir, scan.stem, "xfm_preproc_to_template").is_file()


def remove_old_maps(study: Study, *, keep: Iterable[Path]) -> None:
    """Take away maps of an earlier run that this one has not made anew.

    Parameters
    ----------
    study
        The study.
    keep
        The maps of this run.
    """
    kept = set(keep)
    found = [scan_output(study.output_dir, scan.stem, "site_saliency") for scan in study.scans]
    found += [
        site_output(study.output_dir, site, "site_mean_saliency")
        for site in sorted({scan.site for scan in study.scans})
    ]
    for path in found:
        if path not in kept:
            remove_with_sidecar(path)
