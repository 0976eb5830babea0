"""The images of one scan, as the participant's page needs them."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bids_harmonize.bids.harmonized import sidecars_of
from bids_harmonize.bids.images import read_image, read_mask
from bids_harmonize.bids.names import OUTPUTS, scan_output
from bids_harmonize.bids.sidecars import read_json
from bids_harmonize.imaging.geometry import voxel_size_mm
from bids_harmonize.report.mosaic import display_window


class ScanImages:
    """The images of one scan, each read when it is first asked for.

    Parameters
    ----------
    output_dir
        Root of the derivative.
    stem
        Name of the scan.
    """

    def __init__(self, output_dir: Path, stem: str) -> None:
        self.output_dir, self.stem = output_dir, stem

    def file(self, key: str) -> Path | None:
        """Where an output of the scan lies, None where there is none."""
        if key not in OUTPUTS:
            return None
        path = scan_output(self.output_dir, self.stem, key)
        return path if path.is_file() else None

    @cached_property
    def harmonized(self) -> tuple[Path, Mapping[str, Any]] | None:
        """The harmonized image and its sidecar; None where there is none, or it is unfinished."""
        for sidecar in sidecars_of(self.output_dir, self.stem):
            image = sidecar.with_name(f"{sidecar.name.removesuffix('.json')}.nii.gz")
            if image.is_file():
                return image, read_json(sidecar)
        return None

    @cached_property
    def preproc(self) -> tuple[np.ndarray, np.ndarray]:
        """Volume and affine on the study grid."""
        return read_image(scan_output(self.output_dir, self.stem, "preproc"))

    @property
    def sizes_mm(self) -> tuple[float, float, float]:
        """Voxel sizes of the study grid, mm."""
        return voxel_size_mm(self.preproc[1])

    @cached_property
    def head(self) -> np.ndarray:
        """Head mask."""
        return read_mask(scan_output(self.output_dir, self.stem, "head_mask"))[0]

    @cached_property
    def brain(self) -> np.ndarray | None:
        """Brain mask; None where there is none, or where it is empty."""
        path = self.file("brain_mask")
        mask = None if path is None else read_mask(path)[0]
        return mask if mask is not None and mask.any() else None

    @property
    def focus(self) -> np.ndarray:
        """What slices are chosen by: the brain, or else the head."""
        return self.head if self.brain is None else self.brain

    @property
    def window(self) -> tuple[float, float]:
        """Intensities to show as black and white."""
        return display_window(self.preproc[0])
