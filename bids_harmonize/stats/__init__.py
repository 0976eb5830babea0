"""Numbers in, intervals and p-values out; pure, and seeded by a passed Generator."""

from bids_harmonize.stats.comparisons import holm, wilcoxon_paired
from bids_harmonize.stats.outliers import find_all_outliers, find_outliers, outlier_threshold
from bids_harmonize.stats.proportions import mean_proportion_interval, wilson_interval
from bids_harmonize.stats.resampling import bootstrap_interval, permutation_quantile

__all__ = [
    "bootstrap_interval",
    "find_all_outliers",
    "find_outliers",
    "holm",
    "mean_proportion_interval",
    "outlier_threshold",
    "permutation_quantile",
    "wilcoxon_paired",
    "wilson_interval",
]
