"""A site's only mark: a bright patch at a known place in everybody's brain.

The patch is a Gaussian ball in the person's own millimetres, around the place to which the
person's warp carries a point of the template. It is part of the signal, before the point spread,
so that noise, coil field and interpolation treat it as they treat anatomy.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bids_harmonize.phantom.canvas import LATTICE_MM, Canvas
from bids_harmonize.phantom.person import SIZE_CENTRE_MM, Person
from bids_harmonize.phantom.shapes import Point

_INVERSION_STEPS = 30


@dataclass(frozen=True)
class Cue:
    """A bright patch.

    Attributes
    ----------
    template_mm
        Its centre in the template's world, mm, RAS+.
    radius_mm
        Distance at which the brightening has fallen to 61 % (one sigma of a Gaussian), mm.
    brightening
        Relative gain of signal at the centre: 0.4 is 40 % brighter.
    """

    template_mm: Point
    radius_mm: float
    brightening: float


def place_in(person: Person, template_mm: Point) -> np.ndarray:
    """Where a point of the template lies in a person: the person's warp, inverted.

    Parameters
    ----------
    person
        The head at rest.
    template_mm
        In the template's world, mm.

    Returns
    -------
    numpy.ndarray
        In the person's world, mm, shape (3,), to .01 mm.
    """
    wanted = np.array(template_mm, dtype=np.float64)
    lattice = Canvas(LATTICE_MM)
    place = wanted
    for _ in range(_INVERSION_STEPS):
        at = (place - lattice.affine[:3, 3]) / LATTICE_MM
        moved = [
            ndimage.map_coordinates(part, at[:, None], order=1, mode="nearest")[0]
            for part in person.displacement_mm
        ]
        place = SIZE_CENTRE_MM + person.traits.size * (wanted - moved - SIZE_CENTRE_MM)
    return place


def brightening_map(
    cue: Cue, centre_mm: np.ndarray, shape: tuple[int, ...], affine: np.ndarray
) -> np.ndarray:
    """Factor on the signal at every voxel of a grid.

    Parameters
    ----------
    cue
        Radius and strength.
    centre_mm
        Where the patch lies in the grid's world, mm, shape (3,).
    shape
        Of the grid, (I, J, K).
    affine
        4x4, voxel to world, mm; its axes are the world's.

    Returns
    -------
    numpy.ndarray
        float32, ``1 + brightening`` at the centre, 1 far away.

    Examples
    --------
    >>> cue = Cue((0.0, 0.0, 0.0), 6.0, 0.4)
    >>> found = brightening_map(cue, np.zeros(3), (3, 1, 1), np.diag([6.0, 6.0, 6.0, 1.0]))
    >>> [round(float(value), 3) for value in found[:, 0, 0]]
    [1.4, 1.243, 1.054]
    """
    profiles = [
        np.exp(
            -((affine[axis, 3] + affine[axis, axis] * np.arange(count) - centre_mm[axis]) ** 2)
            / (2 * cue.radius_mm**2)
        )
        for axis, count in enumerate(shape)
    ]
    i, j, k = np.ix_(*profiles)
    return (1.0 + cue.brightening * i * j * k).astype(np.float32)
