"""What a finished scan leaves in the output: images, transforms, sidecars.

The sidecar of the preprocessed image is written last: where it stands, everything stands. It also
holds the scan's row of ``scans.tsv``, so that a run that was killed before it wrote its tables
loses nothing, and the sizes of all files, so that a file that was cut or changed is noticed.

Equal input and settings give equal bytes: no time and no name of a run stands in any output.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.files import write_json, writing_fault
from bids_harmonize.bids.images import write_image
from bids_harmonize.bids.index import RAW
from bids_harmonize.bids.names import participant_keys, scan_output
from bids_harmonize.bids.provenance import bids_uri
from bids_harmonize.bids.sidecars import sidecar_path
from bids_harmonize.imaging.geometry import invert
from bids_harmonize.preprocessing.integrity import SIZES_KEY, file_sizes
from bids_harmonize.preprocessing.sidecars import make_sidecars
from bids_harmonize.preprocessing.steps import Conformed, Tissue, load_brain, load_field
from bids_harmonize.preprocessing.transforms import write_identity, write_to_template

ALL_KEYS = participant_keys(bias=True, brain=True, tissue=True)


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
    given_mask
        Brain mask of a derivative dataset: ``path``, ``name`` and ``root`` of the dataset, and
        ``lacks``, the scan's entities that its name lacks; None where there is none.
    looked_in
        Names of the derivative datasets in which a mask was looked for.
    dataset_name
        What the raw dataset is called in ``DatasetLinks``.
    """

    stem: str
    source: str
    dataset: str
    output_dir: str
    settings: dict[str, Any]
    settings_hash: str
    run_id: str
    given_mask: dict[str, Any] | None = None
    looked_in: list[str] = field(default_factory=list)
    dataset_name: str = RAW

    @property
    def source_uri(self) -> str:
        """The raw image as a BIDS URI."""
        return bids_uri(Path(self.source), Path(self.dataset), name=self.dataset_name)

    @property
    def masks_brain(self) -> bool:
        """Whether the scan gets a brain mask."""
        return self.given_mask is not None or self.settings["brain_mask"] != "none"

    @property
    def corrects_bias(self) -> bool:
        """Whether the bias field is taken out."""
        return bool(self.settings["bias_correction"] != "none")

    @property
    def finds_tissue(self) -> bool:
        """Whether the scan gets tissue maps; without a brain mask there are none."""
        return self.masks_brain and bool(self.settings["tissue"])

    def output(self, key: str) -> Path:
        """Path of one of the scan's outputs."""
        return scan_output(Path(self.output_dir), self.stem, key)

    def output_keys(self) -> tuple[str, ...]:
        """Keys of the outputs that a finished scan has."""
        return participant_keys(
            bias=self.corrects_bias, brain=self.masks_brain, tissue=self.finds_tissue
        )

    def plain(self) -> dict[str, Any]:
        """The fields as a dictionary that :class:`ScanJob` takes back."""
        return asdict(self)


@dataclass(frozen=True)
class Made:
    """What the steps left for a scan: a file each, and what they had to say.

    Parameters
    ----------
    conformed
        What ``conform``, or after it ``correct_bias_field``, wrote.
    brain, bias_field, tissue
        What ``mask_brain``, ``correct_bias_field`` and ``find_tissue_maps`` wrote; None where the
        step was not run.
    measures
        Quality measures.
    notes
        Step (``conform``, ``brain``, ``bias``, ``tissue``) to what it said.
    """

    conformed: Path
    brain: Path | None = None
    bias_field: Path | None = None
    tissue: Path | None = None
    measures: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def save_scan(job: ScanJob, made: Made) -> Path:
    """Write all outputs of a scan; if one cannot be written, none stays.

    Parameters
    ----------
    job
        Names and places.
    made
        What the steps left.

    Returns
    -------
    Path
        The preprocessed image.

    Raises
    ------
    OutputError, StorageError
        If a file cannot be written.
    """
    sidecars = make_sidecars(job, measures=made.measures, notes=made.notes)
    remove_outputs(job)
    try:
        _write_images(job, made)
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


def remove_outputs(job: ScanJob, *, keys: Iterable[str] = ALL_KEYS) -> None:
    """Take away what an earlier run left of the scan, its mark of completeness first."""
    for key in keys:
        path = job.output(key)
        try:
            sidecar_path(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise writing_fault(error, path) from error


def _write_images(job: ScanJob, made: Made) -> None:
    scan = Conformed.load(made.conformed)
    write_image(job.output("preproc"), scan.volume, scan.affine)
    write_image(job.output("head_mask"), scan.head_mask, scan.affine, dtype=np.uint8)
    write_identity(job.output("xfm_orig_to_preproc"))
    if made.bias_field is not None:
        write_image(job.output("bias_field"), load_field(made.bias_field), scan.affine)
    if made.brain is None:
        return
    brain_mask, world_to_template = load_brain(made.brain)
    write_image(job.output("brain_mask"), brain_mask, scan.affine, dtype=np.uint8)
    if made.tissue is None:
        write_to_template(job.output("xfm_preproc_to_template"), invert(world_to_template))
        return
    tissue = Tissue.load(made.tissue)
    for key in ("gm", "wm", "csf"):
        write_image(job.output(key), getattr(tissue, key), scan.affine)
    write_to_template(
        job.output("xfm_preproc_to_template"),
        tissue.template_to_scan,
        displacement_mm=tissue.displacement_mm,
        grid=tissue.displacement_grid,
    )
