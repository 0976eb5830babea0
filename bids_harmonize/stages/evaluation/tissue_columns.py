"""What the columns of group_reliability.tsv and group_biology.tsv mean."""

from typing import Any

from bids_harmonize.stages.evaluation.biology import (
    ACROSS,
    LEAST_OF_A_KIND,
    LEAST_PEOPLE,
    LEAVE_OUT,
    N_FOLDS,
    NETWORK,
    RIDGE,
    WITHIN,
)
from bids_harmonize.stages.evaluation.biology_table import N_PERMUTATIONS
from bids_harmonize.stages.evaluation.comparison import CEILING
from bids_harmonize.stages.evaluation.reliability import LEAST_PEOPLE as LEAST_TRAVELLERS

Columns = dict[str, dict[str, Any]]


def reliability_columns(reference_site: str) -> Columns:
    """Descriptions of group_reliability.tsv."""
    percent = {"Units": "percent of the mean of both"}
    return {
        "method": {
            "Description": "the images whose tissue was measured; identity = unharmonized",
            "Levels": {CEILING: "the second against the first scan at one site, unharmonized"},
        },
        "feature": {"Description": "a column of group_features.tsv"},
        "source_site": {
            "Description": "site of the first scan; all = over all sites, people who were "
            "scanned at every one of them"
        },
        "target_site": {
            "Description": f"site of the second scan, {reference_site} where it is one of the two"
        },
        "n": {"Description": "number of travelling subjects; the first scan at a site counts"},
        "icc": {
            "Description": "ICC(2,1): two-way random effects, absolute agreement, single "
            "measurement; 1 is best (Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420); "
            f"n/a for fewer than {LEAST_TRAVELLERS} people"
        },
        "icc_low": {"Description": "lower end of its 95 % interval (McGraw and Wong 1996)"},
        "icc_high": {"Description": "upper end of its 95 % interval"},
        "bias": {"Description": "mean of source minus target", **percent},
        "loa_low": {
            "Description": "lower limit of agreement: bias - 1.96 standard deviations (Bland and "
            "Altman 1986, doi:10.1016/S0140-6736(86)90837-8)",
            **percent,
        },
        "loa_high": {"Description": "upper limit of agreement", **percent},
        "difference": {"Description": "mean absolute difference", **percent},
    }


def biology_columns() -> Columns:
    """Descriptions of group_biology.tsv."""
    return {
        "method": {
            "Description": "the images that are read, or whose tissue was measured; harmonized "
            "by a model that has not seen the person; identity = unharmonized"
        },
        "target": {
            "Description": "what is read",
            "Levels": {
                "age": "years",
                "sex": "f against m",
                "group": "patients against controls, by --group-column",
            },
        },
        "model": {
            "Description": "what reads it",
            "Levels": {
                RIDGE: "ridge regression on the features of group_features.tsv",
                NETWORK: "the site classifier's network, trained on images; age as the "
                "expectation over five age bands. Not with --effort quick",
            },
        },
        "scheme": {
            "Description": "who it was fitted on",
            "Levels": {
                ACROSS: f"other people of all sites together, up to {N_FOLDS} folds",
                WITHIN: f"other people of the same site, up to {N_FOLDS} folds",
                LEAVE_OUT: "people of all other sites",
            },
        },
        "metric": {
            "Description": "how well it is read",
            "Levels": {
                "mae": "mean absolute error, years; lower is better",
                "r2": "share of the variance within sites that is predicted; 1 is best, below 0 "
                "it is worse than the site's mean",
                "auc": "share of pairs of unlike people of one site that are ranked rightly; 1 is "
                "best, 0.5 chance",
            },
        },
        "value": {"Description": "of all people together"},
        "low": {"Description": "lower end of the 95 % bootstrap interval, people within sites"},
        "high": {"Description": "upper end of the 95 % bootstrap interval"},
        "p_permutation": {
            "Description": f"share of {N_PERMUTATIONS} permutations of the true values "
            "within sites that fit the fixed predictions as well; not corrected for the rows"
        },
        "n": {
            "Description": "number of people, of sites that know the value of at least "
            f"{LEAST_PEOPLE} (sex, group: {LEAST_OF_A_KIND} of each)"
        },
    }
