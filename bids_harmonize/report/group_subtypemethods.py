"""How kinds of cases were looked for, for a methods paragraph, with what it cites."""

from bids_harmonize.report.group_disordermethods import ARM_METHODS
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_subtypearms import ALPHA, LEAST_ARI, OURS, searched_arms
from bids_harmonize.report.group_words import listing

_OTHERS = {
    "hydra": "a max-margin polytope (Varol 2017)",
    "som": "a self-organising map of cases and controls followed by k-means (as in Sugihara 2017)",
}


def subtypes_methods(inputs: GroupInputs) -> tuple[list[str], list[str]]:
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
    arms = searched_arms(inputs)
    if not arms:
        return [], []
    table = inputs.tables["subtypevalidity"]
    most = table.loc[table["method"] == OURS, "k"].max()
    there = [name for name in _OTHERS if (table["method"] == name).any()]
    sentences = [
        "Subtypes of cases were looked for in deviations from models of controls, cross-fitted "
        f"over folds, {listing(ARM_METHODS.get(arm, arm) for arm in arms)}. They were whitened by "
        "the covariance of controls, and in the directions in which cases vary more than held-out "
        f"controls, Gaussian mixtures of 1 to {most:.0f} clusters were compared by BIC.",
        "The gap between clusters (dip; Hartigan 1985) was compared with that in a single "
        "Gaussian, drawn in all features and put through the whole search (Liu 2008; Dinga 2019), "
        "and drawn in the chosen directions.",
        "Clusters were found again in resampled cases, in halves, and without each site (adjusted "
        "Rand index, Hubert and Arabie 1985).",
        f"Subtypes were called where both nulls rejected at {ALPHA:g} and all indices were at "
        f"least {LEAST_ARI:g}; how clusters go with site and sex was told by Cramér's V, "
        "corrected for bias (Bergsma 2013).",
    ]
    if there:
        sentences.append(f"For comparison only: {listing(_OTHERS[name] for name in there)}.")
    combat = ["combat", "combat_mri"] if "combat" in arms else []
    return sentences, [*combat, "dip", "one_cluster", "biotypes", "rand", "cramers_v", *there]
