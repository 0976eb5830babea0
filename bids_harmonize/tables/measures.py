"""What the columns of a table of features are about."""

import re
from collections.abc import Iterable
from typing import Final

_INTRACRANIAL: Final = frozenset(
    (
        *("tiv", "etiv", "icv", "eicv", "totalintracranialvolume", "intracranialvol"),
        "intracranialvolume",
        *("estimatedtotalintracranialvol", "estimatedtotalintracranialvolume"),
        "intracranialvolumeml",
    )
)


def intracranial_column(names: Iterable[str]) -> str | None:
    """The column that holds the total intracranial volume.

    Parameters
    ----------
    names
        Columns of a table.

    Returns
    -------
    str or None
        The first of those that are spelt like one, in any case and with any separators.

    Examples
    --------
    >>> intracranial_column(["lh_insula_thickness", "eTIV"])
    'eTIV'
    """
    return next((name for name in names if _letters(name) in _INTRACRANIAL), None)


def region_key(name: str) -> str:
    """A feature's region and side, the same for the spellings of several tools.

    Parameters
    ----------
    name
        Such as ``lh_bankssts_thickness``, ``L_bankssts`` or ``Left-Hippocampus``.

    Returns
    -------
    str
        ``l bankssts``; a name without a side keeps none.

    Examples
    --------
    >>> region_key("lh_bankssts_thickness") == region_key("L_bankssts") == "l bankssts"
    True
    >>> region_key("Left-Hippocampus") == region_key("Lhippo") == "l hippocampus"
    True
    """
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).split()
    words = [word for word in words if word not in _MEASURES]
    if words and words[0] in _SIDES:
        side, region = _SIDES[words[0]], "".join(words[1:])
    elif len(words) == 1 and words[0] in _SHORT:
        side, region = words[0][0], _SHORT[words[0]]
    else:
        return "".join(words)
    region = _REGIONS.get(region, region)
    return f"{side} {region}".strip()


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


_MEASURES: Final = frozenset(("thickness", "thickavg", "volume", "area", "surfavg", "mm", "ml"))
_SIDES: Final = {"lh": "l", "l": "l", "left": "l", "rh": "r", "r": "r", "right": "r"}
_REGIONS: Final = {"thalamusproper": "thalamus", "meanthickness": "mean"}
_SHORT: Final = {
    f"{side}{short}": region
    for side in "lr"
    for short, region in {
        "accumb": "accumbens",
        "amyg": "amygdala",
        "caud": "caudate",
        "hippo": "hippocampus",
        "pal": "pallidum",
        "put": "putamen",
        "thal": "thalamus",
        "latvent": "lateralventricle",
    }.items()
}
"""Subcortical regions as ENIGMA's tables abbreviate them."""
