"""STUB until the branch tissue is merged: intensities alone, no deformation."""

from dataclasses import dataclass

import numpy as np

from bids_harmonize.imaging.geometry import Grid, cover_grid, invert
from bids_harmonize.imaging.mixture import fit_mixture
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume


@dataclass(frozen=True, eq=False)
class Deformation:
    """STUB."""

    template_to_scan: Affine
    displacement_mm: Array
    grid: Grid
    jacobian_range: tuple[float, float]
    correlation: float


@dataclass(frozen=True, eq=False)
class TissueResult:
    """STUB."""

    gm: Volume
    wm: Volume
    csf: Volume
    deformation: Deformation
    volumes_ml: dict[str, float]
    doubtful: bool
    flags: tuple[str, ...]


def find_tissue(
    volume: Volume,
    affine: Affine,
    brain_mask: Mask,
    template: TemplateImages,
    *,
    to_template: Affine,
) -> TissueResult:
    """STUB."""
    means = np.array(fit_mixture(volume[brain_mask]).means)
    nearest = np.abs(volume[..., None] - means).argmin(axis=-1)
    maps = [(brain_mask & (nearest == n)).astype(np.float32) for n in range(3)]
    grid = cover_grid(template.t1.shape, template.affine, resolution_mm=8.0)
    field = np.zeros((*grid.shape, 3), np.float32)
    field[..., 0] = 0.5
    ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1e3
    sums = {
        name: float(part.sum()) * ml for name, part in zip(("csf", "gm", "wm"), maps, strict=True)
    }
    return TissueResult(
        gm=maps[1],
        wm=maps[2],
        csf=maps[0],
        deformation=Deformation(invert(to_template), field, grid, (1.0, 1.0), 0.7),
        volumes_ml=sums,
        doubtful=False,
        flags=(),
    )
