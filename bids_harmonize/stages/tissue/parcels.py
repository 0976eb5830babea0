"""Grey matter of the parcels that the disorder is looked for in: volume and density."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from bids_harmonize.atlases.parcels import load_parcels
from bids_harmonize.atlases.regions import Regions
from bids_harmonize.imaging.regional import volume_by_region
from bids_harmonize.imaging.types import Array, Volume
from bids_harmonize.stages.classification.atlas import OUTSIDE, load_atlas
from bids_harmonize.tables.own import PARCEL_PREFIX

_RESOLUTION_MM: Final = 2.0
_DENSITY_DECIMALS: Final = 4


@lru_cache(maxsize=2)
def study_parcels(atlas: str | None) -> Regions:
    """The parcels of ``--atlas``, or those that the app brings; label 0 is no parcel.

    Parameters
    ----------
    atlas
        Path of a label image on the template; ``None`` takes the 300 of
        :mod:`bids_harmonize.atlases.parcels`.

    Returns
    -------
    Regions
        Labels on the template's grid at 2 mm.

    Raises
    ------
    UnusableDataError
        If the label image cannot be used.
    """
    if atlas is None:
        return load_parcels(_RESOLUTION_MM)
    return load_atlas(Path(atlas), resolution_mm=_RESOLUTION_MM)


def parcel_names(atlas: str | None) -> dict[int, str]:
    """Label to the parcel's name in columns: letters, digits and single underscores."""
    names = study_parcels(atlas).names
    own = {label: _word(name) for label, name in names.items() if name != OUTSIDE}
    several = [word for word in own.values() if list(own.values()).count(word) > 1]
    return {
        label: f"{word}_{label}" if word in several or not word else word
        for label, word in own.items()
    }


def parcel_features(atlas: str | None) -> tuple[str, ...]:
    """All columns of the parcels, in the order of the table."""
    names = parcel_names(atlas).values()
    return (
        *(f"{PARCEL_PREFIX}{name}_volume_ml" for name in names),
        *(f"{PARCEL_PREFIX}{name}_density" for name in names),
    )


def measure_parcels(
    grey: Volume, points: Array, *, voxel_ml: float, atlas: str | None
) -> dict[str, float]:
    """Volume and density of grey matter in every parcel, in the scan's own space.

    Parameters
    ----------
    grey
        float32 (n,): share of grey matter in the voxels of the brain.
    points
        Array (3, n), mm, RAS+: where they lie in the template.
    voxel_ml
        Volume of a voxel, mL.
    atlas
        As for :func:`study_parcels`.

    Returns
    -------
    dict
        Column to value: mL, and the mean share of grey matter in the parcel (0 to 1; NaN where no
        voxel of the brain lies in it).
    """
    parcels = study_parcels(atlas)

    def summed(share: Volume) -> dict[int, float]:
        return volume_by_region(
            share,
            points,
            voxel_ml=voxel_ml,
            regions=parcels.labels,
            affine=parcels.affine,
            labels=parcels.names,
        )

    tissue, whole = summed(grey), summed(np.ones_like(grey))
    values: dict[str, float] = {}
    for label, name in parcel_names(atlas).items():
        size = whole[label]
        values[f"{PARCEL_PREFIX}{name}_volume_ml"] = round(tissue[label], 3)
        share = round(tissue[label] / size, _DENSITY_DECIMALS) if size else float("nan")
        values[f"{PARCEL_PREFIX}{name}_density"] = share
    return {name: values[name] for name in parcel_features(atlas)}


def parcel_columns(atlas: str | None, *, voxel_size_mm: float) -> dict[str, dict[str, Any]]:
    """Descriptions of the columns.

    Parameters
    ----------
    atlas
        As for :func:`study_parcels`.
    voxel_size_mm
        Of the study's grid.

    Returns
    -------
    dict
        Column to description.
    """
    parcels = study_parcels(atlas)
    source = (
        f"{parcels.atlas}, sha256 {parcels.sha256}"
        if parcels.atlas
        else "the nearest of 300 places (Seitzman 2020, doi:10.1016/j.neuroimage.2019.116290)"
    )
    size = {"Units": "mL", "VoxelSize": voxel_size_mm, "VoxelSizeUnits": "mm"}
    described: dict[str, dict[str, Any]] = {}
    for label, name in parcel_names(atlas).items():
        words = f"the parcel {parcels.names[label]} ({source}), in the scan's own space"
        described[f"{PARCEL_PREFIX}{name}_volume_ml"] = {
            "Description": f"grey matter of {words}",
            **size,
        }
        described[f"{PARCEL_PREFIX}{name}_density"] = {
            "Description": f"mean share of grey matter in {words}, 0 to 1",
        }
    return {name: described[name] for name in parcel_features(atlas)}


def _word(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
