"""What a scanner does to an image, as a map: every site's mean, and what harmonization changed.

What was made brighter or darker is the site's effect; where edges became steeper or flatter,
structure was altered.

Both lie on the ICBM152 template, through each scan's affine. Intensities are rescaled by the 1st
and 99th percentile first, as in every comparison, so that a scanner's gain is no effect.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.images import read_image, write_image
from bids_harmonize.bids.names import scan_output, site_output
from bids_harmonize.bids.provenance import bids_uri
from bids_harmonize.bids.sidecars import read_json, remove_with_sidecar, sidecar_path
from bids_harmonize.bids.study import Study
from bids_harmonize.errors import ScanError
from bids_harmonize.imaging.geometry import voxel_size_mm
from bids_harmonize.imaging.resampling import resample_through
from bids_harmonize.imaging.types import Volume
from bids_harmonize.stages import StageContext
from bids_harmonize.stages.classification.maps import (
    has_template_transform,
    template_grid,
    template_to_scan,
)
from bids_harmonize.stages.evaluation.pairs import read_scan_images
from bids_harmonize.stages.harmonization.fitted import delivered_sha256

MOST_SCANS = 40
"""Scans of a site that a map is the mean of; more hardly change it, and each takes seconds."""

UNITS = "share of the range from the 1st to the 99th percentile"
_LEAST_COVERED = 0.5


@dataclass(frozen=True)
class SiteMaps:
    """Files that were written, and why a map is absent."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...]


def write_site_maps(context: StageContext) -> SiteMaps:
    """Write the mean image of every trained site, and both maps of change of every source.

    Parameters
    ----------
    context
        The study; images that the model in ``models/`` delivered are read.

    Returns
    -------
    SiteMaps
        Maps of an earlier run that were not made anew are gone. A failure names a scan that
        cannot be read; it is left out.
    """
    study = context.study
    sha256 = delivered_sha256(context)
    files: list[Path] = []
    notes: list[str] = []
    failures: list[str] = []
    for site in study.trained_sites:
        own = study.of_site(site, participants=study.trainees)
        scans = [scan for scan in own if scan.usable and has_template_transform(study, scan)]
        if not scans:
            notes.append(f"no mean image of {site}: its scans have no way to the template")
            continue
        found = _Mean(study, site, sha256)
        for scan in scans[:MOST_SCANS]:
            try:
                found.add(scan)
            except ScanError as error:
                failures.append(f"{scan.stem} is not part of its site's maps: {error}")
        files += found.write()
        if site != study.reference_site and not found.n_changed:
            notes.append(f"no map of the site effect of {site}: no image of this model is there")
    _remove_others(study, files)
    return SiteMaps(tuple(files), tuple(notes), tuple(failures))


class _Mean:
    """Sums over the scans of one site, on the template."""

    def __init__(self, study: Study, site: str, model_sha256: str) -> None:
        self.study, self.site, self.model_sha256 = study, site, model_sha256
        self.grid = template_grid(study)
        shape = self.grid.shape
        self.image, self.change, self.edges, self.heads, self.changed_heads = (
            np.zeros(shape, dtype=np.float64) for _ in range(5)
        )
        self.scans: list[DerivedScan] = []
        self.changed: list[Path] = []

    @property
    def n_changed(self) -> int:
        """Scans whose harmonized image is part of the map."""
        return len(self.changed)

    def add(self, scan: DerivedScan) -> None:
        images = read_scan_images(scan)
        transform = template_to_scan(self.study, scan)

        def moved(volume: Volume) -> np.ndarray:
            return np.asarray(
                resample_through(
                    volume, images.affine, transform, self.grid, interpolation="linear"
                )
            )

        before = images.rescaled(images.volume, self.study.scaling_mask)
        head = moved(images.head.astype(np.float32))
        after = self._harmonized(scan)
        if after is not None:
            scaled = images.rescaled(read_image(after)[0], self.study.scaling_mask)
            self.change += moved(scaled - before)
            size = float(voxel_size_mm(images.affine)[0])
            self.edges += moved(_edges(scaled, size) - _edges(before, size))
            self.changed_heads += head
            self.changed.append(after)
        self.image += moved(before)
        self.heads += head
        self.scans.append(scan)

    def _harmonized(self, scan: DerivedScan) -> Path | None:
        """The delivered image, if it is of the model that stands; none at the reference."""
        reference = self.study.reference_site
        if self.site == reference:
            return None
        path = scan_output(self.study.output_dir, scan, "harmonized", reference=reference)
        if not path.is_file() or not sidecar_path(path).is_file():
            return None
        made_by = read_json(sidecar_path(path)).get("HarmonizationModelSha256")
        return path if made_by == self.model_sha256 else None

    def write(self) -> list[Path]:
        """The mean image, and the site effect where there is one."""
        if not self.scans:
            return []
        files = [self._write_mean()]
        if self.changed:
            files += [self._write_effect(), self._write_structure()]
        return files

    def _write_mean(self) -> Path:
        path = site_output(self.study.output_dir, self.site, "site_mean")
        volume = _per_head(self.image, self.heads, len(self.scans))
        return self._write(
            path,
            volume,
            [scan.t1w for scan in self.scans],
            f"Mean of {len(self.scans)} preprocessed scans of the site {self.site}, on the "
            "ICBM152 2009a symmetric template.",
        )

    def _write_effect(self) -> Path:
        path = site_output(self.study.output_dir, self.site, "site_effect")
        volume = _per_head(self.change, self.changed_heads, self.n_changed)
        return self._write(
            path,
            volume,
            self.changed,
            f"Mean over {self.n_changed} scans of the harmonized minus the preprocessed image: "
            f"what was added at each place to make scans of {self.site} look as if taken at "
            f"{self.study.reference_site}, on the ICBM152 2009a symmetric template.",
            **self._facts(),
        )

    def _write_structure(self) -> Path:
        path = site_output(self.study.output_dir, self.site, "structure_change")
        volume = _per_head(self.edges, self.changed_heads, self.n_changed)
        return self._write(
            path,
            volume,
            self.changed,
            f"Mean over {self.n_changed} scans of the gradient magnitude of the harmonized minus "
            f"that of the preprocessed image of {self.site}: where edges became steeper (above 0) "
            "or flatter, on the ICBM152 2009a symmetric template.",
            units=f"{UNITS}, per mm",
            **self._facts(),
        )

    def _facts(self) -> dict[str, str]:
        return {
            "HarmonizationReference": self.study.reference_site,
            "HarmonizationModelSha256": self.model_sha256,
        }

    def _write(
        self,
        path: Path,
        volume: Volume,
        sources: Sequence[Path],
        description: str,
        units: str = UNITS,
        **facts: str,
    ) -> Path:
        write_image(path, volume, self.grid.affine)
        sidecar = {
            "Description": description,
            "Units": units,
            "Site": self.site,
            "SkullStripped": False,
            "Sources": [bids_uri(source, self.study.output_dir) for source in sources],
            **facts,
        }
        write_json(sidecar_path(path), sidecar)
        return path


def _edges(volume: Volume, size_mm: float) -> Volume:
    """Gradient magnitude by central differences, per mm."""
    parts = np.gradient(volume, size_mm)
    return np.sqrt(sum(part * part for part in parts)).astype(np.float32)


def _per_head(total: np.ndarray, heads: np.ndarray, n_scans: int) -> Volume:
    """Mean over the scans whose head covers a voxel; 0 where fewer than half do."""
    covered = heads >= _LEAST_COVERED * n_scans
    return np.where(covered, total / np.where(covered, heads, 1), 0).astype(np.float32)


def _remove_others(study: Study, kept: Iterable[Path]) -> None:
    written = set(kept)
    sites = sorted({*study.trained_sites, *(scan.site for scan in study.scans)})
    for site in sites:
        for key in ("site_mean", "site_effect", "structure_change"):
            path = site_output(study.output_dir, site, key)
            if path not in written:
                remove_with_sidecar(path)
