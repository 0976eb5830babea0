"""Numbers in, intervals and p-values out; pure, and seeded by a passed Generator."""

from bids_harmonize.stats.agreement import (
    IntraclassCorrelation,
    LimitsOfAgreement,
    icc_agreement,
    limits_of_agreement,
)
from bids_harmonize.stats.association import Association, correlation_ratio, cramers_v
from bids_harmonize.stats.clustering import Clusters, SubtypeModel, fit_clusters
from bids_harmonize.stats.combat import Combat, fit_combat
from bids_harmonize.stats.comparisons import holm, wilcoxon_paired
from bids_harmonize.stats.excess import Excess, find_excess, split_controls
from bids_harmonize.stats.heterogeneity import Heterogeneity, assess_heterogeneity
from bids_harmonize.stats.hydra import Polytope, fit_hydra
from bids_harmonize.stats.normative import ShareBeyond, cross_fitted_deviations, share_beyond
from bids_harmonize.stats.outliers import find_all_outliers, find_outliers, outlier_threshold
from bids_harmonize.stats.paired import paired_difference_interval
from bids_harmonize.stats.proportions import mean_proportion_interval, wilson_interval
from bids_harmonize.stats.resampling import (
    bootstrap_interval,
    permutation_p_value,
    permutation_quantile,
)
from bids_harmonize.stats.som import NodeMap, SomClusters, cluster_som, fit_som
from bids_harmonize.stats.stability import Stability, measure_stability
from bids_harmonize.stats.unimodality import dip
from bids_harmonize.stats.verdict import Effort, Solution, Verdict, decide
from bids_harmonize.stats.whitening import Whitening, fit_whitening

__all__ = [
    "Association",
    "Clusters",
    "Combat",
    "Effort",
    "Excess",
    "Heterogeneity",
    "IntraclassCorrelation",
    "LimitsOfAgreement",
    "NodeMap",
    "Polytope",
    "ShareBeyond",
    "Solution",
    "SomClusters",
    "Stability",
    "SubtypeModel",
    "Verdict",
    "Whitening",
    "assess_heterogeneity",
    "bootstrap_interval",
    "cluster_som",
    "correlation_ratio",
    "cramers_v",
    "cross_fitted_deviations",
    "decide",
    "dip",
    "find_all_outliers",
    "find_excess",
    "find_outliers",
    "fit_clusters",
    "fit_combat",
    "fit_hydra",
    "fit_som",
    "fit_whitening",
    "holm",
    "icc_agreement",
    "limits_of_agreement",
    "mean_proportion_interval",
    "measure_stability",
    "outlier_threshold",
    "paired_difference_interval",
    "permutation_p_value",
    "permutation_quantile",
    "share_beyond",
    "split_controls",
    "wilcoxon_paired",
    "wilson_interval",
]
