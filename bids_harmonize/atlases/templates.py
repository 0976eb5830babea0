"""The ICBM 2009a symmetric template: T1w (brain only), grey and white matter."""

from functools import cache
from importlib.resources import as_file, files
from typing import Final, Literal

import nibabel as nb
import numpy as np

from bids_harmonize.errors import HarmonizeError
from bids_harmonize.imaging.geometry import cover_grid
from bids_harmonize.imaging.resampling import resample, resample_mask
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.types import Affine, Volume

TemplateImage = Literal["t1", "gm", "wm"]

TEMPLATE_NAME: Final = "MNI152NLin2009aSym"
_FILE_NAME: Final = "mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
_FULL_SHARE: Final = 255.0  # the stored tissue maps are uint8


def load_template_image(
    kind: TemplateImage, *, resolution_mm: float = 1.0
) -> tuple[Volume, Affine]:
    """One image of the template and its place.

    Parameters
    ----------
    kind
        ``"t1"`` (brain only, arbitrary intensities 0-255), ``"gm"`` or ``"wm"`` (share 0-1).
    resolution_mm
        Voxel size, mm; 1 is the template's own, coarser is smoothed first.

    Returns
    -------
    volume
        float32 of shape (I, J, K), RAS+.
    affine
        4x4 voxel-to-world matrix, mm.

    Raises
    ------
    HarmonizeError
        If the nilearn that is installed does not hold the template.

    References
    ----------
    Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033.
    """
    source = files("nilearn") / "datasets" / "data" / _FILE_NAME.format(kind=kind)
    if not source.is_file():
        message = (
            f"the template image {source} is missing: expected it inside the nilearn package;"
            " install nilearn again (0.12 or later)"
        )
        raise HarmonizeError(message)
    with as_file(source) as path:
        image = nb.Nifti1Image.from_filename(path)
        volume = np.asarray(image.dataobj, dtype=np.float32)
    affine = np.asarray(image.affine, dtype=np.float64)
    if kind != "t1":
        volume = volume / np.float32(_FULL_SHARE)
    if resolution_mm == 1.0:
        return volume, affine
    grid = cover_grid(volume.shape, affine, resolution_mm=resolution_mm)
    return resample(volume, affine, grid, interpolation="linear"), grid.affine


@cache
def load_template(resolution_mm: float = 2.0) -> TemplateImages:
    """The template as the brain-mask search wants it; arrays are read-only.

    Parameters
    ----------
    resolution_mm
        Voxel size, mm, at least 1.

    Returns
    -------
    TemplateImages
        T1w, grey matter, white matter and brain mask on one RAS+ grid.

    Raises
    ------
    HarmonizeError
        If the nilearn that is installed does not hold the template.
    """
    t1, affine = load_template_image("t1", resolution_mm=resolution_mm)
    gm, _ = load_template_image("gm", resolution_mm=resolution_mm)
    wm, _ = load_template_image("wm", resolution_mm=resolution_mm)
    full_t1, full_affine = load_template_image("t1")
    grid = cover_grid(full_t1.shape, full_affine, resolution_mm=resolution_mm)
    brain_mask = resample_mask(full_t1 > 0, full_affine, grid)
    for array in (t1, gm, wm, brain_mask, affine):
        array.flags.writeable = False
    return TemplateImages(t1=t1, gm=gm, wm=wm, brain_mask=brain_mask, affine=affine)
