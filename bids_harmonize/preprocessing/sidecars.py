"""The JSON files beside the images of a scan: where each comes from, and how far to trust it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bids_harmonize._version import __version__
from bids_harmonize.bids.names import OUTPUTS, TEMPLATE_SPACE
from bids_harmonize.bids.provenance import bids_uri, file_sha256
from bids_harmonize.bids.sidecars import read_sidecar, with_own

if TYPE_CHECKING:
    from bids_harmonize.preprocessing.derivatives import ScanJob

Notes = Mapping[str, Mapping[str, Any]]

_BIAS_METHODS = {
    "n4": "N4 (SimpleITK), estimated in the head mask on a coarse copy",
    "ants": "N4 (ANTs' N4BiasFieldCorrection), estimated in the head mask",
}

_BRAIN_METHODS = {
    "template": "found with the template",
    "input": "all that the skull-stripped input shows",
    "bet": "found by FSL's BET",
    "synthstrip": "found by FreeSurfer's SynthStrip",
}


def make_sidecars(
    job: "ScanJob", *, measures: Mapping[str, float], notes: Notes
) -> dict[str, dict[str, Any]]:
    """Sidecars of all outputs, the preprocessed image's last.

    Parameters
    ----------
    job
        Names and places.
    measures
        Quality measures.
    notes
        Step (``conform``, ``brain``, ``bias``, ``tissue``) to what it said; steps that were not
        run are absent.

    Returns
    -------
    dict
        Output key to the content of its JSON file.
    """
    raw = job.source_uri
    made = bids_uri(job.output("preproc"), Path(job.output_dir))
    sidecars = {
        "head_mask": _head_mask(notes["conform"], raw),
        "xfm_orig_to_preproc": {
            "Description": (
                "Identity: the preprocessed image lies in the scanner's own world, only its grid"
                " is another. Resample it with this transform onto the raw image's grid to take"
                " results back."
            ),
            "Sources": [raw, made],
        },
    }
    if "bias" in notes:
        sidecars["bias_field"] = {
            "Description": (
                f"{OUTPUTS['bias_field'].description} 0 outside the head."
                f" {_BIAS_METHODS[notes['bias']['method']]}."
            ),
            "SkullStripped": bool(notes["conform"]["skull_stripped"]),
            "Sources": [raw],
        }
    if "brain" in notes:
        sidecars["brain_mask"] = _brain_mask(job, notes["brain"], made)
        sidecars["xfm_preproc_to_template"] = _transform(notes, made)
    if "tissue" in notes:
        sidecars |= _tissue_maps(job, notes["tissue"], made)
    metadata = read_sidecar(Path(job.source), root=Path(job.dataset))
    sidecars["preproc"] = with_own(metadata, _preproc(job, raw, measures=measures, notes=notes))
    return sidecars


def _head_mask(conform: Mapping[str, Any], raw: str) -> dict[str, Any]:
    description = "Head with scalp and skull."
    if conform["skull_stripped"]:
        description = "The input is skull-stripped, so this is the brain: head = brain."
    return {
        "Type": "ROI",
        "Description": description,
        "Sources": [raw],
        "HeadIsBrain": bool(conform["skull_stripped"]),
        "Confidence": conform["confidence"],
    }


def _brain_mask(job: "ScanJob", brain: Mapping[str, Any], made: str) -> dict[str, Any]:
    sources = [made]
    how = _BRAIN_METHODS.get(brain["source"])
    if job.given_mask is not None and str(brain["source"]).startswith("derivative:"):
        root = Path(job.given_mask["root"])
        sources.append(bids_uri(Path(job.given_mask["path"]), root, name=job.given_mask["name"]))
        how = f"from the derivative dataset {job.given_mask['name']}, put on the study grid"
    return {
        "Type": "Brain",
        "Description": f"Brain without skull, {how}.",
        "Sources": sources,
        "TemplateCorrelation": brain["correlation"],
        "Confidence": brain["confidence"],
    }


def _transform(notes: Notes, made: str) -> dict[str, Any]:
    what = "Affine and displacement field" if "tissue" in notes else "Affine"
    content: dict[str, Any] = {
        "Description": (
            f"{what} as an ITK composite (LPS, mm): give it to an ITK tool to resample the"
            f" preprocessed image onto {TEMPLATE_SPACE}."
        ),
        "Sources": [made],
    }
    if "tissue" in notes:
        content["JacobianRange"] = notes["tissue"]["jacobian_range"]
        content["TemplateCorrelation"] = notes["tissue"]["correlation"]
    return content


def _tissue_maps(
    job: "ScanJob", tissue: Mapping[str, Any], made: str
) -> dict[str, dict[str, Any]]:
    brain = bids_uri(job.output("brain_mask"), Path(job.output_dir))
    return {
        key: {
            "Description": f"{OUTPUTS[key].description} 0 outside the brain mask.",
            "SkullStripped": True,
            "Sources": [made, brain],
            "VolumeMl": tissue["volumes_ml"][key],
        }
        for key in ("gm", "wm", "csf")
    }


def _preproc(
    job: "ScanJob", raw: str, *, measures: Mapping[str, float], notes: Notes
) -> dict[str, Any]:
    conform, brain = notes["conform"], notes.get("brain", {})
    tissue, bias = notes.get("tissue", {}), notes.get("bias")
    description = "T1w image on the study grid by one interpolation, native units"
    if bias is not None:
        description += f", bias field taken out by {_BIAS_METHODS[bias['method']]}"
    own = {
        "Description": f"{description}, 0 outside the head.",
        "SkullStripped": bool(conform["skull_stripped"]),
        "Sources": [raw],
        "NativeGrid": dict(conform["native"]),
        "BiasCorrection": "none" if bias is None else bias["method"],
        "BiasFieldRange": None if bias is None else bias["range"],
        "QualityMeasures": {name: _finite(value) for name, value in measures.items()},
        "Flags": _flags(job, measures=measures, notes=notes),
        "HeadMaskConfidence": conform["confidence"],
        "HeadMaskDoubtful": bool(conform["doubtful"]),
        "BrainMaskConfidence": brain.get("confidence"),
        "BrainMaskDoubtful": bool(brain.get("doubtful", False)),
        "BrainMaskSource": brain.get("source"),
        "BrainMaskSha256": _given_sha256(job),
        "TissueVolumesMl": dict(tissue.get("volumes_ml", {})) or None,
        "TissueDoubtful": bool(tissue.get("doubtful", False)),
    }
    if job.settings["tissue"] and not tissue:
        own["TissueSkipped"] = "no brain mask (--brain-mask none)"
    return {
        **own,
        "Settings": job.settings,
        "SettingsHash": job.settings_hash,
        "InputSha256": file_sha256(Path(job.source)),
        "SoftwareVersion": __version__,
    }


def _flags(job: "ScanJob", *, measures: Mapping[str, float], notes: Notes) -> list[str]:
    flags = [str(flag) for note in notes.values() for flag in note.get("flags", ())]
    if measures.get("brain_cropped") == 1:
        flags.append("brain reaches the edge of the study grid, so some of it may be lost")
    if job.given_mask is None and job.looked_in:
        source = notes.get("brain", {}).get("source", "none")
        flags.append(f"no brain mask in {' or '.join(job.looked_in)}; brain mask: {source}")
    if job.given_mask is not None and job.given_mask["lacks"]:
        lacks = " and ".join(job.given_mask["lacks"])
        flags.append(
            f"the brain mask of {job.given_mask['name']} names no {lacks}: made from an average?"
        )
    return flags


def _given_sha256(job: "ScanJob") -> str | None:
    return None if job.given_mask is None else file_sha256(Path(job.given_mask["path"]))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
