"""What is new in every acquisition: position, gain, coil place, noise."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Session:
    """What is new in every acquisition.

    Attributes
    ----------
    rotation_deg, translation_mm
        Head position about the axes right, anterior, superior.
    gain
        Receiver gain, around 1.
    coil_shift_mm
        Where the coil sits this time, relative to its usual place.
    coil_factor
        Factor on the coil field's strength, around 1.
    noise_seed
        Fixes the noise.
    """

    rotation_deg: tuple[float, float, float]
    translation_mm: tuple[float, float, float]
    gain: float
    coil_shift_mm: tuple[float, float, float]
    coil_factor: float
    noise_seed: int


def draw_session(rng: np.random.Generator) -> Session:
    """Position, gain and coil jitter of one acquisition.

    Parameters
    ----------
    rng
        Source of the numbers.

    Returns
    -------
    Session
        Rotations with standard deviation 3 degrees, translations 3 mm, gain 10 %, coil 4 mm and
        5 %, all cut at 2.5 deviations.
    """
    normal = np.clip(rng.standard_normal(11), -2.5, 2.5)
    return Session(
        rotation_deg=_three(3.0 * normal[:3]),
        translation_mm=_three(3.0 * normal[3:6]),
        gain=float(np.exp(0.1 * normal[6])),
        coil_shift_mm=_three(4.0 * normal[7:10]),
        coil_factor=float(1 + 0.05 * normal[10]),
        noise_seed=int(rng.integers(2**31)),
    )


def _three(values: np.ndarray) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
