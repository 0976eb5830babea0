"""The tissues of the phantom: one table, which fixes the order of all fraction maps."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tissue:
    """One tissue class.

    Attributes
    ----------
    name
        Short name.
    label
        Value in the truth's label maps; 0 is air.
    intensity
        T1w signal relative to white matter; values typical of MPRAGE at 3 T.
    is_brain
        Part of the brain mask (grey matter, white matter and the fluid in and around them).
    """

    name: str
    label: int
    intensity: float
    is_brain: bool = False


TISSUES: tuple[Tissue, ...] = (
    Tissue("csf", 1, 0.22, is_brain=True),
    Tissue("gm", 2, 0.65, is_brain=True),
    Tissue("wm", 3, 1.00, is_brain=True),
    Tissue("bone", 4, 0.07),
    Tissue("marrow", 5, 0.50),
    Tissue("fat", 6, 1.25),
    Tissue("muscle", 7, 0.48),
    Tissue("skin", 8, 0.62),
    Tissue("fluid", 9, 0.20),
    Tissue("cord", 10, 0.85),
)
TISSUE_INDEX: dict[str, int] = {tissue.name: place for place, tissue in enumerate(TISSUES)}
BRAIN_TISSUES: tuple[str, ...] = tuple(tissue.name for tissue in TISSUES if tissue.is_brain)


def base_intensities() -> np.ndarray:
    """T1w signal of every tissue relative to white matter, shape ``(n_tissues,)``.

    Returns
    -------
    numpy.ndarray
        float32, in the order of :data:`TISSUES`.
    """
    return np.array([tissue.intensity for tissue in TISSUES], dtype=np.float32)
