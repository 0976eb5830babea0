"""What the columns of the disorder's tables mean; becomes the JSON beside each TSV."""

from collections.abc import Mapping, Sequence
from typing import Any

from bids_harmonize.stages.case_control.arms import ARM_WORDS, COMBAT
from bids_harmonize.stages.case_control.effects import MIN_OF_EACH
from bids_harmonize.stages.case_control.prediction import (
    DEFAULT_STRENGTH,
    LOGISTIC,
    MIN_CASES,
    MIN_CONTROLS,
    STRENGTHS,
)
from bids_harmonize.stages.case_control.published import MIN_REGIONS
from bids_harmonize.stages.case_control.refitting import ENOUGH, N_REFITS
from bids_harmonize.stages.feature_table.study import FeatureStudy

Columns = dict[str, dict[str, Any]]

COMPARED_P = {
    "Description": "two-sided p by permuting regions, which are not independent of each other: it "
    "is too small rather than too large"
}
_GIVEN = "the ComBat of another run (--model-dir), applied and not fitted"
_FEATURE = {"Description": "a column of the table of features"}
_CASES = {"Description": "number of cases; a person counts once"}
_CONTROLS = {"Description": "number of controls"}


def arm_column(
    studies: Sequence[FeatureStudy], adjusted: Sequence[str], *, given: bool = False
) -> dict[str, Any]:
    """Description of the column ``arm``: who was compared, adjusted for what, in which table.

    Parameters
    ----------
    studies
        The tables, all of one group column.
    adjusted
        Names of the covariates.
    given
        Whether the ComBat is that of another run.

    Returns
    -------
    dict
        For the JSON beside a table.
    """
    group = studies[0].control_group
    who = f"controls are {group.label} of the column {group.column}" if group else ""
    words = ", ".join(adjusted) or "nothing"
    return {
        "Description": f"how the site was dealt with; {who}; adjusted for {words}",
        "Levels": {**ARM_WORDS, **({COMBAT: _GIVEN} if given else {})},
        "Tables": {study.source.arm: study.source.words for study in studies},
    }


def disorder_columns(arm: Mapping[str, Any]) -> Columns:
    """Every column of the tables of numbers.

    Parameters
    ----------
    arm
        From :func:`arm_column`.

    Returns
    -------
    dict
        Column to its description; a table takes its own.
    """
    return {
        "arm": dict(arm),
        "feature": _FEATURE,
        **_effect_columns(),
        **_share_columns(),
        **_normative_columns(),
        **_classification_columns(),
        "map": {"Description": "published effects, as --compare-map names them"},
        "n_regions": {"Description": "regions that both have"},
        "r": {
            "Description": "Pearson's correlation of our d with the published one over regions; "
            f"n/a below {MIN_REGIONS} regions"
        },
        "n_cases": _CASES,
        "n_controls": _CONTROLS,
    }


def deviation_columns(features: Sequence[str], columns: Columns) -> Columns:
    """Descriptions of group_deviations.tsv."""
    value = {
        "Description": "deviation from what is expected of a control of this age and these "
        "covariates, by a model of controls that has not seen the person",
        "Units": "standard deviations of controls",
    }
    return {
        "participant_id": {"Description": "the person"},
        "arm": columns["arm"],
        "site": {"Description": "where the person was scanned"},
        "group": {"Description": "the word of the group column"},
        "fold": {"Description": "fold whose controls did not fit the model"},
        **dict.fromkeys(features, value),
    }


def score_columns(columns: Columns) -> Columns:
    """Descriptions of group_casescores.tsv."""
    return {
        "arm": columns["arm"],
        "model": columns["model"],
        "participant_id": {"Description": "the person; controls that calibrated have no row"},
        "site": {"Description": "the site that was held out"},
        "is_case": {"Description": "1 for cases, 0 for controls"},
        "score": {
            "Description": "log odds of being a case by a model that has seen nobody of the site "
            "but controls that calibrate; comparable within a site alone"
        },
    }


def _effect_columns() -> Columns:
    return {
        "site": {
            "Description": "site whose people alone were compared (at least "
            f"{MIN_OF_EACH} cases and controls); all = random-effects mean over sites (Paule and "
            "Mandel; Hartung and Knapp)"
        },
        "d": {
            "Description": "adjusted difference, cases minus controls, in residual standard "
            "deviations, corrected for small samples (Hedges 1981, "
            "doi:10.3102/10769986006002107)"
        },
        "low": {"Description": "lower end of the 95 % interval"},
        "high": {"Description": "upper end of the 95 % interval"},
        "p": {"Description": "two-sided p of no difference"},
        "q": {
            "Description": "smallest false discovery rate at which it is called, over the "
            "features of the arm (Benjamini and Hochberg 1995)"
        },
        "n_sites": {"Description": "sites in the mean"},
        "tau2": {"Description": "variance of the true effect between sites"},
        "i2": {"Description": "share of the spread between sites that is no chance, 0 to 1"},
    }


def _share_columns() -> Columns:
    return {
        "r2_site": {
            "Description": "share of the variance beyond covariates and group that the site "
            "explains, 0 to 1"
        },
        "r2_site_chance": {"Description": "the share that sites without effect would explain"},
        "r2_group": {
            "Description": "share of the variance beyond covariates and site that the group "
            "explains, 0 to 1"
        },
        "r2_group_chance": {"Description": "the share that a group without effect would explain"},
        "n": {"Description": "number of people"},
    }


def _normative_columns() -> Columns:
    return {
        "group": {"Description": "controls, or cases"},
        "share_beyond": {
            "Description": "share of people more than 1.96 standard deviations of controls from "
            "what is expected; .05 by chance"
        },
        "mean_deviation": {"Description": "mean deviation", "Units": "standard deviations"},
        "sd_deviation": {
            "Description": "standard deviation of the deviations; 1 for controls if the model fits"
        },
    }


def _classification_columns() -> Columns:
    return {
        "model": {
            "Description": "what learnt to tell cases from controls",
            "Levels": {
                LOGISTIC: "logistic regression with ridge penalty on features, C of "
                f"{', '.join(f'{c:g}' for c in STRENGTHS)} chosen inside the training sites",
                "network": "the site classifier's network on images (--case-network), which are "
                "not adjusted for covariates",
            },
        },
        "held_out_site": {
            "Description": "site that nobody learnt from but controls that calibrate; all = pairs "
            f"of a case and a control within sites, summed. Sites with {MIN_CASES} cases and "
            f"{MIN_CONTROLS} controls at least"
        },
        "auc": {"Description": "area under the ROC curve; .5 by chance"},
        "p_permutation": {
            "Description": "one-sided p: cases and controls dealt anew within sites. Of one site: "
            "scores kept. Of all sites, whose models learn from each other's people: everything "
            "fitted again, of the true groups too, with one penalty that nobody chose (C "
            f"{DEFAULT_STRENGTH:g}); the network is not trained again, so its p of all sites is a "
            "little too small"
        },
        "n_permutations": {
            "Description": f"deals behind p; of all sites at most {N_REFITS}, fewer once {ENOUGH} "
            "of them reach the AUC"
        },
        "n_calibration": {
            "Description": "controls of the held-out site given to the arms that must know it; "
            "nobody's score is theirs"
        },
        "auc_global": {
            "Description": "AUC over pairs of different sites too. Not interpretable: where the "
            "share of cases differs between sites, knowing the site raises it"
        },
    }
