"""What the columns of the tables of subtypes mean; becomes the JSON beside each TSV."""

from collections.abc import Mapping
from typing import Any

from bids_harmonize.stages.heterogeneity.meaning import (
    FULL,
    MIN_OF_SUBTYPE,
    SUBSPACE,
)
from bids_harmonize.stages.heterogeneity.quality import MEASURES
from bids_harmonize.stages.heterogeneity.search import HYDRA, OURS, SOM, SOM_CLUSTERS
from bids_harmonize.stages.heterogeneity.shares import MIN_KNOWN
from bids_harmonize.stats.verdict import Effort

Columns = dict[str, dict[str, Any]]

METHODS = {
    OURS: "Gaussian mixture in the directions in which cases vary more than held-out controls do",
    HYDRA: "max-margin polytope (Varol 2017, doi:10.1016/j.neuroimage.2016.02.041), for "
    "comparison",
    SOM: "self-organising map, then k-means, cases and controls together (as in Sugihara 2017, "
    f"doi:10.1093/schbul/sbw176), {SOM_CLUSTERS} clusters, for comparison",
}
NULLS = {
    FULL: "one Gaussian of all features, put through the whole search",
    SUBSPACE: "one Gaussian in the directions that were chosen",
}
VERDICTS = {
    "none": "in no direction do cases vary more than held-out controls do",
    "dimensional": "cases vary more, and one cluster describes them best, or no null rejects",
    "uncertain": "one null rejects, the clusters do not come again, or no site could be left out",
    "discrete": "both nulls reject, and the clusters come again in resampled people, in halves "
    "and in sites that were left out",
}


def subtype_columns(arm: Mapping[str, Any], effort: Effort) -> Columns:
    """Every column of the tables of subtypes.

    Parameters
    ----------
    arm
        Description of the column ``arm``.
    effort
        How much was computed.

    Returns
    -------
    dict
        Column to its description; a table takes its own.
    """
    return {
        "arm": dict(arm),
        **_people_columns(),
        **_validity_columns(effort),
        "null": {"Description": "what was drawn from", "Levels": NULLS},
        "draw": {
            "Description": "number of the draw, from 1; 0 is the cases themselves, by the same "
            "search as the draws. No more are drawn where 10 are as far apart as the cases"
        },
        "feature": {"Description": "a column of the table of features"},
        "d": {
            "Description": "adjusted difference, people of the subtype minus all controls, in "
            f"residual standard deviations; subtypes of {MIN_OF_SUBTYPE} people and more"
        },
        "low": {"Description": "lower end of the 95 % interval"},
        "high": {"Description": "upper end of the 95 % interval"},
        "p": {
            "Description": "of no difference. Subtypes were made to differ in the features, so p "
            "and q of a map do not test that there are subtypes"
        },
        "q": {
            "Description": "false discovery rate (Benjamini and Hochberg 1995); quality of images "
            "by itself"
        },
        "n_cases": {"Description": "people of the subtype"},
        "n_controls": {"Description": "number of controls"},
        "variable": {
            "Description": "a column of the table or of participants.tsv, or a quality measure of "
            f"the images, known of {MIN_KNOWN} cases at least"
        },
        "kind": {"Description": "numbers, words, or quality (of images, a number)"},
        "strength": {
            "Description": "numbers and quality: share of variance that subtypes explain beyond "
            "covariates and site; words: Cramer's V, not adjusted"
        },
        "n": {"Description": "cases of whom it is known"},
    }


def _people_columns() -> Columns:
    return {
        "participant_id": {"Description": "the person, a case"},
        "site": {"Description": "where the person was scanned"},
        "subtype": {
            "Description": "cluster, largest first; 1 for everybody where one describes them "
            "best. A subtype is claimed only where the verdict of the arm is discrete"
        },
        "posterior": {"Description": "probability of this cluster, 0 to 1"},
        "stability": {
            "Description": "share of resampled models that give the person this cluster, 0 to 1"
        },
        HYDRA: {"Description": METHODS[HYDRA]},
        SOM: {"Description": METHODS[SOM]},
    }


def _validity_columns(effort: Effort) -> Columns:
    ari = "adjusted Rand index, 1 is the same, 0 chance"
    return {
        "method": {"Description": "how clusters were made", "Levels": METHODS},
        "k": {"Description": "number of clusters"},
        "chosen": {"Description": "1 for the number that describes cases best (lowest BIC)"},
        "n_dimensions": {
            "Description": "directions in which cases vary more than held-out controls do"
        },
        "bic": {"Description": "Bayesian information criterion; lower is better"},
        "bootstrap_ari": {
            "Description": f"labels against those of {effort.n_resamples} models of resampled "
            f"cases; {ari}"
        },
        "splithalf_ari": {"Description": f"a half by its own model and by the other's; {ari}"},
        "leavesite_ari": {
            "Description": "labels against those by models that never saw a site, the lowest over "
            f"sites; n/a with one site; {ari}"
        },
        "separation": {"Description": "dip between the nearest two clusters, 0 to 0.25"},
        "p_null_full": {
            "Description": "of one Gaussian through the whole search, "
            f"{effort.n_null} draws; n/a where it was not asked"
        },
        "p_null_subspace": {"Description": "of one Gaussian in the chosen directions"},
        "v_site": {"Description": "Cramer's V of clusters and sites, 0 to 1"},
        "v_sex": {"Description": "Cramer's V of clusters and sex, 0 to 1"},
        "eta2_age": {"Description": "share of the variance of age between clusters"},
        "eta2_quality": {
            "Description": "share of the variance of a quality measure that clusters explain "
            f"beyond covariates and site, the largest over {', '.join(MEASURES)}; so it is above "
            "0 by chance. n/a where no images of these people were processed"
        },
        "quality_measure": {"Description": "the quality measure with this share"},
        "agreement": {"Description": f"with our clusters; {ari}"},
        "verdict": {"Description": "of the arm, in the row that was chosen", "Levels": VERDICTS},
    }
