"""What the columns of group_reidentification.tsv and group_lesions.tsv mean."""

from collections.abc import Mapping

from bids_harmonize.imaging.lesions import AWAY_MM, LEAST_RADIUS_VOXELS, RADIUS_MM
from bids_harmonize.stages.evaluation.lesions import LESIONS, MOST_SCANS
from bids_harmonize.stages.evaluation.portraits import MOST_OTHERS
from bids_harmonize.stages.evaluation.tables import OTHER_METHODS, Columns


def reidentification_columns(methods: Mapping[str, str]) -> Columns:
    """Descriptions of group_reidentification.tsv; parameter as in :func:`travelling_columns`."""
    distance = (
        "1 - correlation inside the template's brain, each brain laid on the template by its "
        "scan's affine, at 4 mm or the study's voxel size if that is coarser"
    )
    return {
        "method": {
            "Description": "how the image was made",
            "Levels": {**methods, **OTHER_METHODS},
        },
        "source_site": {"Description": "site of the scan that is harmonized and looked up"},
        "target_site": {
            "Description": "site among whose people it is looked for, by their real scans; where "
            "nobody who travels was scanned at the reference, another source site, by harmonized "
            "scans"
        },
        "n": {"Description": "number of travelling subjects who were looked for"},
        "gallery": {
            "Description": "number of people among whom each was looked for: all who travel and "
            f"up to {MOST_OTHERS} others; chance is 1 in so many"
        },
        "rank1": {"Description": "share of people whose own scan is nearer than everybody else's"},
        "low": {"Description": "lower end of its 95 % interval (Wilson)"},
        "high": {"Description": "upper end of its 95 % interval"},
        "within": {"Description": f"mean distance from the person's own scan: {distance}"},
        "between": {"Description": "mean distance from other people's scans"},
        "nearer": {
            "Description": "share of other people who are further away than oneself, mean over "
            "people; 1 is best, 0.5 chance"
        },
    }


def lesions_columns(methods: Mapping[str, str], *, effort: str) -> Columns:
    """Descriptions of group_lesions.tsv.

    Parameters
    ----------
    methods
        Name of each harmonizer to what it does.
    effort
        ``quick`` or ``full``: how many scans were taken.

    Returns
    -------
    dict
        Column to its description.
    """
    end = "end of the 95 % bootstrap interval over people"
    changes = {name: f"{change:+.0%} of the intensity there" for name, change in LESIONS.items()}
    return {
        "method": {"Description": "the harmonizer", "Levels": dict(methods)},
        "source_site": {"Description": "site of the scans; they are harmonized to the reference"},
        "lesion": {
            "Description": f"a ball of {RADIUS_MM:g} mm radius ({LEAST_RADIUS_VOXELS:g} voxels "
            "if that is more) in bright, even tissue deep in the brain",
            "Levels": changes,
        },
        "n": {
            "Description": f"number of people, at most {MOST_SCANS[effort]} a site, those whom no "
            "model was trained on first",
            "Effort": effort,
        },
        "contrast": {
            "Description": "change at its core in the harmonized image over that in the scan, "
            "each in units of the image's own range from the 1st to the 99th percentile; mean "
            "over people; 1 is best, 0 is erased"
        },
        "contrast_low": {"Description": f"lower {end}"},
        "contrast_high": {"Description": f"upper {end}"},
        "volume": {
            "Description": "summed change over the change at the core, harmonized over scan; mean "
            "over people; 1 is best"
        },
        "volume_low": {"Description": f"lower {end}"},
        "volume_high": {"Description": f"upper {end}"},
        "away": {
            "Description": f"largest change at least {AWAY_MM:g} mm away, over what was planted; "
            "the largest of all people; 0 is best"
        },
    }
