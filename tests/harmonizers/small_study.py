"""Small heads of two sites in memory: what the tests of harmonizers and training fit on."""

from pathlib import Path

import numpy as np

from bids_harmonize.config import ResourceSettings
from bids_harmonize.harmonizers.base import TrainingData
from bids_harmonize.imaging.intensity import Scaling, p99_scaling
from bids_harmonize.training.runtime import Runtime, make_runtime
from bids_harmonize.training.sources import ScanFiles

SHAPE = (24, 28, 24)
VOXEL_MM = 8.0


class ArrayVolumes:
    """A volume source over arrays in memory."""

    def __init__(self, scans, native, heads, brains, voxel_size_mm=VOXEL_MM):
        self.scans = tuple(scans)
        self.native = native
        self.heads = heads
        self.brains = brains
        self.shape = native[0].shape
        self.voxel_size_mm = voxel_size_mm

    def __len__(self):
        return len(self.scans)

    def volume(self, index):
        return np.where(
            self.heads[index], self.scaling(index).apply(self.native[index]), 0
        ).astype(np.float32)

    def head_mask(self, index):
        return self.heads[index]

    def brain_mask(self, index):
        return self.brains[index]

    def scaling(self, index) -> Scaling:
        return p99_scaling(self.native[index], self.brains[index])


def make_head(person: int):
    """Tissue values of one person before any scanner, with head and brain masks."""
    rng = np.random.default_rng([7, person])
    axes = [np.linspace(-1, 1, n) for n in SHAPE]
    i, j, k = np.meshgrid(*axes, indexing="ij")
    stretch = 1 + 0.05 * rng.standard_normal(3)
    radius = np.sqrt((i * stretch[0]) ** 2 + (j * stretch[1]) ** 2 + (k * stretch[2]) ** 2)
    head, brain = radius < 0.85, radius < 0.65
    tissue = np.where(radius < 0.4, 1.0, 0.7) * brain + 0.5 * (head & ~brain)
    texture = 1 + 0.05 * rng.standard_normal(SHAPE)
    return (tissue * texture * head).astype(np.float32), head, brain


def scan_at(tissue, site: str):
    """The person in the scanner of a site.

    A is dimmer on the left and flatter, C is dimmer in front and steeper, D a little flatter.
    """
    if site == "B":
        return (tissue * 300).astype(np.float32)
    if site == "C":
        field = np.linspace(1.15, 0.8, SHAPE[1], dtype=np.float32)[None, :, None]
        return (tissue**1.5 * field * 500).astype(np.float32)
    if site == "D":
        return (tissue**0.75 * 80).astype(np.float32)
    field = np.linspace(0.75, 1.2, SHAPE[0], dtype=np.float32)[:, None, None]
    return (tissue**0.6 * field * 900).astype(np.float32)


def make_volumes(n_per_site: int = 4, sites: str = "AB") -> ArrayVolumes:
    scans, native, heads, brains = [], [], [], []
    for number in range(len(sites) * n_per_site):
        site = sites[number // n_per_site]
        tissue, head, brain = make_head(number)
        name = f"sub-{number:02d}"
        file = Path(name)
        scans.append(ScanFiles(name, name, site, file, file, file))
        native.append(scan_at(tissue, site))
        heads.append(head)
        brains.append(brain)
    return ArrayVolumes(scans, native, heads, brains)


def make_finer(volumes: ArrayVolumes) -> ArrayVolumes:
    """The same scans with twice the voxels along each axis, eight equal ones for each."""
    finer = [
        [np.kron(array, np.ones((2, 2, 2), array.dtype)) for array in arrays]
        for arrays in (volumes.native, volumes.heads, volumes.brains)
    ]
    return ArrayVolumes(volumes.scans, *finer, voxel_size_mm=volumes.voxel_size_mm / 2)


def make_data(n_per_site: int = 4, sites: str = "AB") -> TrainingData:
    volumes = make_volumes(n_per_site, sites)
    monitor = frozenset(f"sub-{n_per_site * place:02d}" for place in range(len(sites)))
    return TrainingData(native=volumes, network=volumes, reference_site="B", monitor=monitor)


def cpu_runtime() -> Runtime:
    return make_runtime(ResourceSettings(device="cpu", nprocs=1))
