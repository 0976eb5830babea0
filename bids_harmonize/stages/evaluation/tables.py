"""What every column of the evaluation's tables means; becomes the JSON beside each TSV."""

from collections.abc import Mapping
from typing import Any

from bids_harmonize.metrics import METRICS
from bids_harmonize.stages.evaluation.comparison import LEAST_GAP_DB
from bids_harmonize.stages.evaluation.fresh_probe import ALL_NAMED, CONVERGED_LENGTH
from bids_harmonize.stages.evaluation.probes import N_PERMUTATIONS
from bids_harmonize.stages.harmonization.halves import LEAST_PER_HALF

Columns = dict[str, dict[str, Any]]

_KINDS = {
    "direct": "scan of a source site, harmonized to the reference, against the person's real "
    "scan there",
    "reverse": "scan of the reference, harmonized to a source site, against the real scan there",
    "agreement": "scans of two source sites, both harmonized to the reference, against each other",
}
_MASKS = {
    "brain": "brain masks of both scans, intersected",
    "head": "head masks of both scans, intersected",
}
OTHER_METHODS = {
    "judge:<NAME>": "images of another tool, given by --judge NAME=PATH",
    "blur": "identity, smoothed until it is no sharper than the target site: the control",
    "ceiling": "the person's second scan at the target site against the first one there; "
    "registered too, nothing harmonized",
}
_PROTOCOL = (
    "Every image is rescaled by its own 1st and 99th percentile in the {mask} mask, so an affine "
    "change of intensities scores as identity. One rigid registration a pair is estimated on the "
    "unharmonized images and used for all methods; the source scan moves (cubic B-spline). Both "
    "images are 0 outside the mask and padded by 8 voxels. SSIM as Wang 2004 by scikit-image "
    "(gaussian_weights, sigma 1.5, use_sample_covariance False), mean in the mask; range 1.0. "
    "Sharpness is measured on unmoved images. The first usable scan of a person at a site is "
    "compared; the second at the target serves the ceiling."
)


def travelling_columns(methods: Mapping[str, str], *, voxel_size_mm: float, mask: str) -> Columns:
    """Descriptions of group_travelling.tsv.

    Parameters
    ----------
    methods
        Name of each harmonizer to what it does.
    voxel_size_mm
        Voxel size of the study grid; other grids cannot be compared.
    mask
        The study's scaling mask, ``brain`` or ``head``.

    Returns
    -------
    dict
        Column to its description.
    """
    return {
        "participant_id": {"Description": "the travelling subject"},
        "source_site": {"Description": "site of the scan that is harmonized"},
        "target_site": {
            "Description": "site of the real scan it is compared with (agreement: the other site)"
        },
        **_shared_columns(methods),
        "value": {
            "Description": "value of the metric",
            "Protocol": _PROTOCOL.format(mask=mask),
            "VoxelSize": voxel_size_mm,
            "VoxelSizeUnits": "mm",
        },
    }


def methods_columns(methods: Mapping[str, str], *, voxel_size_mm: float, mask: str) -> Columns:
    """Descriptions of group_methods.tsv; parameters as in :func:`travelling_columns`."""
    shared = _shared_columns(methods)
    return {
        "method": shared["method"],
        "source_site": {
            "Description": "site of the scan that is harmonized; all = averaged over source "
            "sites within a person first"
        },
        "target_site": {"Description": "site of the real scan it is compared with"},
        "kind": shared["kind"],
        "mask": shared["mask"],
        "metric": shared["metric"],
        "n": {"Description": "number of people"},
        "mean": {
            "Description": "mean over people",
            "Protocol": _PROTOCOL.format(mask=mask),
            "VoxelSize": voxel_size_mm,
            "VoxelSizeUnits": "mm",
        },
        "low": {"Description": "lower end of the 95 % bootstrap interval over people"},
        "high": {"Description": "upper end of the 95 % bootstrap interval over people"},
        "gap_closed": {
            "Description": "(method - identity) / (ceiling - identity), for psnr and ssim of one "
            f"direction, where the PSNR of the ceiling is more than {LEAST_GAP_DB:g} dB above "
            "that of identity"
        },
        "p_vs_best_baseline": {
            "Description": "primary endpoint: two-sided Wilcoxon signed-rank test of brain PSNR, "
            "direct, per person averaged over source sites, against the training-free method "
            "with the highest mean on the same people; Holm-corrected over methods. n people "
            "allow no value below 2/2^n"
        },
    }


def probe_columns(*, effort: str, n_folds: int, resolution_mm: float) -> Columns:
    """Descriptions of group_siteprobe.tsv.

    Parameters
    ----------
    effort
        ``quick`` or ``full``; stands in the description of the seed.
    n_folds
        Folds inside a half, at most.
    resolution_mm
        Voxel size that the probes see.

    Returns
    -------
    dict
        Column to its description.
    """
    return {
        "method": {"Description": "whose images the probe sees; identity = unharmonized"},
        "probe": {
            "Description": "which classifier names the site, on scans that the harmonizer was "
            "not fitted on (fitted on one half of the participants, applied to the other)",
            "VoxelSize": resolution_mm,
            "VoxelSizeUnits": "mm",
            "Levels": _probe_kinds(effort=effort, n_folds=n_folds),
        },
        "sites": {
            "Description": "all = scans of every trained site; sources = without the reference, "
            "whose scans skip the generator and could be told by that"
        },
        "seed": {
            "Description": f"random seed of the probe; n/a for the frozen one. Effort: {effort}"
            + (
                " (fewer seeds and folds than full, and no fresh probe of the baseline)"
                if effort == "quick"
                else ""
            )
        },
        **_probe_numbers(),
    }


def _probe_kinds(*, effort: str, n_folds: int) -> dict[str, str]:
    when = (
        " (effort quick: not trained)"
        if effort == "quick"
        else f"; only where the reseeded ones name under {ALL_NAMED} in the mean"
    )
    return {
        "frozen": "the cross-validated classifier of the unharmonized images, out of fold; any "
        "change of the images fools it",
        "reseeded": "the same network trained again on these images, cross-validated inside each "
        f"half with up to {n_folds} folds",
        "converged": f"as reseeded, trained {CONVERGED_LENGTH} times as long{when}",
        "forest": "a random forest on intensity and texture of the brain and its octants, trained "
        "and asked likewise",
    }


def _probe_numbers() -> Columns:
    return {
        "balanced_accuracy": {
            "Description": METRICS["balanced_accuracy"].description
            + f"; n/a = cannot tell, a half has under {LEAST_PER_HALF} participants of a site"
        },
        "low": {"Description": "lower end of the 95 % interval (Wilson, by site)"},
        "high": {"Description": "upper end of the 95 % interval (Wilson, by site)"},
        "train_accuracy": {
            "Description": "reseeded and converged: balanced accuracy on the scans that trained "
            "them, mean over folds; 1 = it has learnt all it was shown"
        },
        "chance": {"Description": "1 / number of sites"},
        "share_reference": {
            "Description": "frozen probe: share of people of source sites who are taken for the "
            "reference site; high when the old probe is fooled"
        },
        "null_q001": {
            "Description": f"0.1 % quantile of the balanced accuracy over {N_PERMUTATIONS} "
            "permutations of the labels within folds, predictions fixed"
        },
        "leak_suspected": {
            "Description": "retrained probes only: true where the balanced accuracy lies below "
            "null_q001, which a clean cross-validation hardly ever does"
        },
        "mmd": {
            "Description": METRICS["mmd"].description
            + "; of 64-bin brain histograms, source sites against the reference, mean over sites"
        },
        "n": {"Description": "number of people (a person at two sites counts at each)"},
    }


def verdict_columns() -> Columns:
    """Descriptions of group_verdict.tsv."""
    return {
        "method": {"Description": "the trained harmonizer"},
        "question": {"Description": "worded so that yes is the good answer"},
        "answer": {
            "Description": "the answer",
            "Levels": {
                "yes": "the threshold is met",
                "no": "it is missed",
                "cannot tell": "too few people, or the interval touches the threshold",
            },
        },
        "value": {
            "Description": "mean difference in dB, sharpness ratio, balanced accuracy, gain in "
            "percentage points of volume, rise of the error of age (share), fall of the AUC"
        },
        "threshold": {"Description": "what the answer yes needs"},
        "source": {"Description": "table, rows and number of people behind the answer"},
    }


def _shared_columns(methods: Mapping[str, str]) -> Columns:
    return {
        "kind": {"Description": "what is compared with what", "Levels": dict(_KINDS)},
        "method": {
            "Description": "how the image was made",
            "Levels": {**methods, **OTHER_METHODS},
        },
        "mask": {"Description": "voxels that count", "Levels": dict(_MASKS)},
        "metric": {
            "Description": "what is measured",
            "Levels": {
                row.name: f"{row.description} ({row.unit}; {row.direction}; {row.citation})"
                for row in METRICS.values()
                if row.inputs.startswith("image")
            },
        },
    }
