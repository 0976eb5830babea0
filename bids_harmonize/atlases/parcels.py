"""Three hundred parcels of the brain: each place belongs to the nearest of 300 known ones.

Choice: Voronoi cells of the 300 regions of Seitzman et al., whose coordinates lie inside the
nilearn wheel. Reason: they cover cortex, deep grey matter and cerebellum, belong to named
networks, and need no download. Rejected: parcellations by gyri (each is a download, and several
licences forbid redistribution). They are places, not gyri: never call a parcel's volume the
thickness of anything. A user's own label image (``--atlas``) takes their place.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial import cKDTree

from bids_harmonize.atlases.regions import Regions
from bids_harmonize.atlases.templates import load_template
from bids_harmonize.errors import HarmonizeError

N_PARCELS: Final = 300
_COORDINATES: Final = "seitzman_2018_ROIs_300inVol_MNI_allInfo.txt"
_ANATOMY: Final = "seitzman_2018_ROIs_anatomicalLabels.txt"
_DEEP: Final = {
    3: "hippocampus",
    4: "amygdala",
    5: "basalGanglia",
    6: "thalamus",
    7: "cerebellum",
}
"""Anatomical labels that name a parcel before its network does; 0 to 2 are cortex."""


@cache
def load_parcels(resolution_mm: float = 2.0) -> Regions:
    """The parcels on the template's grid; the labels are read-only.

    Parameters
    ----------
    resolution_mm
        Voxel size, mm, at least 1.

    Returns
    -------
    Regions
        Names such as ``defaultMode_left_07``: network (or deep structure), side, and number from
        front to back. Every voxel of the grid has a parcel: a place left of the midline the
        nearest one there or on the midline, a place outside the brain that of the nearest voxel
        inside.

    Raises
    ------
    HarmonizeError
        If the nilearn that is installed does not hold the coordinates or the template.

    References
    ----------
    Seitzman et al. 2020, doi:10.1016/j.neuroimage.2019.116290
    """
    places = _places()
    template = load_template(resolution_mm)
    brain = ndimage.binary_fill_holes(template.brain_mask)
    voxels = np.argwhere(brain)
    points = voxels @ template.affine[:3, :3].T + template.affine[:3, 3]
    labels = np.zeros(brain.shape, dtype=np.int16)
    centres = places[["x", "y", "z"]].to_numpy()
    sides = places["side"].to_numpy()
    for side, own in (("left", points[:, 0] < 0), ("right", points[:, 0] >= 0)):
        offered = np.flatnonzero((sides == side) | (sides == "middle"))
        _, nearest = cKDTree(centres[offered]).query(points[own])
        labels[tuple(voxels[own].T)] = 1 + offered[nearest]
    inside = ndimage.distance_transform_edt(~brain, return_distances=False, return_indices=True)
    labels = labels[tuple(inside)]
    labels.flags.writeable = False
    names = {1 + place: name for place, name in enumerate(places["name"])}
    return Regions(labels=labels, names=names, affine=template.affine)


def parcel_places() -> pd.DataFrame:
    """Where the parcels' centres lie.

    Returns
    -------
    DataFrame
        Index: names as of :func:`load_parcels`; columns x, y and z (MNI, mm).

    Raises
    ------
    HarmonizeError
        If the nilearn that is installed does not hold the coordinates.
    """
    return _places().set_index("name")[["x", "y", "z"]]


def _places() -> pd.DataFrame:
    """Coordinates (MNI, mm), side and name of every parcel, in the order of the file."""
    folder = files("nilearn") / "datasets" / "data"
    rows = [line.split() for line in _lines(folder / _COORDINATES)]
    anatomy = [int(line) for line in _lines(folder / _ANATOMY)]
    if len(rows) != N_PARCELS or len(anatomy) != N_PARCELS:
        message = (
            f"{_COORDINATES} of the nilearn that is installed has {len(rows)} regions and "
            f"{_ANATOMY} {len(anatomy)}, expected {N_PARCELS}; install another version"
        )
        raise HarmonizeError(message)
    frame = pd.DataFrame([row[:3] for row in rows], columns=["x", "y", "z"], dtype=np.float64)
    frame["side"] = np.where(frame["x"] < 0, "left", "right")
    frame.loc[frame["x"].abs() < 1.0, "side"] = "middle"
    frame["group"] = [_DEEP.get(part, row[5]) for part, row in zip(anatomy, rows, strict=True)]
    rank = frame.sort_values("y", ascending=False).groupby(["group", "side"]).cumcount() + 1
    frame["name"] = [
        f"{group}_{side}_{number:02d}"
        for group, side, number in zip(
            frame["group"], frame["side"], rank[frame.index], strict=True
        )
    ]
    return frame


def _lines(path: object) -> list[str]:
    """All lines but the header; raises HarmonizeError where the file is not there."""
    try:
        text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]
    except OSError as error:
        message = f"{path} is missing: expected it inside the nilearn package: {error}"
        raise HarmonizeError(message) from None
    return [line for line in text.splitlines()[1:] if line.strip()]
