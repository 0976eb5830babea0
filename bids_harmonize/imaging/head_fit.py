"""Where a head lies in the template: the scan on a copy of 2 mm, and the template fitted to it.

The copy makes the fit one method at every resolution of the study.
"""

from typing import Final

import numpy as np

from bids_harmonize.imaging.grid import place_grid, vertex_height_mm
from bids_harmonize.imaging.registration import Sampled
from bids_harmonize.imaging.resampling import resample, resample_mask
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.imaging.template_fit import TemplateFit, fit_template
from bids_harmonize.imaging.types import Affine, Mask, Volume

WORK_MM: Final = 2.0


def fit_head(
    volume: Volume,
    affine: Affine,
    head_mask: Mask,
    template: TemplateImages,
    *,
    skull_stripped: bool = False,
) -> tuple[Sampled, TemplateFit]:
    """The head on a straight grid of 2 mm, and the affine fit of the template to it.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), native intensities.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.
    head_mask
        Boolean array of the same shape.
    template
        The brain template.
    skull_stripped
        The head mask is the brain mask already.

    Returns
    -------
    scan
        Intensities of at least 0, with the head mask.
    fit
        Scan to template.

    Raises
    ------
    ScanError
        If the head mask holds no head.
    """
    work = place_grid(head_mask, affine, resolution_mm=WORK_MM)
    scan = Sampled(
        np.maximum(resample(volume, affine, work), 0),
        work.affine,
        resample_mask(head_mask, affine, work),
    )
    fit = fit_template(
        scan,
        template,
        vertex_mm=vertex_height_mm(head_mask, affine),
        skull_stripped=skull_stripped,
    )
    return scan, fit
