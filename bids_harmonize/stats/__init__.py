"""Numbers in, intervals and p-values out; pure, and seeded by a passed Generator.

What needs scikit-learn (novelty, and everything about heterogeneity) is imported from its own
module, so that pages which ask for an interval do not load it.
"""

from bids_harmonize.stats.agreement import (
    IntraclassCorrelation,
    LimitsOfAgreement,
    icc_agreement,
    limits_of_agreement,
)
from bids_harmonize.stats.association import Association, correlation_ratio, cramers_v
from bids_harmonize.stats.combat import Combat, fit_combat
from bids_harmonize.stats.comparisons import holm, wilcoxon_paired
from bids_harmonize.stats.normative import ShareBeyond, cross_fitted_deviations, share_beyond
from bids_harmonize.stats.outliers import find_all_outliers, find_outliers, outlier_threshold
from bids_harmonize.stats.paired import paired_difference_interval
from bids_harmonize.stats.proportions import mean_proportion_interval, wilson_interval
from bids_harmonize.stats.resampling import (
    bootstrap_interval,
    permutation_p_value,
    permutation_quantile,
)
from bids_harmonize.stats.unimodality import dip

__all__ = [
    "Association",
    "Combat",
    "IntraclassCorrelation",
    "LimitsOfAgreement",
    "ShareBeyond",
    "bootstrap_interval",
    "correlation_ratio",
    "cramers_v",
    "cross_fitted_deviations",
    "dip",
    "find_all_outliers",
    "find_outliers",
    "fit_combat",
    "holm",
    "icc_agreement",
    "limits_of_agreement",
    "mean_proportion_interval",
    "outlier_threshold",
    "paired_difference_interval",
    "permutation_p_value",
    "permutation_quantile",
    "share_beyond",
    "wilcoxon_paired",
    "wilson_interval",
]
