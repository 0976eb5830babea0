"""What every column of the tables of the stage ``classify`` means."""

from typing import Any, Final

Columns = dict[str, dict[str, Any]]

_MODELS: Final = {
    "network": "3D network on the whole volume",
    "shuffled": "the same network after participants have exchanged their sites inside each fold; "
    "must stay at chance",
    "covariates": "logistic regression on age and sex, as far as participants.tsv has them",
    "metadata": "random forest on what of the protocol can reach the network: voxel size, matrix, "
    "orientation and datatype of the raw image, share of the head that fell off the grid; never "
    "the scanner's name",
    "headmask": "the same network on the outline of the head alone",
    "brainonly": "the same network on the image with everything outside the brain mask set to 0",
    "headwithoutbrain": "the same network on the image with the brain mask set to 0; two traces "
    "of the brain stay: the outline of the hole, and the unit of all intensities, which is the "
    "brain's 99th percentile",
    "histogram": "logistic regression on the 64-bin intensity histogram of the head",
    "withoutmaskblock": "the network, trained without hidden blocks",
    "withoutkeepblock": "the network, trained without volumes of which one block alone is kept",
    "withoutblocks": "the network, trained without either",
    "logistic": "logistic regression on a table of features",
}
_EFFORT: Final = {
    "Description": "how much of the cross-validation was computed for this row",
    "Levels": {
        "full": "all folds",
        "quick": "the first fold only, because of --effort quick; fewer participants count",
    },
}
_CALIBRATED: Final = (
    "Of calibrated probabilities: on images, network and controls alike, one temperature a fold, "
    "fitted on the other folds; n/a for control networks with --effort quick, of which one fold "
    "was computed, so that no other fold could calibrate them; feature tables: the regression's "
    "own probabilities"
)
_IMAGES: Final = {"Description": "images the model was trained and tested on"}
_MODEL: Final = {"Description": "what names the site", "Levels": _MODELS}

ACCURACY_COLUMNS: Final[Columns] = {
    "model": _MODEL,
    "images": _IMAGES,
    "split": {
        "Description": "participants that are counted",
        "Levels": {
            "train": "seen in training; probabilities averaged over the folds that saw them",
            "validation": "unseen, pooled over the folds",
        },
    },
    "n": {"Description": "participants; a person's scans at a site are averaged first"},
    "accuracy": {"Description": "share of participants whose site was named rightly, 0 to 1"},
    "accuracy_low": {"Description": "lower end of Wilson's 95 % interval of the accuracy"},
    "accuracy_high": {"Description": "upper end of Wilson's 95 % interval of the accuracy"},
    "balanced_accuracy": {"Description": "mean over sites of the share named rightly, 0 to 1"},
    "balanced_low": {
        "Description": "lower end of the 95 % interval of the balanced accuracy, recovered from "
        "the sites' Wilson intervals (Zou and Donner 2008, doi:10.1002/sim.3095)"
    },
    "balanced_high": {"Description": "upper end of that interval"},
    "chance": {"Description": "balanced accuracy of guessing: 1 / number of sites"},
    "p_permutation": {
        "Description": "(1 + permutations that reach the balanced accuracy) / (1 + permutations): "
        "true sites permuted 1,000 times within folds, predictions fixed; n/a for participants "
        "seen in training and for harmonized images"
    },
    "calibration_error": {
        "Description": "mean distance of the greatest probability and the share named rightly, in "
        f"10 bins (Guo et al. 2017), 0 to 1; 0 is best. {_CALIBRATED}"
    },
    "brier": {
        "Description": "squared distance of the probabilities to the truth, summed over sites, "
        f"mean over participants (Brier 1950), 0 to 2; 0 is best. {_CALIBRATED}"
    },
    "effort": _EFFORT,
}

RECALL_COLUMNS: Final[Columns] = {
    "model": _MODEL,
    "images": _IMAGES,
    "split": {
        "Description": "participants that are counted",
        "Levels": {
            "validation": "unseen, pooled over the folds",
            "new": "asked of a finished model (--model-dir), which was not trained on these scans",
        },
    },
    "site": {"Description": "true site (for shuffled: the exchanged one)"},
    "n": {"Description": "participants of the site that the model was not trained on"},
    "recall": {
        "Description": "share of them whose site was named rightly, 0 to 1; the most probable "
        "site counts, also of scans called unseen"
    },
    "low": {"Description": "lower end of Wilson's 95 % interval"},
    "high": {"Description": "upper end of Wilson's 95 % interval"},
    "n_unseen": {
        "Description": "participants of whom at least one scan was said to look like no trained "
        "site (unseen_site in group_sitepredictions.tsv); n/a where the model does not tell"
    },
}

CALIBRATION_COLUMNS: Final[Columns] = {
    "model": _MODEL,
    "images": _IMAGES,
    "bin_low": {"Description": "lower edge of the bin of the greatest probability, excluded"},
    "bin_high": {"Description": "upper edge, included"},
    "n": {"Description": "unseen participants in the bin; empty bins have no row"},
    "confidence": {"Description": "their mean greatest probability, 0 to 1"},
    "accuracy": {"Description": "share of them whose site was named rightly, 0 to 1"},
}

VISIBILITY_COLUMNS: Final[Columns] = {
    "model": {
        "Description": "network that was asked",
        "Levels": {
            name: _MODELS[name]
            for name in ("network", "withoutmaskblock", "withoutkeepblock", "withoutblocks")
        },
    },
    "visible_fraction": {
        "Description": "volume of the one block that stays visible over that of the box around "
        "the head mask; the block has the box's proportions (edges rounded to voxels), lies "
        "wholly inside the box, all else is set to 0; 4 blocks a scan, drawn at random, the same "
        "for every network; 1: the whole volume"
    },
    "n": {"Description": "unseen participants"},
    "accuracy": {
        "Description": "share named rightly, mean over a person's blocks, then over people"
    },
    "accuracy_low": {
        "Description": "lower end of Wilson's 95 % interval for n people; rather too wide, since "
        "a person has several blocks"
    },
    "accuracy_high": {"Description": "upper end of that interval"},
    "difference": {
        "Description": "accuracy minus that of withoutblocks, mean of the participants' own "
        "differences; n/a in the rows of withoutblocks"
    },
    "difference_low": {
        "Description": "lower end of its 95 % interval (Tango's score interval of paired "
        "proportions: Tango 1998, Stat Med 17:891-908, "
        "doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B; of the sums of "
        "the participants' gains and losses); rather too wide, since a person has several blocks"
    },
    "difference_high": {"Description": "upper end of that interval"},
    "effort": _EFFORT,
}

CONFOUNDING_COLUMNS: Final[Columns] = {
    "variable": {"Description": "column of participants.tsv that is compared with the site"},
    "statistic": {
        "Description": "how closely they go together, 0 to 1",
        "Levels": {
            "cramers_v": "Cramer's V, bias-corrected (Bergsma 2013, "
            "doi:10.1016/j.jkss.2012.10.002); p of the chi-squared test",
            "correlation_ratio": "eta squared: share of the variance between sites; p of the "
            "Kruskal-Wallis test",
        },
    },
    "value": {"Description": "the statistic; n/a where everybody has one and the same value"},
    "p": {"Description": "p-value of no association, for this variable alone"},
    "p_holm": {
        "Description": "p corrected for the number of variables in this table (Holm 1979, "
        "https://www.jstor.org/stable/4615733); n/a where p is"
    },
    "n": {
        "Description": "participants whose value is known: of those that were trained on, for a "
        "group of all eligible ones"
    },
    "warning": {
        "Description": "whether the site is confounded with the variable",
        "Levels": {
            "true": "Cramer's V of 0.3 or more, eta squared of 0.06 or more (medium effects, "
            "Cohen 1988), and p_holm below 0.05",
            "false": "not shown; in a small study that is no proof of balance",
        },
    },
}


UNSEEN_COLUMNS: Final[Columns] = {
    "unseen_score": {
        "Description": "how little the scan looks like one of any trained site: Mahalanobis "
        "distance of the network's features to the nearest site (Lee et al. 2018)"
    },
    "unseen_site": {
        "Description": "whether the score is above the network's threshold, so that no trained "
        "site should be named",
        "Levels": {"true": "looks like an unseen site", "false": "looks like a trained one"},
    },
}


def prediction_columns(probabilities: list[str], *, unseen: bool) -> Columns:
    """Columns of group_sitepredictions.tsv.

    Parameters
    ----------
    probabilities
        The columns ``p_<site>``.
    unseen
        Whether the network gives a score of unseen sites.

    Returns
    -------
    dict
        Column to its description.
    """
    return {
        "filename": {"Description": "the scan, relative to the dataset"},
        "participant_id": {"Description": "the person"},
        "site": {"Description": "where the scan was made"},
        "fold": {
            "Description": "fold whose network, which has not seen this person, was asked; n/a "
            "for travelling subjects, and for those who are no controls where it was trained on "
            "controls: the final network, which has not seen them either"
        },
        "images": {"Description": "images the network was trained on and asked about"},
        "predicted": {"Description": "the most probable site"},
        **{
            name: {"Description": f"probability of the site {name.removeprefix('p_')}, 0 to 1"}
            for name in probabilities
        },
        **(UNSEEN_COLUMNS if unseen else {}),
        "saliency_in_brain": {
            "Description": "share of the positive saliency of the head that lies inside the "
            "brain, 0 to 1; n/a where no saliency map was made (--effort quick: 4 scans a site) "
            "and without brain masks"
        },
        "saliency_brain_ratio": {
            "Description": "that share divided by the brain's share of the head's volume; 1 for "
            "a map that ignores the brain, higher if the brain decides"
        },
    }
