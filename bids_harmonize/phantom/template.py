"""The common head of which every person is a warped, thinned or grown copy.

Brain: the grey and white matter maps of the ICBM152 2009a symmetric template that lie inside the
nilearn wheel; fluid is what is left of the template's brain. Skull, scalp, face and neck:
synthetic, by distance from the brain.

References
----------
Fonov V et al. (2011). Unbiased average age-appropriate atlases for pediatric studies.
doi:10.1016/j.neuroimage.2010.07.033
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from bids_harmonize.atlases.templates import TemplateImage, load_template_image
from bids_harmonize.phantom.canvas import Canvas
from bids_harmonize.phantom.face import outer_surface, paint_details
from bids_harmonize.phantom.tissues import TISSUE_INDEX, TISSUES

CRANIUM_MM = 14.0  # brain surface to skin over the brain case
_SHARPENING = 2.0  # power on the averaged maps: an average brain is blurrier than a person's


@dataclass(frozen=True)
class HeadTemplate:
    """Maps from which a person is composed, all on one canvas; never changed in place.

    Attributes
    ----------
    canvas
        Their grid.
    brain_logits
        Shape ``(3, I, J, K)``: log weights of csf, gm, wm; equal weights shift no border.
    brain_mm, skin_mm
        Signed distance in mm to the brain's smooth hull and to the skin, negative inside.
    ventricles
        Share of ventricle in [0, 1].
    details, uncovered
        Face and neck fractions ``(n_tissues, I, J, K)``, and the share of a voxel that they leave
        to plain scalp and muscle.
    """

    canvas: Canvas
    brain_logits: np.ndarray
    brain_mm: np.ndarray
    skin_mm: np.ndarray
    ventricles: np.ndarray
    details: np.ndarray
    uncovered: np.ndarray


@cache
def head_template(voxel_mm: float) -> HeadTemplate:
    """The common head at a voxel size.

    Parameters
    ----------
    voxel_mm
        Edge of the canvas' voxels, 1 to 4 mm.

    Returns
    -------
    HeadTemplate
        Made once a process, about 3 s at 2 mm.

    Raises
    ------
    HarmonizeError
        If nilearn's template files are not installed.
    """
    canvas = Canvas(voxel_mm)
    at = canvas.coordinates()
    brain = _load_on_canvas("t1", canvas)
    gm, wm = _load_on_canvas("gm", canvas), _load_on_canvas("wm", canvas)
    csf = np.clip(brain - gm - wm, 0.0, 1.0)
    weights = np.stack([csf, gm, wm])
    logits = _SHARPENING * np.log(weights + 0.02)
    brain_mm = _signed_distance(_hull(brain > 0.5, canvas), canvas)
    outside = outer_surface(at, brain_mm - CRANIUM_MM)
    details = np.zeros((len(TISSUES) + 1, *canvas.shape), dtype=np.float32)
    paint_details(at, details, {**TISSUE_INDEX, "air": len(TISSUES)})
    deep = ndimage.gaussian_filter((brain_mm < -22.0).astype(np.float32), 4.0 / voxel_mm)
    ventricles = np.where(at[2] > -30.0, csf * deep, 0.0).astype(np.float32)
    return HeadTemplate(
        canvas=canvas,
        brain_logits=logits.astype(np.float32),
        brain_mm=brain_mm,
        skin_mm=_signed_distance(outside < 0, canvas),
        ventricles=ventricles,
        details=details[:-1],
        uncovered=1.0 - details.sum(axis=0),
    )


def _hull(brain: np.ndarray, canvas: Canvas) -> np.ndarray:
    """The brain with fissures closed, as the inner skull sees it."""
    closing_mm = 10.0
    grown = ndimage.distance_transform_edt(~brain, sampling=canvas.voxel_mm) <= closing_mm
    return ndimage.distance_transform_edt(grown, sampling=canvas.voxel_mm) > closing_mm


def _signed_distance(mask: np.ndarray, canvas: Canvas) -> np.ndarray:
    """Distance to a mask's border in mm, negative inside, smoothed by half a voxel."""
    outer = ndimage.distance_transform_edt(~mask, sampling=canvas.voxel_mm)
    inner = ndimage.distance_transform_edt(mask, sampling=canvas.voxel_mm)
    return ndimage.gaussian_filter(outer - inner, 0.7).astype(np.float32)


def _load_on_canvas(name: TemplateImage, canvas: Canvas) -> np.ndarray:
    """One template map in [0, 1] on the canvas; the T1 image gives the brain mask."""
    volume, affine = load_template_image(name)
    if name == "t1":
        volume = (volume > 0).astype(np.float32)
    volume = ndimage.gaussian_filter(volume, 0.3 * canvas.voxel_mm)
    to_voxel = np.linalg.inv(affine) @ canvas.affine
    resampled = ndimage.affine_transform(
        volume, to_voxel[:3, :3], to_voxel[:3, 3], canvas.shape, order=1
    )
    return resampled.astype(np.float32)
