"""Two simulated scanners for real heads: what each adds to a head that was really scanned.

A real head is scanned again in the computer: a global tone curve, a smooth coil field, a point
spread, Rician noise and a gain, the air around the head left out. Tone and coil differ a little in
every session, so that no method can know them and a second scan is no copy of the first. Drawing
(:func:`draw_session`) and applying (:func:`scan_again`) are two functions.

Strengths were set once so that untouched images differ about as in an earlier study of real heads
(PSNR 22 dB in the head, 99th percentiles equal), before any method was run on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from scipy.ndimage import gaussian_filter

SITES = ("SiteA", "SiteB")
_FWHM_PER_SIGMA = 2.3548
_CUT = 2.5  # standard deviations


@dataclass(frozen=True)
class SimulatedScanner:
    """What a scanner does in every session.

    Attributes
    ----------
    tone_power
        Exponent of the tone curve; below 1 lifts dark tissue, above 1 darkens it.
    coil_strength
        Log loss of signal 100 mm from the coil's centre; 0 for an even field.
    coil_centre_mm
        Where the field is strongest, right, anterior and superior of the grid's centre.
    psf_mm
        Full width at half maximum of the point spread, mm.
    noise
        Standard deviation of each of the two Rician channels, relative to the brain's 99th
        percentile.
    scale
        Native intensity of the brain's 99th percentile.
    """

    tone_power: float
    coil_strength: float
    coil_centre_mm: tuple[float, float, float]
    psf_mm: float
    noise: float
    scale: float


@dataclass(frozen=True)
class Session:
    """What is new in one scan.

    Attributes
    ----------
    tone_factor
        On the exponent of the tone curve, around 1.
    coil_shift_mm
        Where the coil sits this time, relative to its usual place.
    gain
        Of the receiver, around 1.
    noise_seed
        Fixes the noise.
    """

    tone_factor: float
    coil_shift_mm: tuple[float, float, float]
    gain: float
    noise_seed: int


_SHARP = SimulatedScanner(
    tone_power=0.85,
    coil_strength=0.35,
    coil_centre_mm=(25.0, 35.0, 30.0),
    psf_mm=0.0,
    noise=0.012,
    scale=420.0,
)
_BLURRED = SimulatedScanner(
    tone_power=1.20,
    coil_strength=0.30,
    coil_centre_mm=(-30.0, -30.0, -15.0),
    psf_mm=4.2,
    noise=0.010,
    scale=1100.0,
)
_EVEN = replace(_SHARP, coil_strength=0.0)

CONDITIONS: Mapping[str, tuple[SimulatedScanner, SimulatedScanner]] = MappingProxyType(
    {
        "full": (_SHARP, _BLURRED),
        "tone": (_EVEN, replace(_EVEN, tone_power=_BLURRED.tone_power)),
    }
)
"""Condition to the scanners of ``SITES``; in ``tone`` they differ by the tone curve alone."""


def draw_session(rng: np.random.Generator) -> Session:
    """Tone, coil and gain of one scan.

    Parameters
    ----------
    rng
        Source of the numbers.

    Returns
    -------
    Session
        Standard deviations: exponent 5 %, coil 8 mm, gain 10 %, all cut at 2.5 of them.
    """
    normal = np.clip(rng.standard_normal(5), -_CUT, _CUT)
    right, anterior, superior = (float(value) for value in 8.0 * normal[1:4])
    return Session(
        tone_factor=float(np.exp(0.05 * normal[0])),
        coil_shift_mm=(right, anterior, superior),
        gain=float(np.exp(0.1 * normal[4])),
        noise_seed=int(rng.integers(2**31)),
    )


def tone_curve(values: np.ndarray, power: float) -> np.ndarray:
    """Intensities after a scanner's tone curve.

    Parameters
    ----------
    values
        Any shape, >= 0; 1 is the brain's 99th percentile.
    power
        Exponent, above 0.

    Returns
    -------
    ndarray
        Float32; 0 stays 0, 1 stays 1, and what was brighter stays brighter.
    """
    return np.power(values, power, dtype=np.float32)


def coil_field(
    shape: tuple[int, int, int],
    voxel_size_mm: float,
    *,
    strength: float,
    centre_mm: tuple[float, float, float],
) -> np.ndarray:
    """Smooth factor of a receive coil, 1 at its centre.

    Parameters
    ----------
    shape
        Of the grid.
    voxel_size_mm
        Of the grid, mm.
    strength
        Log loss of signal 100 mm from the centre.
    centre_mm
        Right, anterior and superior of the grid's centre.

    Returns
    -------
    ndarray
        Float32, in (0, 1].
    """
    squares = [
        (((np.arange(n) - (n - 1) / 2) * voxel_size_mm - centre) / 100.0) ** 2
        for n, centre in zip(shape, centre_mm, strict=True)
    ]
    distance = squares[0][:, None, None] + squares[1][:, None] + squares[2]
    return np.exp(-strength * distance).astype(np.float32)


def scan_again(
    head: np.ndarray,
    head_mask: np.ndarray,
    scanner: SimulatedScanner,
    session: Session,
    *,
    voxel_size_mm: float,
) -> np.ndarray:
    """A real head as a simulated scanner shows it.

    Parameters
    ----------
    head
        Shape (I, J, K), RAS+, >= 0; 1 is the brain's 99th percentile.
    head_mask
        The same shape, bool.
    scanner
        Where.
    session
        When.
    voxel_size_mm
        Of the grid, mm, equal along all axes.

    Returns
    -------
    ndarray
        Float32, native units, exactly 0 outside the head; the same for the same arguments.
    """
    i, j, k = head.shape
    shift = np.array(scanner.coil_centre_mm) + session.coil_shift_mm
    signal = tone_curve(
        np.where(head_mask, head, 0).clip(0), scanner.tone_power * session.tone_factor
    )
    signal *= coil_field(
        (i, j, k),
        voxel_size_mm,
        strength=scanner.coil_strength,
        centre_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
    )
    if scanner.psf_mm:
        signal = gaussian_filter(signal, scanner.psf_mm / _FWHM_PER_SIGMA / voxel_size_mm)
    rng = np.random.default_rng(session.noise_seed)
    real, imaginary = scanner.noise * rng.standard_normal((2, i, j, k), dtype=np.float32)
    noisy = np.hypot(signal + real, imaginary) * np.float32(scanner.scale * session.gain)
    return np.where(head_mask, noisy, 0).astype(np.float32)
