"""What a T1w head shows outside the skull: face, neck, air ways, eyes, jaw, spine.

Solids in the template's world (mm, RAS+), sized after adult heads and placed by eye. They are
there so that head masks, fields of view and coil fields meet what they meet in real scans; they
are no anatomical atlas.
"""

from dataclasses import dataclass

import numpy as np

from bids_harmonize.phantom.shapes import (
    Coordinates,
    Point,
    ellipsoid,
    smooth_union,
    soft_inside,
    tube,
)

_CORD: tuple[Point, ...] = ((0, -36, -66), (0, -44, -90), (0, -46, -115), (0, -42, -170))
_JAW: tuple[Point, ...] = (
    (-47, 4, -52), (-45, 14, -88), (-27, 54, -106), (0, 72, -110),
    (27, 54, -106), (45, 14, -88), (47, 4, -52),
)  # fmt: skip
_TEETH: tuple[Point, ...] = (
    (-25, 34, -82),
    (-20, 58, -83),
    (0, 73, -83),
    (20, 58, -83),
    (25, 34, -82),
)
_AIRWAY: tuple[Point, ...] = ((0, 40, -60), (0, 16, -66), (0, 6, -85), (0, 4, -120), (0, 10, -170))


@dataclass(frozen=True)
class _Solid:
    """One painted solid; ``mirrored`` paints it at -x too."""

    tissue: str
    centre: Point
    radii: Point
    mirrored: bool = False


# Painted in this order, later ones on top.
_SOLIDS: tuple[_Solid, ...] = (
    _Solid("fat", (48, 50, -66), (15, 14, 20), mirrored=True),  # cheek
    _Solid("fat", (58, -8, -76), (9, 14, 20), mirrored=True),  # parotid region
    _Solid("marrow", (0, 36, -74), (40, 36, 9)),  # upper jaw and palate
    _Solid("muscle", (0, 40, -93), (24, 32, 14)),  # tongue
    _Solid("bone", (0, 66, -48), (22, 16, 26)),  # nasal bones and septum
    _Solid("air", (5, 56, -52), (4, 34, 16), mirrored=True),  # nasal cavity
    _Solid("muscle", (9, 52, -54), (3, 24, 7), mirrored=True),  # turbinates
    _Solid("air", (29, 52, -62), (13, 15, 13), mirrored=True),  # maxillary sinus
    _Solid("air", (7, 30, -44), (6, 11, 8), mirrored=True),  # sphenoid sinus
    _Solid("air", (66, -30, -46), (7, 12, 12), mirrored=True),  # mastoid cells
    _Solid("fat", (29, 54, -40), (17, 24, 15), mirrored=True),  # orbit
    _Solid("muscle", (20, 46, -40), (3, 22, 3), mirrored=True),  # optic nerve and muscles
    _Solid("muscle", (38, 48, -40), (3, 18, 4), mirrored=True),
    _Solid("fluid", (33, 69, -40), (12, 12, 12), mirrored=True),  # eye
    _Solid("muscle", (33, 76.5, -40), (5, 2.5, 5), mirrored=True),  # lens
)


def outer_surface(at: Coordinates, cranium: np.ndarray) -> np.ndarray:
    """Signed distance to the skin of head, face, nose, ears and neck, mm.

    Parameters
    ----------
    at
        World coordinates in mm, open grids.
    cranium
        Signed distance to the outer surface of the scalp of the brain case, mm.

    Returns
    -------
    numpy.ndarray
        Negative inside.
    """
    face = ellipsoid(at, centre=(0, 28, -46), radii=(67, 63, 80))
    chin = ellipsoid(at, centre=(0, 70, -108), radii=(27, 21, 17))
    lips = ellipsoid(at, centre=(0, 84, -84), radii=(24, 14, 16))
    brow = ellipsoid(at, centre=(0, 72, -14), radii=(48, 18, 14))
    nose = tube(at, points=((0, 84, -22), (0, 99, -46), (0, 104, -52)), radius=7.5)
    wings = ellipsoid(at, centre=(0, 94, -56), radii=(17, 12, 9))
    neck = tube(_flattened(at), points=((0, -34, -60), (0, -40, -110), (0, -38, -190)), radius=60)
    skin = smooth_union(cranium, face, width_mm=24)
    for part, width in ((neck, 34), (chin, 16), (lips, 14), (brow, 14), (nose, 14), (wings, 8)):
        skin = smooth_union(skin, part, width_mm=width)
    for side in (-1, 1):
        ear = ellipsoid(at, centre=(side * 84, -22, -34), radii=(5, 15, 27))
        skin = smooth_union(skin, ear, width_mm=6)
    return skin


def _flattened(at: Coordinates) -> Coordinates:
    """Coordinates in which an elliptic neck is round: a little narrower than deep."""
    return at[0] * 1.02, at[1], at[2]


def paint_details(at: Coordinates, fractions: np.ndarray, index: dict[str, int]) -> None:
    """Paint air ways, sinuses, eyes, jaw and spine into the fraction maps, in place.

    Parameters
    ----------
    at
        World coordinates in mm, open grids.
    fractions
        Shape ``(n, I, J, K)``, in [0, 1]; what is left to 1 stays plain scalp and muscle.
    index
        Place of each tissue, and of ``"air"``, in ``fractions``.
    """
    for solid in _SOLIDS:
        for side in (1, -1) if solid.mirrored else (1,):
            x, y, z = solid.centre
            distance = ellipsoid(at, centre=(side * x, y, z), radii=solid.radii)
            _paint(fractions, solid.tissue, distance, index)
    for tissue, points, radius in (
        ("bone", _JAW, 8.0), ("marrow", _JAW, 4.5), ("bone", _TEETH, 6.0), ("air", _AIRWAY, 6.5),
    ):  # fmt: skip
        _paint(fractions, tissue, tube(at, points=points, radius=radius), index)
    _paint_spine(at, fractions, index)


def _paint_spine(at: Coordinates, fractions: np.ndarray, index: dict[str, int]) -> None:
    below_skull = soft_inside(at[2] + 66.0, width_mm=6.0)
    bodies = [(x, y + 21.0, z - 8.0) for x, y, z in _CORD]
    column = tube(at, points=bodies, radius=11.0)
    disc = np.abs(np.mod(at[2], 19.0) - 9.5) - 7.0  # 14 mm of body, 5 mm of disc
    _paint(fractions, "bone", column, index, where=below_skull)
    _paint(fractions, "marrow", np.maximum(column + 2.0, disc), index, where=below_skull)
    spines = tube(at, points=[(x, y - 24.0, z - 6.0) for x, y, z in _CORD], radius=5.0)
    _paint(fractions, "bone", np.maximum(spines, disc + 2.0), index, where=below_skull)
    for tissue, radius in (("bone", 13.0), ("fluid", 9.5), ("cord", 5.5)):
        _paint(fractions, tissue, tube(at, points=_CORD, radius=radius), index, where=below_skull)


def _paint(
    fractions: np.ndarray,
    tissue: str,
    distance: np.ndarray,
    index: dict[str, int],
    where: np.ndarray | float = 1.0,
) -> None:
    """Put a solid on top of what is there; only the box around it is touched."""
    inside = np.broadcast_to(soft_inside(distance, width_mm=2.0) * where, fractions.shape[1:])
    box = tuple(
        slice(hits[0], hits[-1] + 1) if len(hits) else slice(0, 0)
        for hits in (np.flatnonzero(inside.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    )
    part = fractions[(slice(None), *box)]
    part *= 1.0 - inside[box]
    part[index[tissue]] += inside[box]
