"""The template's brain in a made-up skull and scalp, 4 mm: a head whose brain can be found."""

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nb
import numpy as np
from scipy import ndimage

from bids_harmonize.atlases import load_template
from bids_harmonize.bids.index import Scan
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample_through

SIZE_MM = 4.0


@dataclass(frozen=True, eq=False)
class BrainyHead:
    """Volume, true brain mask and affine of one head."""

    volume: np.ndarray
    brain: np.ndarray
    affine: np.ndarray


def make_brainy_head() -> BrainyHead:
    """A head slightly smaller than the template's, with noise."""
    template = load_template(2.0)
    affine = np.diag([SIZE_MM, SIZE_MM, SIZE_MM, 1.0])
    affine[:3, 3] = (-94.0, -130.0, -92.0)
    grid = Grid(shape=(48, 60, 48), affine=affine)
    to_template = np.diag([1.08, 1.08, 1.08, 1.0])

    def lay(image: np.ndarray) -> np.ndarray:
        return resample_through(
            image.astype(np.float32), template.affine, to_template, grid, interpolation="linear"
        )

    brain = lay(template.brain_mask) > 0.5
    distance = ndimage.distance_transform_edt(~brain, sampling=SIZE_MM)
    volume = lay(template.t1)
    volume[(distance > 0) & (distance <= 7)] = 15
    volume[(distance > 7) & (distance <= 13)] = 210
    rng = np.random.default_rng(0)
    volume = np.hypot(volume + rng.normal(0, 4, volume.shape), rng.normal(0, 4, volume.shape))
    return BrainyHead(volume.astype(np.float32), brain, affine)


def write_brainy_scan(bids_dir: Path, head: BrainyHead, stem: str = "sub-01") -> Scan:
    """Write the head as a raw scan, stored left to right reversed."""
    folder = bids_dir / stem.split("_")[0] / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}_T1w.nii.gz"
    affine = head.affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[0, 3] = head.affine[0, 3] + SIZE_MM * (head.volume.shape[0] - 1)
    nb.save(nb.Nifti1Image(head.volume[::-1], affine), path)
    description = {"Name": "one head", "BIDSVersion": "1.10.0"}
    (bids_dir / "dataset_description.json").write_text(json.dumps(description))
    return Scan(
        path=path,
        participant_id=stem.split("_")[0],
        session_id=None,
        entities=dict(part.split("-") for part in stem.split("_")),
        site="Site A",
        site_source="participants.tsv",
    )


def write_mask(path: Path, mask: np.ndarray, affine: np.ndarray) -> Path:
    """Write a mask as a derivative dataset would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nb.save(nb.Nifti1Image(mask.astype(np.uint8), affine), path)
    return path
