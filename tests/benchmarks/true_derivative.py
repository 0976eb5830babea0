"""A phantom study's derivative from its truth, as the participant level would write it.

``python -m tests.benchmarks.true_derivative BIDS_DIR OUT --resolution 4`` takes head and brain
masks from ``BIDS_DIR-truth`` instead of looking for them; see
:mod:`tests.benchmarks.known_derivative`. The affine to the template is the true size and head
position without the person's own warp. Nothing is doubtful.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.images import read_image
from bids_harmonize.bids.index import Scan
from bids_harmonize.bids.rawimages import RawImage
from bids_harmonize.bids.tables import read_tsv
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.grid import place_grid, resample, resample_mask
from bids_harmonize.phantom.person import SIZE_CENTRE_MM
from bids_harmonize.phantom.truth import truth_folder
from bids_harmonize.preprocessing.steps import Conformed
from tests.benchmarks.known_derivative import KnownScan, write_known_derivative

SOURCE = "truth"


@dataclass(frozen=True)
class Truth:
    """What a phantom's truth folder says.

    Attributes
    ----------
    folder
        Its root.
    scans
        Stem to head position and the rest, as in ``scans.json``.
    sizes
        Participant to linear size of the head relative to the template.
    """

    folder: Path
    scans: Mapping[str, Mapping[str, Any]]
    sizes: Mapping[str, float]

    def to_person(self, stem: str) -> np.ndarray:
        """4x4 from the scan's world to the world of the head at rest, mm."""
        return np.array(self.scans[stem]["scan_to_truth_world"])

    def to_template(self, scan: Scan) -> np.ndarray:
        """4x4 from the scan's world to the template's, mm, without the person's own warp."""
        shrink = np.eye(4)
        shrink[:3, :3] /= self.sizes[scan.participant_id]
        shrink[:3, 3] = SIZE_CENTRE_MM - shrink[:3, :3] @ SIZE_CENTRE_MM
        return shrink @ self.to_person(scan.stem)

    def mask(self, scan: Scan, name: str, grid: Grid) -> np.ndarray:
        """``head`` or ``brain`` on a grid in the scan's world, bool."""
        path = self.folder / "heads" / f"{scan.participant_id}_{name}.nii.gz"
        volume, affine = read_image(path)
        there = np.linalg.inv(self.to_person(scan.stem)) @ affine
        return resample_mask(volume > 0, there, grid)


def read_truth(bids_dir: Path) -> Truth:
    """The truth beside a phantom study.

    Parameters
    ----------
    bids_dir
        Root of the raw dataset.

    Returns
    -------
    Truth
        Positions and sizes; masks are read when they are asked for.
    """
    folder = truth_folder(bids_dir)
    people = read_tsv(folder / "participants.tsv").set_index("participant_id")
    scans = json.loads((folder / "scans.json").read_text(encoding="utf-8"))
    return Truth(folder, scans, people["size"].astype(float).to_dict())


def write_derivative(bids_dir: Path, output_dir: Path, *, resolution_mm: float) -> int:
    """Write the derivative dataset of a whole phantom study; an earlier one is replaced.

    Parameters
    ----------
    bids_dir
        Root of the phantom's raw dataset; its truth lies beside it.
    output_dir
        Root of the derivative; what stands there is removed.
    resolution_mm
        Voxel size of the study grid, mm.

    Returns
    -------
    int
        Number of scans; about .2 s of CPU each at 4 mm.
    """
    truth = read_truth(bids_dir)

    def know(scan: Scan, raw: RawImage) -> KnownScan:
        return _conform(scan, raw, truth, resolution_mm=resolution_mm)

    return write_known_derivative(
        bids_dir, output_dir, know, resolution_mm=resolution_mm, source=SOURCE
    )


def _conform(scan: Scan, raw: RawImage, truth: Truth, *, resolution_mm: float) -> KnownScan:
    """The scan on a grid placed by the true head mask."""
    i, j, k = raw.volume.shape
    head = truth.mask(scan, "head", Grid(shape=(i, j, k), affine=raw.affine))
    grid = place_grid(head, raw.affine, resolution_mm=resolution_mm)
    head_mask = resample_mask(head, raw.affine, grid)
    volume = resample(raw.volume, raw.affine, grid)
    volume[~head_mask] = 0
    brain = truth.mask(scan, "brain", grid) & head_mask
    conformed = Conformed(volume, head_mask, grid.affine, head)
    return KnownScan(conformed, brain, truth.to_template(scan))


def main(argv: Sequence[str] | None = None) -> None:
    """Write one derivative and say how many scans it has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bids_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--resolution", type=float, default=4.0, metavar="MM")
    arguments = parser.parse_args(argv)
    n_scans = write_derivative(
        arguments.bids_dir, arguments.output_dir, resolution_mm=arguments.resolution
    )
    sys.stdout.write(f"{n_scans} scans in {arguments.output_dir}, masks from the truth\n")


if __name__ == "__main__":
    main()
