"""Whether clusters of cases go with the quality of their images.

Choice: measures of which it is known whether higher or lower is better, without those that follow
the scanner's units. Reason: a volume or a voxel size is no quality, and its going with clusters
says something else. A study without images of ours has none, and then n/a is said.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bids_harmonize.bids.study_measures import read_study_measures
from bids_harmonize.imaging.quality import QUALITY_MEASURES, SITE_BOUND
from bids_harmonize.stages.case_control.cohort import Cohort
from bids_harmonize.stages.heterogeneity.shares import adjusted_for, share_of_clusters

QUALITY: Final = "quality"
"""Kind of variable that is a quality measure."""

MEASURES: Final = tuple(
    name
    for name, measure in QUALITY_MEASURES.items()
    if measure.direction != "neutral" and name not in SITE_BOUND
)


def read_quality(output_dir: Path) -> pd.DataFrame:
    """Quality measures of everybody whose scans the participant level has processed.

    Parameters
    ----------
    output_dir
        Root of the derivative.

    Returns
    -------
    DataFrame
        Float64, index participant_id, columns :data:`MEASURES`: the mean of a person's scans, NaN
        where unknown; no row where there are no scans.
    """
    found = read_study_measures(output_dir, MEASURES)
    people = pd.Index([stem.split("_")[0] for stem in found.stems], name="participant_id")
    frame = pd.DataFrame(found.values, index=people, columns=list(MEASURES), dtype=np.float64)
    return frame.groupby(level=0).mean()


def quality_rows(
    labels: np.ndarray, cohort: Cohort, quality: pd.DataFrame
) -> list[dict[str, Any]]:
    """How closely clusters go with each measure.

    Parameters
    ----------
    labels
        Cluster of each case, in their order.
    cohort
        The people.
    quality
        From :func:`read_quality`.

    Returns
    -------
    list of dict
        variable, kind, strength (share of variance beyond covariates and site), p and n, one a
        measure that is known of enough cases.
    """
    own = quality.reindex(cohort.people.index[cohort.is_case])
    base = adjusted_for(cohort)
    rows = []
    for name, cells in own.items():
        values = cells.to_numpy(dtype=np.float64)
        share, p = share_of_clusters(values, labels, base)
        if np.isfinite(share):
            n = int(np.isfinite(values).sum())
            told = {"kind": QUALITY, "strength": share, "p": p, "n": n}
            rows.append({"variable": str(name), **told})
    return rows


def with_quality(labels: np.ndarray, cohort: Cohort, quality: pd.DataFrame) -> dict[str, Any]:
    """The measure that clusters go with most; NaN and ``None`` where none is known.

    Parameters
    ----------
    labels, cohort, quality
        As for :func:`quality_rows`.

    Returns
    -------
    dict
        eta2_quality and quality_measure.
    """
    rows = quality_rows(labels, cohort, quality)
    if not rows:
        return {"eta2_quality": np.nan, "quality_measure": None}
    most = max(rows, key=lambda row: float(row["strength"]))
    return {"eta2_quality": most["strength"], "quality_measure": most["variable"]}
