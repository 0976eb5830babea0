"""Which tables the group page reads, and which of their columns hold numbers.

Of the tables of one row a person, group_deviations and group_casescores are large and show
nothing that the others do not, so they are not read; group_subtypes tells the sizes of clusters.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bids_harmonize.bids.names import group_output

TABLES = (
    "quality",
    "siteclassification",
    "sitepredictions",
    "siterecall",
    "sitecalibration",
    "sitevisibility",
    "siteconfounding",
    "siteverdict",
    "saliency",
    "saliencyregions",
    "saliencydeletion",
    "saliencychecks",
    "travelling",
    "methods",
    "siteprobe",
    "features",
    "reidentification",
    "lesions",
    "reliability",
    "biology",
    "verdict",
    "casecontrol",
    "meta",
    "siteeffects",
    "normative",
    "classification",
    "comparedmaps",
    "voxelwise",
    "voxelclusters",
    "subtypes",
    "subtypevalidity",
    "subtypenulls",
    "subtypemaps",
    "subtypeassociations",
)
DISORDER_TABLES = frozenset(TABLES[TABLES.index("casecontrol") :])
"""Of the stages that need a feature table and no scan."""
NUMBER_COLUMNS = frozenset(
    (
        *("n", "accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "chance"),
        *("value", "mean", "low", "high", "gap_closed", "p_vs_best_baseline"),
        *("share_reference", "null_q001", "mmd", "seed", "saliency_in_brain", "train_accuracy"),
        *("saliency_brain_ratio", "balanced_low", "balanced_high", "p_permutation"),
        *("calibration_error", "recall", "bin_low", "bin_high", "confidence", "p"),
        *("p_holm", "n_unseen", "icc", "icc_low", "icc_high"),
        *("contrast", "contrast_low", "contrast_high", "volume", "volume_low", "volume_high"),
        *("away", "gallery", "rank1", "within", "between", "nearer"),
        *("bias", "loa_low", "loa_high"),
        *("visible_fraction", "difference", "difference_low", "difference_high"),
        *("in_brain", "brain_ratio", "rank", "share", "ratio", "x_mm", "y_mm", "z_mm"),
        *("removed_fraction", "log_odds", "log_odds_low", "log_odds_high", "unseen_score"),
        *("d", "q", "tau2", "i2", "n_sites", "n_cases", "n_controls", "n_calibration"),
        *("r2_site", "r2_site_chance", "r2_group", "r2_group_chance", "share_beyond"),
        *("mean_deviation", "sd_deviation", "auc", "auc_global", "r", "n_regions"),
        *("k", "chosen", "n_dimensions", "bic", "bootstrap_ari", "splithalf_ari"),
        *("leavesite_ari", "separation", "p_null_full", "p_null_subspace", "v_site", "v_sex"),
        *("eta2_age", "eta2_quality", "agreement", "subtype", "strength", "draw"),
        *("n_voxels", "n_called", "volume_ml", "d_least", "d_most", "p_least", "n_permutations"),
    )
)


def column_descriptions(output_dir: Path, key: str) -> Mapping[str, Any]:
    """What the JSON beside a group table says of its columns; empty where it cannot be read.

    Parameters
    ----------
    output_dir
        Root of the derivative dataset.
    key
        The table's name without ``group_``.

    Returns
    -------
    Mapping
        Column to its description.
    """
    path = group_output(output_dir, f"group_{key}").with_suffix(".json")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
