"""How quality measures are named and grouped on the pages."""

from collections.abc import Mapping

from bids_harmonize.imaging.quality import QUALITY_MEASURES

MEASURE_GROUPS: Mapping[str, tuple[str, ...]] = {
    "Noise and contrast": ("snr", "snr_gm", "snr_csf", "snr_dietrich", "cnr", "cjv", "air_sd"),
    "Motion and artefacts": ("efc", "gradient_entropy", "fber", "qi1", "qi2", "air_filled"),
    "Sharpness and evenness": ("fwhm_mm", "inu_range", "wm2max"),
    "Head and field of view": (
        *("head_volume_l", "brain_volume_l", "neck_cropped_mm", "head_outside_grid"),
        *("fov_cut_cm2", "brain_cropped"),
    ),
    "Raw grid": (
        *("native_i_mm", "native_j_mm", "native_k_mm"),
        *("anisotropy", "obliqueness_deg"),
    ),
}
"""Heading to measures; every measure stands under one heading."""

CHIEF_MEASURES = (
    *("snr", "cnr", "cjv", "efc", "qi1", "qi2", "fber", "gradient_entropy"),
    *("fwhm_mm", "inu_range", "wm2max", "brain_volume_l"),
)
"""Those that the group page draws."""

_ACRONYMS = frozenset(
    {"snr", "cnr", "cjv", "efc", "fber", "fwhm", "inu", "qi1", "qi2", "fov", "gm", "csf"}
)
_UNIT_ENDINGS = ("_mm", "_l", "_cm2", "_deg")
_WORDS = {
    "snr_dietrich": "SNR from air",
    "wm2max": "white matter over maximum",
    "air_sd": "noise in the air",
    "air_filled": "air set to a constant",
    "native_i_mm": "voxel size, first axis (mm)",
    "native_j_mm": "voxel size, second axis (mm)",
    "native_k_mm": "voxel size, third axis (mm)",
    "fov_cut_cm2": "head cut by the field of view (cm\N{SUPERSCRIPT TWO})",
}


def measure_words(name: str) -> str:
    """The measure in words, with its unit.

    Parameters
    ----------
    name
        A key of ``QUALITY_MEASURES``.

    Returns
    -------
    str
        What stands at the head of a panel or a row.

    Examples
    --------
    >>> measure_words("fwhm_mm"), measure_words("gradient_entropy"), measure_words("wm2max")
    ('FWHM (mm)', 'gradient entropy', 'white matter over maximum')
    """
    if name in _WORDS:
        return _WORDS[name]
    unit = QUALITY_MEASURES[name].unit
    stem = name
    for ending in _UNIT_ENDINGS:
        stem = stem.removesuffix(ending)
    words = [word.upper() if word in _ACRONYMS else word for word in stem.split("_")]
    return f"{' '.join(words)} ({unit})" if unit else " ".join(words)
