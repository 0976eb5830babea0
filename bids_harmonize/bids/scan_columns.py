"""What every column of the derivative's ``scans.tsv`` means, quality measures aside."""

from typing import Any

_UNUSED = "such a scan is harmonized and flagged, but neither trained on nor scored."
_LOOKS = {"true": "looks wrong", "false": "looks right"}

FIXED_COLUMNS: dict[str, dict[str, Any]] = {
    "filename": {"Description": "Preprocessed T1w image, relative to this table."},
    "site": {"Description": "Site at which the scan was made; n/a if it is not known."},
    "site_source": {"Description": "Table, column or option in which the site was read."},
    "head_mask_confidence": {"Description": "How far the head mask can be trusted, 0 to 1."},
    "head_mask_doubtful": {
        "Description": f"Whether the head mask looks wrong; {_UNUSED}",
        "Levels": _LOOKS,
    },
    "brain_mask_source": {
        "Description": "Where the brain mask comes from: template, bet, synthstrip, input (the "
        "image is skull-stripped), or derivative:<name>; n/a where none was wanted."
    },
    "brain_mask_confidence": {"Description": "How far the brain mask can be trusted, 0 to 1."},
    "brain_mask_doubtful": {
        "Description": f"Whether the brain mask looks wrong; {_UNUSED}",
        "Levels": _LOOKS,
    },
    "tissue_doubtful": {
        "Description": "Whether the tissue maps look wrong; n/a where there are none.",
        "Levels": _LOOKS,
    },
    "gm_volume_ml": {
        "Description": "Sum of the grey matter map.",
        "Units": "mL",
        "Direction": "neutral",
    },
    "wm_volume_ml": {
        "Description": "Sum of the white matter map.",
        "Units": "mL",
        "Direction": "neutral",
    },
    "csf_volume_ml": {
        "Description": "Sum of the fluid map.",
        "Units": "mL",
        "Direction": "neutral",
    },
    "flags": {"Description": "What was odd about the scan, separated by semicolons."},
    "harmonized_to": {
        "Description": "Reference site of the harmonized image; n/a where there is none."
    },
    "harmonization_method": {
        "Description": "What made the harmonized image: the harmonizer, scaling (a scan of the "
        "reference site), or n4_histogram where the training for the site had failed."
    },
    "harmonization_model_sha256": {"Description": "SHA-256 of the harmonizer's weights."},
    "unseen_site": {
        "Description": "Whether the harmonizer was trained on no scan of this scan's site.",
        "Levels": {"true": "the result is a guess from other sites", "false": "a known site"},
    },
    "harmonization_distance": {
        "Description": "How far the scan lies from the nearest site that the harmonizer was "
        "trained on; 1 for an ordinary scan of that site, n/a where the harmonizer cannot tell.",
        "Units": "1",
    },
    "native_shape": {"Description": "Voxels of the raw image along its own axes."},
    "native_orientation": {"Description": "Where the axes of the raw image point to."},
    "native_datatype": {"Description": "Type of the raw image's voxels on disk."},
    "settings_hash": {"Description": "Changes when a setting that shapes the output changes."},
    "input_sha256": {"Description": "SHA-256 of the raw image."},
}
"""Columns that every table has; quality measures stand before the last two."""

HARMONIZED_COLUMNS = (
    *("harmonized_to", "harmonization_method", "harmonization_model_sha256"),
    *("unseen_site", "harmonization_distance"),
)
"""Columns about the harmonized image; they outlive a new row of the participant level."""

PROVENANCE_COLUMNS = ("settings_hash", "input_sha256")
"""The last columns."""
