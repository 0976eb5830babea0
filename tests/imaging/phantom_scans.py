"""A phantom head at 4 mm, with its truth, for tests that must be fast."""

from dataclasses import dataclass, replace

import numpy as np

from bids_harmonize.phantom import (
    PRESETS,
    TISSUES,
    Person,
    Scanner,
    Session,
    draw_session,
    make_person,
    make_scanners,
    simulate,
    truth_on_grid,
)

SIZE_MM = 4.0


@dataclass(frozen=True, eq=False)
class PhantomScan:
    """A scan, its truth on the same grid, and what it was made from."""

    volume: np.ndarray
    noise_free: np.ndarray
    affine: np.ndarray
    head: np.ndarray
    brain: np.ndarray
    white: float
    person: Person
    scanner: Scanner
    session: Session

    def with_dark_fat(self) -> np.ndarray:
        """The same scan with fat at 15 % and skin at half of its signal."""
        factors = {"fat": 0.15, "skin": 0.5}
        intensities = tuple(
            value * factors.get(tissue.name, 1.0)
            for value, tissue in zip(self.scanner.intensities, TISSUES, strict=True)
        )
        return simulate(
            self.person, replace(self.scanner, intensities=intensities), self.session
        ).volume


def make_phantom_scan(*, seed: int = 100, site: int = 0) -> PhantomScan:
    """One scan, about 3 s."""
    person = make_person(seed, "person", base_mm=4.0)
    scanner = make_scanners(
        PRESETS["default"], n_sites=site + 1, resolution_mm=SIZE_MM, seed=seed
    )[site]
    session = draw_session(np.random.default_rng(seed))
    scan = simulate(person, scanner, session)
    truth = truth_on_grid(person, scan.volume.shape, scan.affine, scan.to_person)
    white = float(np.percentile(scan.volume[truth.brain], 90))
    return PhantomScan(
        scan.volume, scan.noise_free, scan.affine, truth.head, truth.brain, white,
        person, scanner, session,
    )  # fmt: skip


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """Overlap, 0 to 1."""
    return float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))
