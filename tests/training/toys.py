"""Toy heads of several sites: small, quick, and told apart by contrast and coil field."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nb
import numpy as np
from scipy import ndimage

from bids_harmonize.config import ResourceSettings
from bids_harmonize.imaging.intensity import Scaling
from bids_harmonize.training.runtime import Runtime, make_runtime
from bids_harmonize.training.volumes import ScanFiles

SHAPE = (24, 28, 24)
VOXEL_MM = 8.0
SITES = ("Leeds", "Nara", "Oslo")


@dataclass(frozen=True, eq=False)
class ToyHead:
    """One head in native units."""

    volume: np.ndarray
    head_mask: np.ndarray
    brain_mask: np.ndarray


def make_head(
    rng: np.random.Generator, site: int, *, shape: tuple[int, int, int] = SHAPE, effect: float = 1
) -> ToyHead:
    """An ellipsoid head with skull, cortex and white matter under the scanner of a site."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    size = rng.uniform(0.95, 1.05, 3) * (0.75, 0.82, 0.85)
    radius = np.sqrt(sum((axis / part) ** 2 for axis, part in zip(axes, size, strict=True)))
    folds = ndimage.gaussian_filter(rng.standard_normal(shape), 0.07 * shape[0])
    folds = 0.12 * folds / folds.std()
    head, brain = radius < 1, radius + 0.2 * folds < 0.8
    white = brain & (radius + folds < 0.55)
    contrast = 0.55 + 0.06 * effect * site
    volume = np.where(white, 1.0, np.where(brain, contrast, 0.25 * head))
    volume = np.where(head & (radius > 0.92), 0.8, volume)
    field = 1 + 0.12 * effect * (site - 1) * axes[2]
    volume = ndimage.gaussian_filter(volume, 0.5) * field + 0.02 * rng.standard_normal(shape)
    gain = rng.uniform(200, 900)
    volume = np.where(head, np.abs(volume) * gain, 0).astype(np.float32)
    return ToyHead(volume=volume, head_mask=head, brain_mask=brain)


def toy_name(site: str, number: int) -> str:
    """Participant id of one toy."""
    return f"sub-{site}{number:02d}"


class ToyVolumes:
    """A volume source in memory."""

    def __init__(
        self, *, n_per_site: int, n_sites: int = 3, shape=SHAPE, effect: float = 1, seed: int = 0
    ) -> None:
        self.shape = shape
        self.voxel_size_mm = 192 / shape[0]
        rng = np.random.default_rng(seed)
        names = [(site, number) for site in range(n_sites) for number in range(n_per_site)]
        self.heads = [make_head(rng, site, shape=shape, effect=effect) for site, _ in names]
        self.scans = tuple(
            ScanFiles(toy_name(SITES[s], n), toy_name(SITES[s], n), SITES[s], Path(), Path(), None)
            for s, n in names
        )
        self.scalings = [
            Scaling(low=0.0, high=float(np.percentile(head.volume[head.brain_mask], 99)))
            for head in self.heads
        ]

    def __len__(self) -> int:
        return len(self.scans)

    def volume(self, index: int) -> np.ndarray:
        return self.scalings[index].apply(self.heads[index].volume)

    def head_mask(self, index: int) -> np.ndarray:
        return self.heads[index].head_mask

    def brain_mask(self, index: int) -> np.ndarray:
        return self.heads[index].brain_mask

    def scaling(self, index: int) -> Scaling:
        return self.scalings[index]


def write_toys(folder: Path, *, n_per_site: int, n_sites: int = 2, shape=SHAPE) -> list[ScanFiles]:
    """Toy heads as NIfTI files, the study grid centred somewhere in the world."""
    rng = np.random.default_rng(5)
    size = 192 / shape[0]
    affine = np.diag([size, size, size, 1.0])
    scans = []
    for site in range(n_sites):
        for number in range(n_per_site):
            affine[:3, 3] = rng.uniform(-120, -80, 3)
            head = make_head(rng, site, shape=shape)
            name = toy_name(SITES[site], number)
            paths = [folder / f"{name}_{part}.nii.gz" for part in ("T1w", "head", "brain")]
            for path, array in zip(
                paths, (head.volume, head.head_mask, head.brain_mask), strict=True
            ):
                kind = np.float32 if array.dtype == np.float32 else np.uint8
                nb.save(nb.Nifti1Image(array.astype(kind), affine), path)
            scans.append(ScanFiles(name, name, SITES[site], *paths))
    return scans


def cpu_runtime() -> Runtime:
    """One thread on the CPU, so that every run gives the same bits."""
    return make_runtime(ResourceSettings(device="cpu", nprocs=1))
