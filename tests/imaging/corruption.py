"""A phantom head and the ways in which a scan goes wrong, each at three levels."""

from functools import cache

import numpy as np
from scipy import ndimage

from bids_harmonize.phantom import (
    PRESETS,
    draw_session,
    make_person,
    make_scanners,
    simulate,
    truth_on_grid,
)

VOXEL_MM = 4.0
NOISE_SHARES = (0.02, 0.04, 0.08)  # of the brain's median
GHOST_SHARES = (0.0, 0.1, 0.2)
MOTIONS_MM = (0.0, 3.0, 8.0)
BLURS_VOXELS = (0.0, 0.6, 1.2)
BIASES = (0.0, 0.25, 0.5)  # log amplitude, front to back
SPOTS = (0.0, 1.0, 4.0)  # of the brain's median


@cache
def phantom_head() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Noise-free volume, true head and brain, affine; nobody changes them."""
    person = make_person(0, "somebody", base_mm=3.0)
    (scanner,) = make_scanners(PRESETS["default"], n_sites=1, resolution_mm=VOXEL_MM, seed=0)
    scan = simulate(person, scanner, draw_session(np.random.default_rng(1)))
    truth = truth_on_grid(person, scan.volume.shape, scan.affine, scan.to_person)
    level = float(np.median(scan.noise_free[truth.brain]))
    return scan.noise_free / np.float32(level), truth.head, truth.brain, scan.affine


def corrupt(clean: np.ndarray, kind: str, level: int) -> np.ndarray:
    """The scan with a fault of level 0 (none) to 2, and magnitude noise."""
    noise, volume = NOISE_SHARES[0], clean
    if kind == "noise":
        noise = NOISE_SHARES[level]
    elif kind == "ghost":
        volume = clean + GHOST_SHARES[level] * np.roll(clean, clean.shape[1] // 2, axis=1)
    elif kind == "motion":
        volume = _moved(clean, MOTIONS_MM[level])
    elif kind == "blur":
        volume = ndimage.gaussian_filter(clean, BLURS_VOXELS[level])
    elif kind == "bias":
        ramp = np.linspace(-1, 1, clean.shape[1])[None, :, None]
        volume = clean * np.exp(BIASES[level] * ramp)
    elif kind == "hot spots":
        places = np.argwhere(phantom_head()[1] & ~phantom_head()[2])[::150]
        volume = clean.copy()
        volume[tuple(places.T)] += SPOTS[level]
    else:
        raise KeyError(kind)
    rng = np.random.default_rng(2)
    real, imaginary = rng.normal(0, noise, (2, *clean.shape))
    return np.hypot(volume + real, imaginary).astype(np.float32)


def _moved(clean: np.ndarray, shift_mm: float) -> np.ndarray:
    """The head moved along K while a third of the outer lines of k-space (axis J) were read."""
    lines = np.fft.fftfreq(clean.shape[1])
    moved = (np.random.default_rng(3).random(lines.size) < 0.3) & (np.abs(lines) > 0.04)
    spectrum = np.fft.fftn(clean)
    phase = np.exp(-2j * np.pi * np.fft.fftfreq(clean.shape[2]) * shift_mm / VOXEL_MM)
    return np.abs(np.fft.ifftn(np.where(moved[None, :, None], spectrum * phase, spectrum)))
