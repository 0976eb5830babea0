"""How cases and controls were compared, for a methods paragraph, with what it cites."""

from bids_harmonize.report.group_disorderarms import (
    arms_of,
    comparison_words,
    has_given_combat,
)
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import listing

ARM_METHODS = {
    "raw": "on features as they are",
    "covariate": "with the site as a covariate",
    "combat": "after ComBat fitted on controls (Johnson 2007; Fortin 2018)",
    "harmonized": "on features of harmonized images",
}
"""Arm to what was done about the site, after a verb."""


def disorder_methods(inputs: GroupInputs) -> tuple[list[str], list[str]]:
    """What was done, and keys of the references; both empty where nothing was.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    sentences, cited : list of str
        Only steps whose tables are there.
    """
    tables = inputs.tables
    if "casecontrol" not in tables:
        return [], []
    arms = arms_of(tables["casecontrol"])
    sentences = [
        "Cases were compared with controls feature by feature by linear models with covariates, "
        f"{listing(ARM_METHODS.get(arm, arm) for arm in arms)}; the difference is given in "
        "residual standard deviations with the correction for small samples (Hedges 1981), and "
        "features were called at a false discovery rate of 5 % (Benjamini and Hochberg 1995)."
    ]
    if words := comparison_words(inputs):
        sentences.append(words)
    given = has_given_combat(inputs)
    if given:
        sentences.append("The ComBat was that of an earlier study; nothing of it was fitted here.")
    cited = ["hedges", "fdr", *(["combat", "combat_mri"] if "combat" in arms else [])]
    if "voxelwise" in tables:
        sentences.append(
            "Cases were also compared with controls voxel by voxel in smoothed density of grey "
            "matter (Gaussian of 8 mm), enhanced by clusters without a threshold (Smith and "
            "Nichols 2009), with p corrected for all voxels by permutation of residuals (Freedman "
            "and Lane 1983) within sites."
        )
        cited += ["tfce", "freedman_lane"]
    if "meta" in tables:
        sentences.append(
            "Effects at single sites were pooled by a random-effects model (between-site variance "
            "by Paule and Mandel 1982, intervals by Hartung and Knapp 2001)."
        )
        cited += ["paule_mandel", "hartung_knapp"]
    if "normative" in tables:
        sentences.append(
            "Deviations from what is expected of a control were taken from models of controls, "
            "cross-fitted over folds"
            + (", and so was the ComBat before them." if "combat" in arms and not given else ".")
        )
    if "classification" in tables:
        sentences.append(
            "Logistic regression with ridge penalty was trained to tell cases from controls at "
            "all sites but one and asked about that one; people were compared within sites only, "
            "the AUC was given intervals by the variance of DeLong (1988), and p by dealing cases "
            "and controls anew within sites and fitting everything again."
        )
        cited.append("delong")
    if "comparedmaps" in tables:
        sentences.append(
            "Differences were correlated with published ones over regions, with p by permutation "
            "of regions."
        )
    return sentences, cited
