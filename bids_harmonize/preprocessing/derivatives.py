"""What a finished scan leaves in the output: images, transforms, sidecars.

The sidecar of the preprocessed image is written last: where it stands, everything stands. It also
holds the scan's row of ``scans.tsv``, so that a run that was killed before it wrote its tables
loses nothing, and the sizes of all files, so that a file that was cut or changed is noticed.

Equal input and settings give equal bytes: no time and no name of a run stands in any output.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize._version import __version__
from bids_harmonize.bids.dataset import RAW
from bids_harmonize.bids.files import write_json, writing_fault
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.names import TEMPLATE_SPACE, scan_output
from bids_harmonize.bids.provenance import bids_uri, file_sha256
from bids_harmonize.bids.sidecars import read_sidecar, with_own
from bids_harmonize.preprocessing.integrity import SIZES_KEY, file_sizes
from bids_harmonize.preprocessing.steps import Conformed, load_brain
from bids_harmonize.preprocessing.transforms import write_identity, write_to_template

OUTPUT_KEYS = ("preproc", "head_mask", "xfm_orig_to_preproc")
BRAIN_KEYS = ("brain_mask", "xfm_preproc_to_template")


@dataclass(frozen=True)
class ScanJob:
    """What a worker must know of a scan; plain values, so that any process can take it.

    Parameters
    ----------
    stem
        Name of the scan without suffix and extension.
    source
        The raw image.
    dataset
        Root of the raw dataset.
    output_dir
        Root of the derivative.
    settings
        Settings that shape the output, by name.
    settings_hash
        Their hash.
    run_id
        Of this run.
    """

    stem: str
    source: str
    dataset: str
    output_dir: str
    settings: dict[str, Any]
    settings_hash: str
    run_id: str

    def output(self, key: str) -> Path:
        """Path of one of the scan's outputs."""
        return scan_output(Path(self.output_dir), self.stem, key)

    def plain(self) -> dict[str, Any]:
        """The fields as a dictionary that :class:`ScanJob` takes back."""
        return asdict(self)


def sidecar_path(image: Path) -> Path:
    """The JSON file of an image or a transform.

    Examples
    --------
    >>> sidecar_path(Path("sub-01_desc-preproc_T1w.nii.gz")).name
    'sub-01_desc-preproc_T1w.json'
    """
    return image.with_name(f"{image.name.removesuffix('.gz').rpartition('.')[0]}.json")


def save_scan(
    job: ScanJob,
    *,
    conformed_file: Path,
    brain_file: Path | None,
    measures: Mapping[str, float],
    conform_notes: Mapping[str, Any],
    brain_notes: Mapping[str, Any],
) -> Path:
    """Write all outputs of a scan; if one cannot be written, none stays.

    Parameters
    ----------
    job
        Names and places.
    conformed_file, brain_file
        What the steps ``conform`` and ``mask_brain`` wrote; no brain file means that no brain
        mask is wanted.
    measures
        Quality measures.
    conform_notes, brain_notes
        What the steps had to say; empty where the step was not run.

    Returns
    -------
    Path
        The preprocessed image.

    Raises
    ------
    OutputError, StorageError
        If a file cannot be written.
    """
    scan = Conformed.load(conformed_file)
    sidecars = make_sidecars(
        job, measures=measures, conform_notes=conform_notes, brain_notes=brain_notes
    )
    remove_outputs(job)
    try:
        write_image(job.output("preproc"), scan.volume, scan.affine)
        write_image(job.output("head_mask"), scan.head_mask, scan.affine, dtype=np.uint8)
        write_identity(job.output("xfm_orig_to_preproc"))
        if brain_file is not None:
            brain_mask, world_to_template = load_brain(brain_file)
            write_image(job.output("brain_mask"), brain_mask, scan.affine, dtype=np.uint8)
            write_to_template(job.output("xfm_preproc_to_template"), world_to_template)
        last = sidecars.pop("preproc")
        for key, content in sidecars.items():
            write_json(sidecar_path(job.output(key)), content)
        written = [job.output("preproc"), *map(job.output, sidecars)]
        written += [sidecar_path(job.output(key)) for key in sidecars]
        last[SIZES_KEY] = file_sizes(written)
        write_json(sidecar_path(job.output("preproc")), last)
    except Exception:
        remove_outputs(job)
        raise
    return job.output("preproc")


def remove_outputs(job: ScanJob) -> None:
    """Take away what an earlier run left of the scan, its mark of completeness first."""
    for key in (*OUTPUT_KEYS, *BRAIN_KEYS):
        path = job.output(key)
        try:
            sidecar_path(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise writing_fault(error, path) from error


def make_sidecars(
    job: ScanJob,
    *,
    measures: Mapping[str, float],
    conform_notes: Mapping[str, Any],
    brain_notes: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Sidecars of all outputs, the preprocessed image's last.

    Parameters
    ----------
    job, measures, conform_notes, brain_notes
        As in :func:`save_scan`.

    Returns
    -------
    dict
        Output key to the content of its JSON file.
    """
    raw = bids_uri(Path(job.source), Path(job.dataset), name=RAW)
    made = bids_uri(job.output("preproc"), Path(job.output_dir))
    flags = [*conform_notes["flags"], *brain_notes.get("flags", [])]
    if measures.get("brain_cropped") == 1:
        flags.append("brain reaches the edge of the study grid, so some of it may be lost")
    sidecars: dict[str, dict[str, Any]] = {
        "head_mask": {
            "Type": "ROI",
            "Description": "Head with scalp and skull.",
            "Sources": [raw],
        },
        "xfm_orig_to_preproc": {
            "Description": (
                "Identity: the preprocessed image lies in the scanner's own world, only its grid"
                " is another. Resample it with this transform onto the raw image's grid to take"
                " results back."
            ),
            "Sources": [raw, made],
        },
    }
    if brain_notes:
        sidecars["brain_mask"] = {
            "Type": "Brain",
            "Description": "Brain without skull, found with the template.",
            "Sources": [made],
            "TemplateCorrelation": brain_notes["correlation"],
        }
        sidecars["xfm_preproc_to_template"] = {
            "Description": (
                "Affine as an ITK composite (LPS, mm): give it to an ITK tool to resample the"
                f" preprocessed image onto {TEMPLATE_SPACE}."
            ),
            "Sources": [made],
        }
    own = {
        "Description": (
            "T1w image on the study grid by one interpolation, native units, 0 outside the head."
        ),
        "SkullStripped": bool(conform_notes["skull_stripped"]),
        "Sources": [raw],
        "NativeGrid": dict(conform_notes["native"]),
        "QualityMeasures": {name: _finite(value) for name, value in measures.items()},
        "Flags": flags,
        "BrainMaskDoubtful": bool(brain_notes.get("doubtful", False)),
        "Settings": job.settings,
        "SettingsHash": job.settings_hash,
        "InputSha256": file_sha256(Path(job.source)),
        "SoftwareVersion": __version__,
    }
    metadata = read_sidecar(Path(job.source), root=Path(job.dataset))
    sidecars["preproc"] = with_own(metadata, own)
    return sidecars


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
