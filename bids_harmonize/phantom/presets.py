"""Presets: the stated physics of a study's scanners, one row each."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bids_harmonize.phantom.cue import Cue


@dataclass(frozen=True)
class Geometry:
    """How one kind of scanner samples and stores.

    Attributes
    ----------
    voxel
        Voxel size along right, anterior, superior, in nominal voxels.
    psf
        Factor on the point spread.
    orientation
        Axis codes of the stored array.
    tilt_deg
        Oblique tilt, degrees.
    datatype
        Stored type.
    """

    voxel: tuple[float, float, float] = (1.0, 1.0, 1.0)
    psf: float = 1.0
    orientation: str = "RAS"
    tilt_deg: float = 0.0
    datatype: str = "int16"


@dataclass(frozen=True)
class Preset:
    """Ranges from which scanners are drawn.

    Attributes
    ----------
    name, description
        As on the command line.
    contrast
        Largest relative change of a tissue's signal.
    outer_contrast
        Whether skull, scalp and neck change too; if not, head masks are alike at all sites.
    coil
        Range of the half range of the log coil field.
    noise
        Range of the Rician channels' standard deviation, relative to white matter.
    psf
        Range of the point spread's full width, in nominal voxels.
    scale
        Range of the native intensity of white matter.
    geometry
        Dealt to the sites in turn.
    one_scanner
        Whether all site names stand for the same scanner.
    cue
        Bright patch that the last site alone shows; ``None`` for none.
    """

    name: str
    description: str
    contrast: float = 0.08
    outer_contrast: bool = True
    coil: tuple[float, float] = (0.10, 0.35)
    noise: tuple[float, float] = (0.02, 0.045)
    psf: tuple[float, float] = (0.9, 1.15)
    scale: tuple[float, float] = (200.0, 1500.0)
    geometry: tuple[Geometry, ...] = (Geometry(),)
    one_scanner: bool = False
    cue: Cue | None = None


_MIXED = (
    Geometry(),
    Geometry((0.9, 0.9, 1.3), 1.1, "LAS", 0.0, "float32"),
    Geometry((1.25, 0.85, 0.85), 1.1, "PIR", 0.0, "uint16"),
    Geometry((0.85, 1.0, 1.0), 0.95, "LPS", 12.0, "int16"),
    Geometry((1.2, 1.2, 1.2), 1.2, "LIA", -8.0, "float32"),
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        row.name: row
        for row in (
            Preset(
                "default",
                "one voxel size; tissue contrast +-8 %, coil field .10-.35, noise .02-.045",
            ),
            Preset(
                "hard",
                "weak differences: contrast +-2.5 % in the brain only, coil field .12-.18, "
                "noise .026-.032, one point spread; head masks alike",
                contrast=0.025,
                outer_contrast=False,
                coil=(0.12, 0.18),
                noise=(0.026, 0.032),
                psf=(1.0, 1.0),
                scale=(500.0, 900.0),
            ),
            Preset(
                "mixed",
                "as default, and voxel sizes, orientations and stored datatypes differ too",
                geometry=_MIXED,
            ),
            Preset(
                "null",
                "several site names, one scanner: there is no site effect",
                one_scanner=True,
            ),
            Preset(
                "cue",
                "as null, but the last site alone shows a bright patch: Gaussian, sigma 8 mm, "
                "+100 %, in the right putamen (template 27, 2, 0 mm)",
                one_scanner=True,
                cue=Cue(template_mm=(27.0, 2.0, 0.0), radius_mm=8.0, brightening=1.0),
            ),
        )
    }
)
