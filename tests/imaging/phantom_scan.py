"""A phantom's scan on a study grid with its truth, for the tissue tests."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from bids_harmonize.imaging.geometry import straight_grid
from bids_harmonize.imaging.resampling import resample
from bids_harmonize.phantom import (
    PRESETS,
    draw_session,
    make_person,
    make_scanners,
    simulate,
    truth_on_grid,
)

EXTENT_MM = np.array([168.0, 204.0, 168.0])
CENTRE_MM = np.array([0.0, -18.0, 0.0])


@dataclass(frozen=True, eq=False)
class PhantomScan:
    """Volume, true brain, true labels (0, 1 CSF, 2 GM, 3 WM) and the true place."""

    volume: np.ndarray
    affine: np.ndarray
    brain: np.ndarray
    labels: np.ndarray
    to_template: np.ndarray
    true_ml: dict[str, float]

    def dice(self, result) -> list[float]:
        """Dice of CSF, GM and WM."""
        shares = np.stack([result.csf, result.gm, result.wm])
        found = np.where(shares.sum(axis=0) > 0.5, shares.argmax(axis=0) + 1, 0)
        pairs = [(found == n, self.labels == n) for n in (1, 2, 3)]
        return [float(2 * (a & b).sum() / (a.sum() + b.sum())) for a, b in pairs]


@cache
def phantom_scan(
    *, resolution_mm: float, seed: int = 7, site: int = 0, noise: float | None = None,
    coil: float | None = None,
) -> PhantomScan:  # fmt: skip
    """A head of the phantom, scanned once; nothing of it was used for tuning."""
    person = make_person(seed, "tissue", base_mm=2.0)
    scanner = make_scanners(
        PRESETS["default"], n_sites=6, resolution_mm=resolution_mm, seed=seed
    )[site]  # fmt: skip
    scanner = replace(
        scanner,
        noise=scanner.noise if noise is None else noise,
        coil_strength=scanner.coil_strength if coil is None else coil,
    )
    scan = simulate(person, scanner, draw_session(np.random.default_rng(seed)))
    shape = tuple(int(n) for n in np.ceil(EXTENT_MM / resolution_mm))
    corner = CENTRE_MM - np.array(shape) * resolution_mm / 2
    grid = straight_grid(corner, resolution_mm=resolution_mm, shape=shape)
    volume = np.maximum(resample(scan.volume, scan.affine, grid), 0)
    truth = truth_on_grid(person, grid.shape, grid.affine, scan.to_person)
    shrink = np.diag([1 / person.traits.size] * 3 + [1.0])
    centre = np.array([0.0, -18.0, 10.0])
    shrink[:3, 3] = centre - shrink[:3, :3] @ centre
    voxel_ml = abs(np.linalg.det(person.affine[:3, :3])) / 1e3
    volumes = [float(part.sum() * voxel_ml) for part in person.fractions[:3]]
    return PhantomScan(
        volume=volume,
        affine=grid.affine,
        brain=truth.brain,
        labels=np.where(truth.brain, truth.labels, 0),
        to_template=shrink @ scan.to_person,
        true_ml=dict(zip(("csf", "gm", "wm"), volumes, strict=True)),
    )
