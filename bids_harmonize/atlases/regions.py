"""Coarse regions of the head on the ICBM 2009a template, by coordinate rules.

Choice: rules on millimetre coordinates of the template, inside and outside its brain. Reason: no
label image with a free licence lies in the packages that we install, nothing is downloaded at run
time, and the question is "forehead or frontal lobe, cerebellum or neck", not which gyrus.
Rejected: atlases of nilearn's ``fetch_*`` (a download; several licences forbid use). A user's own
label image (``--atlas``) makes another :class:`Regions`.

Rules inside the brain (x left to right, y back to front, z up; mm; the first that fits counts):

* *brainstem*: within 17 mm to either side of the midline and 13 mm before or behind the line
  through (y, z) = (-20, -6), (-27, -30), (-44, -64), below z = -6;
* *cerebellum*: behind y = -34 and below a tentorium that falls from z = -1 at the midline by
  0.45 mm a mm to the sides, and by 0.35 mm a mm behind y = -60;
* *deep grey matter and ventricles*: a box with rounded edges around (0, -6, 8), half axes 35, 36
  and 22 mm (superellipsoid of order 4): basal ganglia, thalamus, inner capsule, lateral
  ventricles, and the insula's inner part;
* *occipital lobe*: behind y = -62, and above z = 5 behind y = -62 - 0.47 (z - 5);
* *temporal lobe*: below the Sylvian line z = -2 - 0.49 y and z = 15, before y = -62, more than
  15 mm from the midline (before y = 0 or behind y = -35: more than 24 mm, or below z = -26);
* *frontal lobe*: before the central line y = -8 - 0.45 (z - 15);
* *parietal lobe*: the rest.

Outside the brain: *orbits and eyes*: a box from 12 to 52 mm to the side, y 28 to 82, z -58 to -20;
*face*: before y = 20 and below z = -20; *skull base and neck*: below z = -45, or below z = -20
within 50 mm of the midline and before y = -75; *forehead*: before y = 35 and below z = 45;
*back of the head*: behind y = -75 and below z = 45; *top of the head*: above z = 45; *side of the
head* (temple, ear): the rest.

Limits: lobes are a centimetre or so off at their borders, white matter goes with its lobe, the
medial temporal lobe may count as deep grey matter, and people whose brains differ in shape from
the template differ from the rules. Below z = -72 mm the template has no voxels: chin and most of
the neck are on no mean map.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.atlases.templates import load_template
from bids_harmonize.imaging.types import Affine, Array, Mask

_BOTH_SIDES: Final = (
    "frontal lobe",
    "parietal lobe",
    "temporal lobe",
    "occipital lobe",
    "cerebellum",
    "deep grey matter and ventricles",
    "orbit and eye",
    "side of the head",
)
_MIDLINE: Final = (
    "brainstem",
    "face",
    "forehead",
    "top of the head",
    "back of the head",
    "skull base and neck",
)
BRAIN_REGIONS: Final = frozenset(
    [
        *(f"{side} {name}" for side in ("left", "right") for name in _BOTH_SIDES[:6]),
        "brainstem",
    ]
)
"""Names of regions inside the brain; all others are scalp, skull, face or neck."""


@dataclass(frozen=True, eq=False)
class Regions:
    """A label image: which region each voxel belongs to.

    Attributes
    ----------
    labels
        Integer array (I, J, K).
    names
        Name of each label; a label without one is no region.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    atlas, sha256
        File name and checksum of a user's label image; empty for the rules above.
    """

    labels: Array
    names: dict[int, str]
    affine: Affine
    atlas: str = ""
    sha256: str = ""


def load_regions(*, resolution_mm: float = 2.0) -> Regions:
    """The regions on the grid of the template.

    Parameters
    ----------
    resolution_mm
        Voxel size, mm, at least 1.

    Returns
    -------
    Regions
        Every voxel of the grid has a region; air has that of the nearest part of the head, so
        give a head mask where volumes count.

    Raises
    ------
    HarmonizeError
        If the nilearn that is installed does not hold the template.
    """
    template = load_template(resolution_mm)
    brain, affine = ndimage.binary_fill_holes(template.brain_mask), template.affine
    axes = [
        affine[axis, axis] * np.arange(n) + affine[axis, 3] for axis, n in enumerate(brain.shape)
    ]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    rules = [(name, brain & rule) for name, rule in _brain_rules(x, y, z)]
    rules += [(name, ~brain & rule) for name, rule in _outer_rules(x, y, z)]
    labels = np.zeros(brain.shape, dtype=np.int16)
    names: dict[int, str] = {}
    for name, rule in rules:
        free = rule & (labels == 0)
        if name in _MIDLINE:
            parts = [(name, free)]
        else:
            parts = [(f"left {name}", free & (x < 0)), (f"right {name}", free & (x >= 0))]
        for part_name, part in parts:
            names[len(names) + 1] = part_name
            labels[part] = len(names)
    return Regions(labels=labels, names=names, affine=affine)


@cache
def load_brain_regions(resolution_mm: float = 2.0) -> Regions:
    """The regions inside the brain alone, for volumes: the labels are read-only.

    Parameters
    ----------
    resolution_mm
        Voxel size, mm, at least 1.

    Returns
    -------
    Regions
        Names of :data:`BRAIN_REGIONS`; a voxel outside the brain has the region of the nearest
        voxel inside, for a brain that reaches beyond the template's is a brain all the same.

    Raises
    ------
    HarmonizeError
        If the nilearn that is installed does not hold the template.
    """
    found = load_regions(resolution_mm=resolution_mm)
    names = {label: name for label, name in found.names.items() if name in BRAIN_REGIONS}
    outside = ~np.isin(found.labels, list(names))
    nearest = ndimage.distance_transform_edt(outside, return_distances=False, return_indices=True)
    labels = found.labels[tuple(nearest)]
    labels.flags.writeable = False
    return Regions(labels=labels, names=names, affine=found.affine)


def _brain_rules(x: Array, y: Array, z: Array) -> list[tuple[str, Mask]]:
    """Region and where it may lie, in the order of precedence; the last takes the rest."""
    side = np.abs(x)
    everywhere = np.ones(np.broadcast_shapes(x.shape, y.shape, z.shape), dtype=bool)
    stem_y = np.interp(-z, (6, 30, 64), (-20, -27, -44))
    stem = (side <= 17) & (np.abs(y - stem_y) <= 13) & (z < -6)
    tentorium = -1 - 0.45 * side - 0.35 * np.maximum(-60 - y, 0)
    deep = (x / 35) ** 4 + ((y + 6) / 36) ** 4 + ((z - 8) / 22) ** 4 <= 1
    occipital = y < -62 - 0.47 * np.maximum(z - 5, 0)
    is_lateral = np.where((y > 0) | (y < -35), (side > 24) | (z < -26), side > 15)
    below_sylvian = (z < np.minimum(-2 - 0.49 * y, 15)) & is_lateral
    return [
        ("brainstem", stem),
        ("cerebellum", (y < -34) & (z < tentorium)),
        ("deep grey matter and ventricles", deep),
        ("occipital lobe", occipital & everywhere),
        ("temporal lobe", below_sylvian & (y >= -62)),
        ("frontal lobe", (y > -8 - 0.45 * (z - 15)) & everywhere),
        ("parietal lobe", everywhere),
    ]


def _outer_rules(x: Array, y: Array, z: Array) -> list[tuple[str, Mask]]:
    """The same outside the brain."""
    side = np.abs(x)
    everywhere = np.ones(np.broadcast_shapes(x.shape, y.shape, z.shape), dtype=bool)
    return [
        (
            "orbit and eye",
            (side >= 12) & (side <= 52) & (y >= 28) & (y <= 82) & (z >= -58) & (z <= -20),
        ),
        ("face", (y > 20) & (z < -20) & everywhere),
        ("skull base and neck", ((z < -45) | ((z < -20) & (side < 50))) & (y > -75)),
        ("top of the head", (z > 45) & everywhere),
        ("forehead", (y > 35) & everywhere),
        ("back of the head", (y < -75) & everywhere),
        ("side of the head", everywhere),
    ]
