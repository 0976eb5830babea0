"""The methods paragraph of the participant level, made from the settings that were used."""

from collections.abc import Mapping
from typing import Any

from bids_harmonize._version import __version__

REFERENCES = (
    "Gorgolewski et al. 2011. Nipype: a flexible, lightweight and extensible neuroimaging data"
    " processing framework in Python. doi:10.3389/fninf.2011.00013",
    "Lowekamp et al. 2013. The design of SimpleITK. doi:10.3389/fninf.2013.00045",
    "Otsu 1979. A threshold selection method from gray-level histograms."
    " doi:10.1109/TSMC.1979.4310076",
    "Fonov et al. 2011. Unbiased average age-appropriate atlases for pediatric studies."
    " doi:10.1016/j.neuroimage.2010.07.033",
    "Tustison et al. 2010. N4ITK: improved N3 bias correction. doi:10.1109/TMI.2010.2046908",
    "Esteban et al. 2017. MRIQC: advancing the automatic prediction of image quality in MRI from"
    " unseen sites. doi:10.1371/journal.pone.0184661",
)


def methods_paragraphs(settings: Mapping[str, Any]) -> list[str]:
    """What was done, in words that can be copied into a paper.

    Parameters
    ----------
    settings
        Settings of the preprocessing, as the sidecars hold them.

    Returns
    -------
    list of str
        Paragraphs; numbers in brackets refer to :data:`REFERENCES`.
    """
    size = float(settings["resolution_mm"])
    shape = settings["grid_shape"]
    extent = (
        "192 x 224 x 192 mm, rounded up to a multiple of 8 voxels"
        if shape is None
        else f"{' x '.join(str(length) for length in shape)} voxels"
    )
    paragraphs = [
        f"T1-weighted images were preprocessed with bids-harmonize {__version__}, a workflow of"
        " nipype [1] on top of SimpleITK [2]. The head was found on a 2 mm copy of each image by"
        " thresholding (a quarter of Otsu's threshold [3], or the border's median plus five"
        " median absolute deviations where that is higher), taking the largest component, closing"
        f" and filling. The image was then resampled once onto a grid of {size:g} mm isotropic"
        f" voxels ({extent}) by cubic B-splines, after smoothing to the target resolution where"
        " that is coarser. The grid is parallel to the scanner's axes, centred on the upper 170"
        " mm of the head, and its top lies 10 mm above the vertex. Voxels outside the head were"
        " set to 0; intensities kept their native units.",
    ]
    if settings["brain_mask"] == "template":
        paragraphs.append(
            "The brain was found by affine registration of the symmetric ICBM152 2009a template"
            " [4] from many starts, by the correlation of locally normalised intensities; near its"
            " surface the template's brain mask was refined by the image's own intensities, on a"
            " 2 mm copy of the raw image. Scans that fit the template at an implausible scale or"
            " with a low correlation, or whose brain volume is implausible, are flagged. Tissue"
            " measures were taken after correction of intensity non-uniformity with N4 [5]."
        )
    paragraphs.append(
        "Quality measures are named after those of MRIQC [6]; where their definition differs, the"
        " table of measures says so."
    )
    return paragraphs
