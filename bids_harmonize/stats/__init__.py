"""Numbers in, intervals and p-values out; pure, and seeded by a passed Generator."""

from bids_harmonize.stats.comparisons import holm, wilcoxon_paired
from bids_harmonize.stats.resampling import (
    bootstrap_interval,
    permutation_quantile,
    stratified_bootstrap,
    wilson_interval,
)

__all__ = [
    "bootstrap_interval",
    "holm",
    "permutation_quantile",
    "stratified_bootstrap",
    "wilcoxon_paired",
    "wilson_interval",
]
