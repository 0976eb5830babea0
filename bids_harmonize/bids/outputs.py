"""Everything the app writes, as rows: key, name pattern, whom it belongs to, what it holds."""

from dataclasses import dataclass
from typing import Literal

TEMPLATE_SPACE = "MNI152NLin2009aSym"

Level = Literal["scan", "site", "group"]

MAPPED_ARMS = ("raw", "covariate", "harmonized")
"""Ways to deal with the site in which cases are compared with controls voxel by voxel."""


@dataclass(frozen=True)
class OutputRow:
    """One kind of file: its key, its name pattern, whom it belongs to, and what it holds.

    ``pattern`` follows the source entities (level scan), ``tpl-<Site>`` (level site), or is the
    whole name (level group); ``{reference}`` stands for the label of the reference site.
    """

    name: str
    pattern: str
    level: Level
    description: str


def _row(name: str, pattern: str, level: Level, description: str) -> tuple[str, OutputRow]:
    return name, OutputRow(name, pattern, level, description)


def _group(name: str, description: str) -> tuple[str, OutputRow]:
    return _row(f"group_{name}", f"group_{name}.tsv", "group", description)


def _arm_maps(arm: str) -> tuple[tuple[str, OutputRow], ...]:
    desc = f"groupEffect{arm.title()}"
    return (
        _row(
            f"group_effect_{arm}",
            f"_desc-{desc}_statmap.nii.gz",
            "site",
            f"Adjusted difference of cases and controls in density of grey matter, arm {arm}.",
        ),
        _row(
            f"group_effect_p_{arm}",
            f"_desc-{desc}CorrectedP_statmap.nii.gz",
            "site",
            f"Its p, corrected for all voxels by permutation within sites, arm {arm}.",
        ),
    )


OUTPUTS: dict[str, OutputRow] = dict(
    (
        _row(
            "preproc",
            "_desc-preproc_T1w.nii.gz",
            "scan",
            "T1w image on the study grid, native units, exactly 0 outside the head.",
        ),
        _row("head_mask", "_desc-head_mask.nii.gz", "scan", "Head with scalp and skull."),
        _row("brain_mask", "_desc-brain_mask.nii.gz", "scan", "Brain without skull."),
        _row(
            "xfm_orig_to_preproc",
            "_from-orig_to-preproc_mode-image_xfm.txt",
            "scan",
            "Transform that takes results back to the grid of the raw image (ITK, LPS, mm).",
        ),
        _row(
            "xfm_preproc_to_template",
            f"_from-preproc_to-{TEMPLATE_SPACE}_mode-image_xfm.h5",
            "scan",
            "Transform that resamples the preprocessed image onto the template (ITK, LPS, mm).",
        ),
        _row(
            "bias_field",
            "_desc-biasField_statmap.nii.gz",
            "scan",
            "Coil's smooth field that was taken out: preprocessed image x field = image before.",
        ),
        _row("gm", "_label-GM_probseg.nii.gz", "scan", "Probability of grey matter."),
        _row("wm", "_label-WM_probseg.nii.gz", "scan", "Probability of white matter."),
        _row("csf", "_label-CSF_probseg.nii.gz", "scan", "Probability of cerebrospinal fluid."),
        _row(
            "harmonized",
            "_desc-harmonized{reference}_T1w.nii.gz",
            "scan",
            "Preprocessed image as if it came from the reference site, in its intensity scale.",
        ),
        _row(
            "site_saliency",
            "_desc-siteSaliency_statmap.nii.gz",
            "scan",
            "How much each voxel of the preprocessed image speaks for the site.",
        ),
        _row(
            "site_saliency_harmonized",
            "_desc-siteSaliencyHarmonized_statmap.nii.gz",
            "scan",
            "The same for the harmonized image.",
        ),
        _row("site_mean", "_desc-mean_T1w.nii.gz", "site", "Mean image of a site."),
        _row(
            "site_mean_saliency",
            "_desc-meanSiteSaliency_statmap.nii.gz",
            "site",
            "Mean saliency map of a site on the template.",
        ),
        _row(
            "site_effect",
            "_desc-siteEffect_statmap.nii.gz",
            "site",
            "Mean of harmonized minus preprocessed images of a site on the template.",
        ),
        _row(
            "structure_change",
            "_desc-structureChange_statmap.nii.gz",
            "site",
            "Mean change of edges (gradient magnitude) by harmonization, on the template.",
        ),
        *(row for arm in MAPPED_ARMS for row in _arm_maps(arm)),
        _group("quality", "Quality measures of every scan."),
        _group("siteclassification", "How well the site can be told, with its controls."),
        _group("siterecall", "How many of each site's participants are named rightly."),
        _group("sitecalibration", "Whether the network is as often right as it is sure."),
        _group("sitevisibility", "How well the site is told from a block of the head."),
        _group("siteconfounding", "Whether sites differ in age, sex or group."),
        _group("sitepredictions", "The site predicted for every scan."),
        _group("saliency", "How much of every saliency map lies inside the brain."),
        _group("saliencyregions", "Regions that hold most of each site's mean saliency."),
        _group("saliencydeletion", "What is left of the decision when places are taken away."),
        _group("saliencychecks", "Whether the saliency maps can be trusted."),
        _group("siteverdict", "Whether the site is visible, and decided inside the brain."),
        _group("travelling", "Similarity of every travelling subject's pairs of images."),
        _group("methods", "Every method on the travelling subjects, with intervals."),
        _group("siteprobe", "Whether a new network still finds the site after harmonization."),
        _group("features", "Tissue volumes of every scan, before and after harmonization."),
        _group("reidentification", "Whether a person is recognised by the harmonized image."),
        _group("lesions", "Whether lesions that were put into scans are kept."),
        _group("reliability", "Whether a person's tissue volumes agree between sites."),
        _group("biology", "Whether age, sex and group can still be read from tissue."),
        _group("verdict", "The reader's questions, answered: yes, no or cannot tell."),
        _group("casecontrol", "Adjusted differences between cases and controls."),
        _group("meta", "The same at every site, and their mean over sites."),
        _group("siteeffects", "How much of each feature's variance is the site's."),
        _group("comparedmaps", "Whether the differences lie where a published map has them."),
        _group("normative", "How many people deviate from what is expected of controls."),
        _group("deviations", "Every person's deviation from what is expected of controls."),
        _group("classification", "Whether cases of a site left out are told from controls."),
        _group("casescores", "The score of every person of a site that was left out."),
        _group("voxelwise", "What survives of the differences voxel by voxel, in every arm."),
        _group("voxelclusters", "Where the voxels that survive lie."),
        _group("subtypes", "The cluster of every case."),
        _group("subtypevalidity", "Whether the clusters are more than chance, and come again."),
        _group("subtypenulls", "The gaps between clusters of drawn people of one kind."),
        _group("subtypemaps", "Every subtype against the controls."),
        _group("subtypeassociations", "What else subtypes differ in."),
    )
)
"""Key to row, for every file a scan, a site or the study can have."""

BASE_KEYS = ("preproc", "head_mask", "xfm_orig_to_preproc")
BRAIN_KEYS = ("brain_mask", "xfm_preproc_to_template")
TISSUE_KEYS = ("gm", "wm", "csf")
BIAS_KEYS = ("bias_field",)


def participant_keys(*, bias: bool, brain: bool, tissue: bool) -> tuple[str, ...]:
    """Keys of what the participant level writes for a scan.

    Parameters
    ----------
    bias
        The bias field is taken out.
    brain
        There is a brain mask.
    tissue
        Tissue maps are wanted; without a brain mask there are none.

    Returns
    -------
    tuple of str
        Keys of :data:`OUTPUTS`.

    Examples
    --------
    >>> participant_keys(bias=False, brain=False, tissue=True)
    ('preproc', 'head_mask', 'xfm_orig_to_preproc')
    """
    return (
        *BASE_KEYS,
        *(BIAS_KEYS if bias else ()),
        *(BRAIN_KEYS if brain else ()),
        *(TISSUE_KEYS if brain and tissue else ()),
    )


DESCRIPTIONS = {
    "preproc": OUTPUTS["preproc"].description,
    "head": OUTPUTS["head_mask"].description,
    "brain": OUTPUTS["brain_mask"].description,
    "biasField": OUTPUTS["bias_field"].description,
    "siteSaliency": OUTPUTS["site_saliency"].description,
    "siteSaliencyHarmonized": OUTPUTS["site_saliency_harmonized"].description,
    "mean": OUTPUTS["site_mean"].description,
    "meanSiteSaliency": OUTPUTS["site_mean_saliency"].description,
    "siteEffect": OUTPUTS["site_effect"].description,
    "structureChange": OUTPUTS["structure_change"].description,
    **{
        f"groupEffect{arm.title()}{end}": OUTPUTS[f"group_effect{key}_{arm}"].description
        for arm in MAPPED_ARMS
        for end, key in (("", ""), ("CorrectedP", "_p"))
    },
}
"""What every ``desc-`` label of the derivative means; ``harmonized<Site>`` comes on top."""

BIDSIGNORE = (
    "*.html",
    "/models",
    "sub-*/figures",
    "sub-*/ses-*/figures",
    "sub-*/log",
    "group_*.tsv",
    "group_*.json",
    "*_xfm.*",
    "*_statmap.*",
)
"""Patterns of files outside the standard; a trailing slash would make the validator complain."""
