"""Scanners: what each does to a head, drawn from a preset's stated ranges."""

from dataclasses import dataclass, replace
from math import log

import numpy as np

from bids_harmonize.phantom.cue import Cue
from bids_harmonize.phantom.presets import Preset
from bids_harmonize.phantom.seeds import named_generator, spread_number
from bids_harmonize.phantom.tissues import BRAIN_TISSUES, TISSUES, base_intensities

FIELD_OF_VIEW_MM = (208.0, 256.0, 240.0)  # left-right, front-back, foot-head


@dataclass(frozen=True)
class Scanner:
    """All that a scanner adds to a head.

    Attributes
    ----------
    name
        Site name.
    intensities
        T1w signal of each tissue, white matter about 1, in the order of ``TISSUES``.
    coil_strength
        Half range of the logarithm of the coil field over the field of view.
    coil_shape
        Nine weights of the field's linear and quadratic terms, unit length.
    noise
        Standard deviation of each of the two Rician channels, relative to white matter.
    psf_voxels
        Full width at half maximum of the point spread along each axis, in voxels.
    voxel_size_mm
        Along right, anterior, superior.
    scale
        Native intensity of white matter.
    orientation
        Axis codes of the stored array, for instance ``"RAS"`` or ``"PIR"``.
    tilt_deg
        Oblique tilt of the field of view about the left-right axis, degrees.
    datatype
        ``"int16"`` (with slope), ``"uint16"`` or ``"float32"``.
    cue
        Bright patch that only this scanner shows; ``None`` for none.
    """

    name: str
    intensities: tuple[float, ...]
    coil_strength: float
    coil_shape: tuple[float, ...]
    noise: float
    psf_voxels: float
    voxel_size_mm: tuple[float, float, float]
    scale: float
    orientation: str = "RAS"
    tilt_deg: float = 0.0
    datatype: str = "int16"
    cue: Cue | None = None


def site_names(n_sites: int) -> tuple[str, ...]:
    """``SiteA``, ``SiteB``, ...

    Parameters
    ----------
    n_sites
        1 to 26.

    Returns
    -------
    tuple of str
        The names.

    Raises
    ------
    ValueError
        If there are more sites than letters.
    """
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if not 1 <= n_sites <= len(letters):
        message = f"found n_sites={n_sites}; expected 1 to {len(letters)}"
        raise ValueError(message)
    return tuple(f"Site{letter}" for letter in letters[:n_sites])


def make_scanners(
    preset: Preset, *, n_sites: int, resolution_mm: float, seed: int
) -> tuple[Scanner, ...]:
    """One scanner a site; more sites leave the first ones as they are.

    A preset's cue belongs to the last site, so there the last one of fewer sites changes.

    Parameters
    ----------
    preset
        Row of ``PRESETS``.
    n_sites
        Number of sites, 1 to 26.
    resolution_mm
        Nominal voxel size, mm.
    seed
        The study's seed.

    Returns
    -------
    tuple of Scanner
        Named SiteA, SiteB, ...; in the preset ``null`` they differ in name alone.
    """
    *others, last = (
        draw_scanner(
            preset, name=name, index=0 if preset.one_scanner else place,
            resolution_mm=resolution_mm, seed=seed,
        )
        for place, name in enumerate(site_names(n_sites))
    )  # fmt: skip
    return (*others, replace(last, cue=preset.cue))


def draw_scanner(
    preset: Preset, *, name: str, index: int, resolution_mm: float, seed: int
) -> Scanner:
    """The scanner of one site.

    Parameters
    ----------
    preset
        Row of ``PRESETS``.
    name
        Site name; has no part in the drawing.
    index
        Place of the site, from 0; every parameter follows an evenly spread sequence over sites.
    resolution_mm
        Nominal voxel size, mm.
    seed
        The study's seed.

    Returns
    -------
    Scanner
        Its parameters.
    """

    def between(low: float, high: float, what: str) -> float:
        return low + (high - low) * spread_number(seed, index, "scanner", what)

    factors = [
        1.0 + between(-preset.contrast, preset.contrast, tissue.name)
        if tissue.name in BRAIN_TISSUES or preset.outer_contrast
        else 1.0
        for tissue in TISSUES
    ]
    shape = named_generator(seed, "coil", index).standard_normal(9)
    shape[3:] *= 1.5
    row = preset.geometry[index % len(preset.geometry)]
    return Scanner(
        name=name,
        intensities=tuple(float(v) for v in base_intensities() * np.array(factors)),
        coil_strength=between(*preset.coil, "coil"),
        coil_shape=tuple(float(v) for v in shape / np.linalg.norm(shape)),
        noise=between(*preset.noise, "noise"),
        psf_voxels=row.psf * between(*preset.psf, "psf"),
        voxel_size_mm=tuple(round(resolution_mm * f, 3) for f in row.voxel),  # type: ignore[arg-type]
        scale=float(np.exp(between(log(preset.scale[0]), log(preset.scale[1]), "scale"))),
        orientation=row.orientation,
        tilt_deg=row.tilt_deg,
        datatype=row.datatype,
    )
