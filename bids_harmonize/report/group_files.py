"""Which files a group run left, for the page's last section."""

from collections.abc import Mapping

from bids_harmonize.report.group_blocks import Block, Cell, make_table
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import method_words

_FILES: Mapping[str, str] = {
    "group_quality.tsv": "quality measures, one row a scan",
    "group_siteclassification.tsv": "accuracy of the site classifier and its controls",
    "group_sitepredictions.tsv": "the classifier's answer for every scan",
    "group_siterecall.tsv": "share of each site named rightly, by model",
    "group_sitecalibration.tsv": "how sure the classifier is, and how often it is right",
    "group_sitevisibility.tsv": "accuracy when only a part of the head is visible",
    "group_siteconfounding.tsv": "whether site goes with age, sex or group",
    "group_siteverdict.tsv": "questions about the site classifier, with answers",
    "group_saliency.tsv": "share of the saliency inside the brain, by scan and method",
    "group_saliencyregions.tsv": "regions that the maps of each site mark most",
    "group_saliencydeletion.tsv": "deletion curves of the saliency maps",
    "group_saliencychecks.tsv": "checks of the saliency maps",
    "group_travelling.tsv": "similarity for every travelling subject, method and measure",
    "group_methods.tsv": "means of these, one row a method and direction",
    "group_reidentification.tsv": "who is recognised among others by a harmonized image",
    "group_lesions.tsv": "what is left of lesions that were put into scans",
    "group_siteprobe.tsv": "site probes on harmonized images",
    "group_features.tsv": "tissue volumes of every scan, before and after harmonization",
    "group_reliability.tsv": "agreement of a person's tissue volumes between sites",
    "group_biology.tsv": "how well age, sex and group are read from tissue",
    "group_casecontrol.tsv": "differences between cases and controls, by arm and feature",
    "group_meta.tsv": "the same at every site, and their mean over sites",
    "group_siteeffects.tsv": "how much of each feature's variance is the site's",
    "group_normative.tsv": "how many people deviate from what is expected of a control",
    "group_deviations.tsv": "every person's deviations",
    "group_classification.tsv": "whether cases of a site left out are told from controls",
    "group_casescores.tsv": "the score of everybody who was asked",
    "group_comparedmaps.tsv": "whether the differences lie where published maps have them",
    "group_voxelwise.tsv": "what survives of the differences voxel by voxel, by arm",
    "group_voxelclusters.tsv": "where these voxels lie",
    "group_subtypes.tsv": "the cluster of every case, by arm",
    "group_subtypevalidity.tsv": "what speaks for and against clusters, by arm and number",
    "group_subtypenulls.tsv": "the gaps between clusters of drawn people of one kind",
    "group_subtypemaps.tsv": "every cluster against the controls, by arm and feature",
    "group_subtypeassociations.tsv": "what else clusters differ in",
    "group_verdict.tsv": "questions fixed beforehand, with answers",
    "models": "trained models with settings, training list and model card",
    "logs": "one log and one settings file a run",
}


def files_table(inputs: GroupInputs) -> Block:
    """The tables and folders of a group run that are there.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Block
        A table: file, and what it holds.
    """
    rows: list[list[str | Cell]] = [
        [name, text] for name, text in _FILES.items() if (inputs.output_dir / name).exists()
    ]
    folder_rows: list[list[str | Cell]] = [
        [f"models/{folder.folder.name}", f"{method_words(folder.name)}, all source sites"]
        for folder in inputs.harmonizers
    ]
    return make_table(
        "Files",
        {"file": False, "holds": False},
        [*rows, *folder_rows],
        reading="Each table has a .json beside it that describes every column.",
    )
