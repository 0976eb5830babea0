"""Sidecars and table descriptions of the phantom dataset."""

from typing import Any

from bids_harmonize._version import __version__
from bids_harmonize.phantom.scanner import Scanner
from bids_harmonize.phantom.seeds import spread_number

GENERATOR = "bids-harmonize-phantom"

SITE_COLUMN = {
    "Description": "Simulated site where the participant was scanned; n/a: see sessions.tsv"
}
PARTICIPANT_COLUMNS: dict[str, dict[str, Any]] = {
    "participant_id": {"Description": "Unique participant identifier"},
    "site": SITE_COLUMN,
    "age": {"Description": "Simulated age; it shapes ventricles and cortex", "Units": "year"},
    "sex": {
        "Description": "Simulated sex; it shapes head size and scalp",
        "Levels": {"F": "female", "M": "male"},
    },
}
GROUP_COLUMN = {
    "Description": "Simulated diagnosis",
    "Levels": {"control": "healthy", "case": "with the planted disorder"},
}
SESSION_COLUMNS: dict[str, dict[str, Any]] = {
    "session_id": {"Description": "Session identifier"},
    "site": {"Description": "Simulated site of the session"},
}
TRUTH_COLUMNS: dict[str, dict[str, Any]] = {
    "participant_id": PARTICIPANT_COLUMNS["participant_id"],
    "site": SITE_COLUMN,
    "group": GROUP_COLUMN,
    "age": {"Description": "Age", "Units": "year"},
    "sex": PARTICIPANT_COLUMNS["sex"],
    "size": {"Description": "Linear size of the head relative to the ICBM152 template"},
    "ventricle_mm": {"Description": "Push on the ventricles' wall", "Units": "mm"},
    "gm_loss": {"Description": "Loss of all grey matter; 1 takes about a sixth of it"},
    "skull_mm": {"Description": "Mean skull thickness before size", "Units": "mm"},
    "scalp_mm": {"Description": "Mean scalp thickness before size", "Units": "mm"},
    "pattern": {"Description": "Planted atrophy pattern (true subtype); n/a: none"},
    "severity": {"Description": "Strength of the pattern; 1 is the stated one, 0 none"},
}

README = """# Phantom study

Made by {generator} {version}: **no person was scanned.** Heads are the ICBM152 grey and white
matter maps in a synthetic skull, scalp and neck, warped differently for everybody; scanners differ
as the preset says.

* Preset: `{preset}`: {description}.
* Sites: {n_sites}; healthy participants scanned at one site: {n_per_site} a site; with the
  disorder: {n_cases} a site; travelling subjects, scanned twice at every site: {n_travelling}.
* Nominal voxel size: {resolution_mm:g} mm; seed: {seed}.

The truth (tissue labels, masks, scanner parameters) lies beside this folder, in `{truth}`.
"""


def dataset_description(name: str) -> dict[str, Any]:
    """The root file of the raw dataset.

    Parameters
    ----------
    name
        Of the study.

    Returns
    -------
    dict
        Content of dataset_description.json.
    """
    return {
        "Name": name,
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["The bids-harmonize developers"],
        "Acknowledgements": "Simulated data; brain maps from ICBM152 2009a, "
        "Fonov et al. 2011, doi:10.1016/j.neuroimage.2010.07.033",
        "GeneratedBy": [{"Name": GENERATOR, "Version": __version__}],
    }


def sidecar(scanner: Scanner, *, index: int, seed: int) -> dict[str, Any]:
    """Acquisition metadata of a scanner: plausible, and marked as simulated.

    Parameters
    ----------
    scanner
        The site's scanner.
    index
        Place of the scanner among different ones; equal scanners share it.
    seed
        The study's seed.

    Returns
    -------
    dict
        Content of a T1w sidecar.
    """
    return {
        "Modality": "MR",
        "Manufacturer": "Simulated",
        "ManufacturersModelName": f"Phantom {index + 1}",
        "DeviceSerialNumber": f"{1000 + index}",
        "InstitutionName": scanner.name,
        "MagneticFieldStrength": 3 if spread_number(seed, index, "field") < 0.7 else 1.5,
        "MRAcquisitionType": "3D",
        "ScanningSequence": "GR\\IR",
        "SequenceVariant": "SP\\MP",
        "RepetitionTime": round(1.9 + 0.6 * spread_number(seed, index, "tr"), 2),
        "EchoTime": round(0.0022 + 0.002 * spread_number(seed, index, "te"), 5),
        "InversionTime": round(0.85 + 0.2 * spread_number(seed, index, "ti"), 2),
        "FlipAngle": round(8 + 3 * spread_number(seed, index, "flip")),
        "SoftwareVersions": f"{GENERATOR} {__version__}",
        "AcquisitionDescription": "Simulated: no person was scanned and these settings shaped "
        "nothing; the physics stands in the truth folder",
    }
