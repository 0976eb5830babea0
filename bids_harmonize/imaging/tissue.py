"""Grey matter, white matter and fluid of a scan, and the template's deformation to it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.deformation import (
    Deformation,
    find_deformation,
    template_values,
    to_template_points,
)
from bids_harmonize.imaging.field_of_view import part_of_grid
from bids_harmonize.imaging.geometry import Grid, voxel_size_mm
from bids_harmonize.imaging.morphology import box_around
from bids_harmonize.imaging.registration import Sampled
from bids_harmonize.imaging.segmentation import segment
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.types import Affine, Array, Mask, Volume

REGISTRATION_MM: Final = (2.0, 4.0)  # of the registration: the image's own, within these
PRIOR_SD_MM: Final = 1.5
MIN_CORRELATION: Final = 0.75
JACOBIAN: Final = (0.3, 2.0)
GREY_TO_WHITE: Final = (0.9, 2.3)
LITRES: Final = (0.75, 1.75)  # grey and white matter together
FLUID_SHARE: Final = (0.05, 0.4)  # of the brain mask


@dataclass(frozen=True, eq=False)
class TissueResult:
    """Tissue of a scan.

    Parameters
    ----------
    gm, wm, csf
        Share of each voxel, float32 of shape (I, J, K), 0 to 1: exactly 0 outside the brain mask,
        in sum at most 1.
    deformation
        Of the template to the scan.
    template_points
        float32 (3, n), mm, RAS+: where the brain mask's voxels, in C order, lie in the template.
    volumes_ml
        ``"gm"``, ``"wm"``, ``"csf"``: sum of the shares, mL.
    doubtful
        The maps should not be trusted; ``flags`` say why.
    flags
        What looks odd, in words; empty where all is well.
    """

    gm: Volume
    wm: Volume
    csf: Volume
    deformation: Deformation
    template_points: Volume
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
    """Tissue shares of a T1w scan in its own place.

    Parameters
    ----------
    volume
        float32 of shape (I, J, K), T1w, any scale, with or without a bias field.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    brain_mask
        Boolean array of the same shape: the brain with its fluid.
    template
        The brain template.
    to_template
        4x4 matrix, mm, RAS+, from the scan's world to the template's world.

    Returns
    -------
    TissueResult
        Maps on the volume's grid, the deformation, and how far to trust them.

    Raises
    ------
    ScanError
        If the brain mask is empty or far from the template, or the brain is of one intensity.
    """
    if not brain_mask.any():
        message = "no tissue found: the brain mask is empty"
        raise ScanError(message)
    box = box_around(brain_mask)
    i, j, k = volume.shape
    corner = part_of_grid(Grid(shape=(i, j, k), affine=affine), box).affine
    mask = brain_mask[box]
    inside = np.where(mask, np.maximum(volume[box], 0), 0).astype(np.float32)
    deformation = find_deformation(
        Sampled(inside, corner, mask),
        template,
        to_template=to_template,
        finest_mm=float(np.clip(max(voxel_size_mm(affine)), *REGISTRATION_MM)),
    )
    places = to_template_points(deformation, mask_points(mask, corner))
    priors = _priors(template, places)
    found = segment(inside, mask, priors, np.array(voxel_size_mm(affine)))
    maps = {}
    volumes = {}
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1e3
    for name, share in zip(("csf", "gm", "wm"), found.shares, strict=True):
        maps[name] = np.zeros(volume.shape, np.float32)
        maps[name][brain_mask] = share
        volumes[name] = float(share.sum(dtype=np.float64)) * voxel_ml
    flags = _flags(volumes, float(brain_mask.sum()) * voxel_ml, deformation)
    return TissueResult(
        **maps,
        deformation=deformation,
        template_points=places,
        volumes_ml=volumes,
        doubtful=bool(flags),
        flags=flags,
    )


def mask_points(mask: Mask, affine: Affine) -> Array:
    """World points (3, n), mm, of a mask's voxels in C order."""
    points: Array = affine[:3, :3] @ np.argwhere(mask).T + affine[:3, 3:]
    return points


def _priors(template: TemplateImages, places: Volume) -> Volume:
    """Fluid, grey and white matter (3, n) of the deformed template at template points (3, n)."""
    sigma = PRIOR_SD_MM / np.array(voxel_size_mm(template.affine))
    known = [
        template_values(ndimage.gaussian_filter(image, sigma), template.affine, places)
        for image in (template.gm, template.wm)
    ]
    grey, white = (np.clip(share, 0, 1) for share in known)
    fluid = np.clip(1 - grey - white, 0, 1)
    return np.stack([fluid, grey, white]).astype(np.float32)


def _flags(
    volumes: dict[str, float], brain_ml: float, deformation: Deformation
) -> tuple[str, ...]:
    ratio = volumes["gm"] / max(volumes["wm"], 1e-9)
    litres = (volumes["gm"] + volumes["wm"]) / 1e3
    fluid = volumes["csf"] / brain_ml
    low, high = deformation.jacobian_range
    flags = []
    if not GREY_TO_WHITE[0] <= ratio <= GREY_TO_WHITE[1]:
        flags.append(f"grey over white matter {ratio:.2f}, outside {_words(GREY_TO_WHITE)}")
    if not LITRES[0] <= litres <= LITRES[1]:
        flags.append(f"grey and white matter {litres:.2f} L, outside {_words(LITRES)} L")
    if not FLUID_SHARE[0] <= fluid <= FLUID_SHARE[1]:
        flags.append(f"fluid {fluid:.2f} of the brain mask, outside {_words(FLUID_SHARE)}")
    if not (low >= JACOBIAN[0] and high <= JACOBIAN[1]):
        flags.append(
            f"the template was deformed to {low:.2f}-{high:.2f} times its volume, outside"
            f" {_words(JACOBIAN)}"
        )
    if not deformation.correlation >= MIN_CORRELATION:
        flags.append(
            f"correlation with the deformed template {deformation.correlation:.2f}, under"
            f" {MIN_CORRELATION}"
        )
    return tuple(flags)


def _words(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]}-{bounds[1]}"
