"""The five tables of the saliency maps and of what they say about the study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bids_harmonize.atlases.regions import Regions
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.columns import Columns
from bids_harmonize.stages.classification.evidence import (
    CHECKS_PER_SITE,
    METHODS_PER_SITE,
    gather_evidence,
)
from bids_harmonize.stages.classification.models import ClassifierTraining, FoldModel
from bids_harmonize.stages.classification.regions import N_TOP, region_rows
from bids_harmonize.stages.classification.saliency import QUICK_MAPS_PER_SITE
from bids_harmonize.stages.classification.saliency_rows import (
    AGREEMENT_LIMIT,
    check_rows,
    deletion_rows,
    share_rows,
)
from bids_harmonize.stages.classification.tables import write_rows
from bids_harmonize.stages.classification.verdict import site_verdict
from bids_harmonize.training.runtime import seeded_generator
from bids_harmonize.training.saliency import DEFAULT_METHOD
from bids_harmonize.training.saliency_checks import BLOCK_MM

_SITE = {"Description": "where the scans were made"}
_METHOD = {
    "Description": "how the map was made",
    "Levels": {
        DEFAULT_METHOD: "integrated gradients against training scans of the other sites (default)",
        "hirescam": "gradient times activation on an inner grid of at most 20 mm",
        "occlusion": "log-odds lost when a block of 32 mm is replaced by other sites' mean",
    },
}
_SAMPLE = (
    f"(default method: all scans, or {QUICK_MAPS_PER_SITE} a site with --effort quick; other "
    f"methods: {METHODS_PER_SITE} a site, none with --effort quick)"
)
_COLUMNS: dict[str, Columns] = {
    "group_saliency": {
        "filename": {"Description": f"the scan, relative to the dataset {_SAMPLE}"},
        "participant_id": {"Description": "the person"},
        "site": _SITE,
        "method": _METHOD,
        "in_brain": {
            "Description": "share of the positive saliency of the head that lies inside the "
            "brain, 0 to 1; map of a network that has not seen the person; n/a without brain masks"
        },
        "brain_ratio": {
            "Description": "that share divided by the brain's share of the head's volume; 1 for "
            "a map that ignores the brain, higher if the brain decides"
        },
    },
    "group_saliencyregions": {
        "site": _SITE,
        "method": _METHOD,
        "rank": {"Description": f"1 for the region with the largest share, to {N_TOP}"},
        "region": {
            "Description": "coarse region of the template, by coordinate rules (docs/methods.md)"
        },
        "share": {"Description": "share of the positive mean saliency of the site's head, 0 to 1"},
        "ratio": {"Description": "share divided by the region's share of the head's volume"},
        **{
            f"{axis}_mm": {
                "Description": f"{axis} of the region's maximum of the mean map, smoothed by a "
                "Gaussian of 4 mm; MNI152NLin2009aSym, RAS+",
                "Units": "mm",
            }
            for axis in "xyz"
        },
    },
    "group_saliencydeletion": {
        "site": _SITE,
        "order": {
            "Description": f"in which order blocks of {BLOCK_MM:g} mm are replaced by the same "
            f"place of scans of other sites ({CHECKS_PER_SITE} scans a site, "
            f"{QUICK_MAPS_PER_SITE} with --effort quick)",
            "Levels": {
                "saliency": "the highest mean of the default map first",
                "random": "the same blocks at random",
            },
        },
        "removed_fraction": {"Description": "share of the head that was replaced, 0 to 1"},
        "n": {"Description": "participants; a person's scans are averaged first"},
        "log_odds": {"Description": "mean log-odds of the site against all others (natural)"},
        "log_odds_low": {"Description": "lower end of the 95 % bootstrap interval over people"},
        "log_odds_high": {"Description": "upper end of the 95 % bootstrap interval over people"},
    },
    "group_saliencychecks": {
        "check": {
            "Description": "what was checked",
            "Levels": {
                "deletion": "area between the random and the map's deletion curve, log-odds; "
                "passed if the interval lies above 0",
                "randomisation": "Spearman correlation of the absolute maps, in the head, of the "
                "network and of the same one with weights drawn anew; passed if the interval lies "
                f"below {AGREEMENT_LIMIT:g}",
            },
        },
        "site": {"Description": "where the scans were made; all: everybody together"},
        "method": _METHOD,
        "n": {"Description": "participants; a person's scans are averaged first"},
        "value": {"Description": "mean over participants, in the unit of the check"},
        "low": {"Description": "lower end of the 95 % bootstrap interval over participants"},
        "high": {"Description": "upper end of the 95 % bootstrap interval over participants"},
        "passed": {"Description": "true or false; n/a where there is no interval"},
    },
    "group_siteverdict": {
        "question": {
            "Description": "what is asked",
            "Levels": {
                "site_visible": "does the network name the site of unseen people beyond chance?",
                "decides_inside_brain": "does the decision rest on what lies inside the brain?",
            },
        },
        "answer": {"Description": "yes, no or cannot tell; the rule stands in docs/methods.md"},
        "value": {
            "Description": "balanced accuracy; mean over people of the brain ratio of the map"
        },
        "threshold": {
            "Description": "what the value is compared with: chance; a ratio of 1. Its interval "
            "must lie on one side"
        },
        "reason": {"Description": "the numbers behind the answer, or what is missing"},
    },
}


def write_saliency_tables(
    context: StageContext,
    training: ClassifierTraining,
    folds: Sequence[FoldModel],
    *,
    shares: Mapping[str, tuple[float, float]],
    accuracy: Sequence[Mapping[str, Any]],
    regions: Regions,
) -> tuple[list[Path], tuple[str, ...]]:
    """Check the saliency maps and write what they say; the mean maps must be on disk already.

    Parameters
    ----------
    context, training, folds
        As for :func:`explain`.
    shares
        What :func:`explain` returned second.
    accuracy
        The rows of group_siteclassification.tsv of unharmonized images.
    regions
        On the template's grid.

    Returns
    -------
    tuple
        Five tables, and notes for the reader: the verdict, and what ``--effort quick`` left out.
    """
    study, seed = context.study, context.settings.run.random_seed
    evidence = gather_evidence(context, training, folds)
    own_shares = share_rows(study, shares, evidence.shares)
    checks = check_rows(evidence, seed=seed)
    verdict = site_verdict(
        accuracy,
        [row for row in own_shares if row["participant_id"] in study.trainees],
        checks,
        rng=seeded_generator(seed, "site verdict"),
        has_brain_masks=study.scaling_mask == "brain",
    )
    tables: dict[str, list[dict[str, Any]]] = {
        "group_saliency": own_shares,
        "group_saliencyregions": region_rows(study, evidence.means, regions=regions),
        "group_saliencydeletion": deletion_rows(evidence, seed=seed),
        "group_saliencychecks": checks,
        "group_siteverdict": verdict,
    }
    columns = {**_COLUMNS, "group_saliencyregions": _region_columns(regions)}
    files = [
        write_rows(study.output_dir, name, rows, columns[name]) for name, rows in tables.items()
    ]
    inside = verdict[-1]
    notes = [f"the site is decided inside the brain: {inside['answer']} ({inside['reason']})"]
    if context.settings.group.effort == "quick":
        n_scans = QUICK_MAPS_PER_SITE
        notes.append(f"--effort quick: saliency by {DEFAULT_METHOD} alone, {n_scans} scans a site")
    return files, tuple(notes)


def _region_columns(regions: Regions) -> Columns:
    """Columns of group_saliencyregions.tsv; with ``--atlas`` the JSON file says which one."""
    columns = _COLUMNS["group_saliencyregions"]
    if not regions.atlas:
        return columns
    region = {
        "Description": "region of the label image given with --atlas; what no label covers is "
        f"one region, {regions.names[0]!r}",
        "Atlas": regions.atlas,
        "AtlasSha256": regions.sha256,
    }
    return {**columns, "region": region}
