"""A skull and a scalp for a brain that has none: real anatomy inside a head whose truth is known.

Choice: distance from the smoothed hull of the brain, with smooth random thickness. Reason: the
phantom's brain is the template's, so only other people's brains tell how well a template finds
them. Arrays in, arrays out.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.geometry import Grid, straight_grid
from bids_harmonize.imaging.morphology import box_around, close_mm
from bids_harmonize.imaging.resampling import resample, resample_mask

MARGIN_MM = (22.0, 26.0, 24.0)  # beside, before and behind, above the brain
NECK_MM = 75.0  # below the brain
HULL_MM = 12.0  # the skull's inside bridges what is narrower than twice this


@dataclass(frozen=True)
class Shell:
    """What is put around a brain; thicknesses are means in mm, intensities times white matter.

    ``csf_mm`` between brain and skull, ``skull_mm`` with ``marrow`` in its middle, ``scalp_mm``
    of ``fat``; ``coil`` is half the range of the logarithm of a smooth field; ``noise`` the
    standard deviation of both Rician channels; ``fat_suppressed`` makes the scalp dark.
    """

    csf_mm: float = 2.0
    skull_mm: float = 6.5
    scalp_mm: float = 6.0
    csf: float = 0.2
    bone: float = 0.07
    marrow: float = 0.5
    fat: float = 1.2
    muscle: float = 0.5
    coil: float = 0.2
    noise: float = 0.03


def draw_shell(rng: np.random.Generator) -> Shell:
    """Thin to thick, faint to bright; 2 to 4 mm of fluid is an old brain, 1 mm a young one."""
    low_high = {
        "csf_mm": (0.8, 3.5), "skull_mm": (4.5, 8.5), "scalp_mm": (4.0, 9.0),
        "marrow": (0.25, 0.8), "fat": (0.7, 1.6), "muscle": (0.4, 0.6),
        "coil": (0.1, 0.4), "noise": (0.02, 0.05),
    }  # fmt: skip
    return Shell(**{name: float(rng.uniform(*ends)) for name, ends in low_high.items()})


def put_in_shell(
    brain: np.ndarray,
    affine: np.ndarray,
    shell: Shell,
    rng: np.random.Generator,
    *,
    resolution_mm: float = 2.0,
) -> tuple[np.ndarray, np.ndarray, Grid]:
    """A whole head around a brain.

    Parameters
    ----------
    brain
        Skull-stripped volume, exactly 0 outside the brain.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    shell
        What is put around it.
    rng
        Source of thickness, coil and noise.
    resolution_mm
        Of the result.

    Returns
    -------
    volume
        The head, float32.
    truth
        The brain's own voxels (holes filled), bool.
    grid
        Of both.
    """
    inside, small, grid = _on_wide_grid(brain, affine, resolution_mm)
    white = float(np.percentile(small[inside], 85))
    hull = close_mm(inside, resolution_mm, radius_mm=HULL_MM)
    outside_mm = _distance(hull, resolution_mm)
    z = grid.affine[2, 2] * np.arange(grid.shape[2]) + grid.affine[2, 3]
    bottom = z[np.flatnonzero(inside.any(axis=(0, 1)))[0]]

    def wavy(mean: float, share: float) -> np.ndarray:
        noise = ndimage.gaussian_filter(rng.standard_normal(grid.shape), 20.0 / resolution_mm)
        return mean * (1 + share * np.clip(noise / noise.std(), -2.5, 2.5))

    fluid = wavy(shell.csf_mm, 0.25)
    bone = fluid + wavy(shell.skull_mm, 0.15)
    skin = bone + wavy(shell.scalp_mm, 0.15)
    head = (outside_mm <= skin) | _neck(inside, grid, bottom)
    values = np.full(grid.shape, shell.muscle)
    values[(outside_mm > bone) & (outside_mm <= skin)] = shell.fat
    values[ndimage.binary_erosion(head, iterations=3) & (z < bottom + 25)] = shell.muscle
    values[_air_ways(grid, inside, bottom) & head] = shell.bone
    skull = (outside_mm > fluid) & (outside_mm <= bone)
    middle = np.abs(outside_mm - fluid - 0.55 * (bone - fluid)) < 0.2 * (bone - fluid)
    values[skull] = shell.bone
    values[skull & middle] = shell.marrow
    values[outside_mm <= fluid] = shell.csf
    values[~head] = 0.0
    values *= 1 + 0.06 * wavy(1.0, 0.5)
    signal = np.where(inside, small / white, values)
    signal = ndimage.gaussian_filter(signal, 0.5)
    signal *= _coil(grid, shell.coil, rng)
    real, imaginary = shell.noise * rng.standard_normal((2, *grid.shape))
    return (white * np.hypot(signal + real, imaginary)).astype(np.float32), inside, grid


def _on_wide_grid(
    brain: np.ndarray, affine: np.ndarray, resolution_mm: float
) -> tuple[np.ndarray, np.ndarray, Grid]:
    mask = ndimage.binary_fill_holes(brain != 0)
    places = np.array([[s.start, s.stop - 1] for s in box_around(mask)])
    corners = np.array(np.meshgrid(*places)).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    low = world.min(axis=1) - [MARGIN_MM[0], MARGIN_MM[1], NECK_MM]
    high = world.max(axis=1) + MARGIN_MM
    i, j, k = (int(n) for n in np.ceil((high - low) / resolution_mm))
    grid = straight_grid(low, resolution_mm=resolution_mm, shape=(i, j, k))
    small = resample(np.where(mask, brain, 0), affine, grid, interpolation="linear")
    return resample_mask(mask, affine, grid), small, grid


def _distance(mask: np.ndarray, resolution_mm: float) -> np.ndarray:
    return ndimage.distance_transform_edt(~mask, sampling=resolution_mm)


def _neck(inside: np.ndarray, grid: Grid, bottom: float) -> np.ndarray:
    """Face and neck: two soft cylinders below the brain."""
    x, y, z = _coordinates(grid)
    middle = [float(axis[inside].mean()) for axis in (x, y)]
    below = z < bottom + 30
    neck = ((x - middle[0]) / 58) ** 2 + ((y - middle[1] + 25) / 62) ** 2 < 1
    face = ((x - middle[0]) / 62) ** 2 + ((y - middle[1] - 30) / 62) ** 2 < 1
    return below & (neck | (face & (z > bottom - 60)))


def _air_ways(grid: Grid, inside: np.ndarray, bottom: float) -> np.ndarray:
    x, y, z = _coordinates(grid)
    middle = [float(axis[inside].mean()) for axis in (x, y)]
    tube = ((x - middle[0]) / 12) ** 2 + ((y - middle[1] - 35) / 25) ** 2 < 1
    return tube & (z < bottom + 12)


def _coordinates(grid: Grid) -> tuple[np.ndarray, ...]:
    return tuple(
        np.broadcast_to(
            np.expand_dims(
                grid.affine[a, a] * np.arange(n) + grid.affine[a, 3],
                [b for b in range(3) if b != a],
            ),
            grid.shape,
        )
        for a, n in enumerate(grid.shape)
    )


def _coil(grid: Grid, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Smooth positive field: a line and a curve along every axis."""
    field = np.zeros(grid.shape)
    for axis, n in enumerate(grid.shape):
        t = np.linspace(-1, 1, n)
        line, curve = rng.standard_normal(2)
        field = field + np.expand_dims(line * t + curve * t**2, [b for b in range(3) if b != axis])
    field -= (field.max() + field.min()) / 2
    return np.exp(strength * field / np.abs(field).max())
