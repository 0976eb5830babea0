"""The rules by which patients are of several kinds, of one that varies, or none of both.

The first that holds:

* ``none``: in no direction do patients vary more than held-out controls do. A pattern that all
  patients share moves their mean and is a finding about the disorder, not about its diversity.
* ``dimensional``: patients vary more in one direction or several, and one cluster describes them
  best (BIC), or neither null rejects that the gap between clusters is chance.
* ``discrete``: the gap between clusters is wider than in both nulls, and the clusters come again
  in resampled people, in halves, and in sites that were left out.
* ``uncertain``: anything else: one null rejects, the clusters do not come again, or no site could
  be left out. A cluster that comes with a change within the only site cannot be told from a kind.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bids_harmonize.stats.clustering import Method, SubtypeModel
from bids_harmonize.stats.clusternulls import Null
from bids_harmonize.stats.stability import Stability

Verdict = Literal["none", "dimensional", "uncertain", "discrete"]


@dataclass(frozen=True)
class Effort:
    """How much is computed, and where the lines are drawn.

    Attributes
    ----------
    method
        ``mixture`` or ``kmeans``.
    k_max
        Largest number of clusters.
    n_splits
        Halvings of the controls.
    n_resamples
        Bootstrap samples, and halvings, of the patients.
    n_null
        Draws of each null.
    alpha
        Both nulls' p must be at most this for ``discrete``.
    least_ari
        And the three kinds of stability at least this.
    """

    method: Method = "mixture"
    k_max: int = 6
    n_splits: int = 20
    n_resamples: int = 50
    n_null: int = 999
    alpha: float = 0.05
    least_ari: float = 0.6


@dataclass(frozen=True)
class Solution:
    """One number of clusters.

    Attributes
    ----------
    model
        Axes and clusters; assigns people who come later.
    bic
        Of the mixture with so many clusters; lower is better.
    stability
        Adjusted Rand indices.
    separation
        Dip between the clusters that are the least apart, 0 to 0.25.
    full, subspace
        The two nulls.
    """

    model: SubtypeModel
    bic: float
    stability: Stability
    separation: float
    full: Null
    subspace: Null

    @property
    def p_full(self) -> float:
        """Of the null of the whole pipeline; NaN where it was not asked for."""
        return self.full.p

    @property
    def p_subspace(self) -> float:
        """Of the null in the chosen subspace; NaN where it was not asked for."""
        return self.subspace.p


def decide(n_dimensions: int, k: int, chosen: Solution, effort: Effort) -> Verdict:
    """The verdict by the rules at the top of this module.

    Parameters
    ----------
    n_dimensions
        In which patients vary more than controls.
    k
        Number of clusters that describes patients best.
    chosen
        The solution with so many.
    effort
        Holds the lines.
    """
    if n_dimensions == 0:
        return "none"
    rejected = [p <= effort.alpha for p in (chosen.p_full, chosen.p_subspace)]
    if k == 1 or not any(rejected):
        return "dimensional"
    own = chosen.stability
    indices = np.array([own.bootstrap_ari, own.split_half_ari, own.leave_site_out_ari])
    stable = bool((indices >= effort.least_ari).all())  # NaN is not
    return "discrete" if all(rejected) and stable else "uncertain"
