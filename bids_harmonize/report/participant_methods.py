"""The methods paragraphs of the participant level, made from the settings that were used."""

from collections.abc import Collection, Mapping
from typing import Any

from bids_harmonize._version import __version__

_REFERENCES: Mapping[str, str] = {
    "nipype": "Gorgolewski et al. 2011. Nipype: a flexible, lightweight and extensible"
    " neuroimaging data processing framework in Python. doi:10.3389/fninf.2011.00013",
    "simpleitk": "Lowekamp et al. 2013. The design of SimpleITK. doi:10.3389/fninf.2013.00045",
    "otsu": "Otsu 1979. A threshold selection method from gray-level histograms."
    " doi:10.1109/TSMC.1979.4310076",
    "icbm": "Fonov et al. 2011. Unbiased average age-appropriate atlases for pediatric studies."
    " doi:10.1016/j.neuroimage.2010.07.033",
    "n4": "Tustison et al. 2010. N4ITK: improved N3 bias correction. doi:10.1109/TMI.2010.2046908",
    "bet": "Smith 2002. Fast robust automated brain extraction. doi:10.1002/hbm.10062",
    "synthstrip": "Hoopes et al. 2022. SynthStrip: skull-stripping for any brain image."
    " doi:10.1016/j.neuroimage.2022.119474",
    "demons": "Vercauteren et al. 2009. Diffeomorphic demons: efficient non-parametric image"
    " registration. doi:10.1016/j.neuroimage.2008.10.040",
    "mixed": "Laidlaw et al. 1998. Partial-volume Bayesian classification of material mixtures in"
    " MR volume data using voxel histograms. doi:10.1109/42.668696",
    "unified": "Ashburner and Friston 2005. Unified segmentation."
    " doi:10.1016/j.neuroimage.2005.02.018",
    "mriqc": "Esteban et al. 2017. MRIQC: advancing the automatic prediction of image quality in"
    " MRI from unseen sites. doi:10.1371/journal.pone.0184661",
}


class _Citations:
    """Numbers references in the order in which they are cited."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, key: str) -> str:
        if key not in self.keys:
            self.keys.append(key)
        return f"[{self.keys.index(key) + 1}]"


def write_methods(
    settings: Mapping[str, Any], *, mask_sources: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """What was done, in words that can be copied into a paper.

    Parameters
    ----------
    settings
        Settings of the preprocessing, as the sidecars hold them; those of earlier versions lack
        ``bias_correction`` and ``tissue``.
    mask_sources
        ``BrainMaskSource`` of the sidecars; ``derivative:NAME`` for a mask of another dataset.

    Returns
    -------
    paragraphs : list of str
        Numbers in brackets refer to the references.
    references : list of str
        Those that are cited, in the order of the numbers.
    """
    cite = _Citations()
    brain = str(settings["brain_mask"])
    given = {name for source in mask_sources if (name := source.partition("derivative:")[2])}
    if brain == "none" and "template" in mask_sources:  # in the place of a given one
        brain = "template"
    has_brain = bool(given) or brain != "none"
    parts = [
        _grid_words(settings, cite),
        _bias_words(str(settings.get("bias_correction", "none")), cite),
        _brain_words(brain, cite),
        _derivative_words(given, brain, cite),
        _tissue_words(cite) if settings.get("tissue") and has_brain else "",
        _quality_words(cite, has_brain=has_brain),
    ]
    return [part for part in parts if part], [_REFERENCES[key] for key in cite.keys]


def _grid_words(settings: Mapping[str, Any], cite: _Citations) -> str:
    size = float(settings["resolution_mm"])
    shape = settings["grid_shape"]
    extent = (
        "192 x 224 x 192 mm, rounded up to a multiple of 8 voxels"
        if shape is None
        else f"{' x '.join(str(length) for length in shape)} voxels"
    )
    return (
        f"T1-weighted images were preprocessed with bids-harmonize {__version__}, a workflow of"
        f" nipype {cite('nipype')} on top of SimpleITK {cite('simpleitk')}. The head was found on"
        f" a 2 mm copy of each image by thresholding (seeds by Otsu's threshold {cite('otsu')},"
        " then a quarter of the brightness nearby, or the border's median plus five median"
        " absolute deviations where that is higher), taking the largest component, closing,"
        " filling, and peeling off dark voxels from the outside."
        " The image was then"
        f" resampled once onto a grid of {size:g} mm isotropic voxels ({extent}) by cubic"
        " B-splines, after smoothing to the target resolution where that is coarser. The grid is"
        " parallel to the scanner's axes, centred on the upper 170 mm of the head, and its top"
        " lies 10 mm above the vertex. Voxels outside the head were set to 0; intensities kept"
        " their native units."
    )


def _bias_words(kind: str, cite: _Citations) -> str:
    if kind == "none":
        return ""
    program = "SimpleITK's" if kind == "n4" else "ANTs'"
    return (
        "Intensity non-uniformity was estimated inside the head mask and taken out with"
        f" {program} N4 {cite('n4')}."
    )


def _brain_words(kind: str, cite: _Citations) -> str:
    if kind == "none":
        return ""
    if kind == "template":
        return (
            "The brain was found by affine registration of the symmetric ICBM152 2009a template"
            f" {cite('icbm')} from many starts, by the correlation of locally normalised"
            " intensities; near its surface the template's brain mask was refined by the image's"
            " own intensities, on a 2 mm copy of the raw image. Scans that fit the template at an"
            " implausible scale or with a low correlation, or whose brain volume is implausible,"
            " are flagged."
        )
    programs = {"bet": "FSL BET", "synthstrip": "FreeSurfer SynthStrip"}
    return (
        f"The brain was found with {programs[kind]} {cite(kind)}; the symmetric ICBM152 2009a"
        f" template {cite('icbm')} was registered to it by an affine transform."
    )


def _derivative_words(names: Collection[str], brain: str, cite: _Citations) -> str:
    if not names:
        return ""
    words = f"Brain masks were taken from {' and '.join(sorted(names))} where that dataset had one"
    if brain == "none":
        words += (
            f"; the symmetric ICBM152 2009a template {cite('icbm')} was registered to these scans"
            " by an affine transform"
        )
    return f"{words}."


def _tissue_words(cite: _Citations) -> str:
    return (
        f"The template {cite('icbm')} was bent onto each brain by diffeomorphic demons"
        f" {cite('demons')} on images of equal tissue contrast. Shares of grey matter, white"
        " matter and fluid were estimated in the brain mask by expectation maximisation with three"
        f" pure and three mixed classes {cite('mixed')}, the deformed template's maps as priors,"
        f" a smooth bias field and a Markov field {cite('unified')}. Maps with implausible volumes"
        " or deformation are flagged."
    )


def _quality_words(cite: _Citations, *, has_brain: bool) -> str:
    words = (
        f"Quality measures are named after those of MRIQC {cite('mriqc')}; where their definition"
        " differs, the table of measures says so."
    )
    if has_brain:
        words += (
            " Tissue measures were taken after correction of intensity non-uniformity with N4"
            f" {cite('n4')}."
        )
    return words
