"""Tissue maps of the conformed scan, and the deformation to the template."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.atlases import load_template
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.tissue import find_tissue
from bids_harmonize.imaging.types import Affine, Array, Volume
from bids_harmonize.preprocessing.steps.brain import load_brain
from bids_harmonize.preprocessing.steps.conform import Conformed


@dataclass(frozen=True, eq=False)
class Tissue:
    """What :func:`find_tissue_maps` hands on.

    Parameters
    ----------
    gm, wm, csf
        Probabilities, float32 of shape (I, J, K) on the study grid, 0 outside the brain mask.
    template_to_scan
        4x4, mm, RAS+: linear part of the way from the template to the scan.
    displacement_mm
        float32 (I, J, K, 3), RAS, mm; a template point p goes to ``template_to_scan @ (p + u)``.
    displacement_affine
        4x4, voxel to world, of the displacements' grid in the template.
    """

    gm: Volume
    wm: Volume
    csf: Volume
    template_to_scan: Affine
    displacement_mm: Array
    displacement_affine: Affine

    def save(self, path: Path) -> None:
        """Write all arrays to an uncompressed ``.npz`` file."""
        np.savez(path, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> "Tissue":
        """Read what :meth:`save` wrote."""
        with np.load(path) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})

    @property
    def displacement_grid(self) -> Grid:
        """Where the displacements lie, in the template's world."""
        i, j, k = self.displacement_mm.shape[:3]
        return Grid(shape=(i, j, k), affine=self.displacement_affine)


def find_tissue_maps(conformed_file: Path, brain_file: Path, out_file: Path) -> dict[str, Any]:
    """Grey matter, white matter and fluid, and the way from the template to the scan.

    Parameters
    ----------
    conformed_file
        A :class:`Conformed` scan, without its bias field where that was asked for.
    brain_file
        What :func:`mask_brain` wrote.
    out_file
        Where the :class:`Tissue` goes.

    Returns
    -------
    dict
        ``flags``, ``doubtful``, ``volumes_ml``, ``correlation`` and ``jacobian_range``.

    Raises
    ------
    ScanError
        If no tissue is found.
    """
    scan = Conformed.load(conformed_file)
    brain_mask, world_to_template = load_brain(brain_file)
    found = find_tissue(
        scan.volume, scan.affine, brain_mask, load_template(), to_template=world_to_template
    )
    way = found.deformation
    Tissue(
        gm=found.gm,
        wm=found.wm,
        csf=found.csf,
        template_to_scan=way.template_to_scan,
        displacement_mm=way.displacement_mm,
        displacement_affine=way.grid.affine,
    ).save(out_file)
    return {
        "flags": list(found.flags),
        "doubtful": bool(found.doubtful),
        "volumes_ml": {name: round(float(ml), 2) for name, ml in found.volumes_ml.items()},
        "correlation": round(float(way.correlation), 4),
        "jacobian_range": [round(float(value), 4) for value in way.jacobian_range],
    }
