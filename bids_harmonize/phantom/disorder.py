"""The planted disorder: where and how much grey matter is lost, and in whom.

At severity 1 a pattern takes about 12 % of the grey matter inside the half maximum of its map and
under .5 % of what lies away from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bids_harmonize.phantom.shapes import Coordinates, Point


@dataclass(frozen=True)
class AtrophyRegion:
    """A ball-like region on both sides of the brain where grey matter is lost.

    Attributes
    ----------
    name
        Anatomical name.
    centre
        Of its right half in the template's world, mm; the left one mirrors it.
    radius_mm
        Distance at which the loss has fallen to 61 % (one sigma of a Gaussian).
    """

    name: str
    centre: Point
    radius_mm: float


@dataclass(frozen=True)
class AtrophyPattern:
    """One subtype's pattern.

    Attributes
    ----------
    name
        Subtype name; stands in the truth.
    regions
        Where grey matter is lost.
    ventricle_mm
        Outward push of the ventricle wall at severity 1, mm.
    """

    name: str
    regions: tuple[AtrophyRegion, ...]
    ventricle_mm: float


ATROPHY_PATTERNS: tuple[AtrophyPattern, ...] = (
    AtrophyPattern(
        "frontotemporal",
        (
            AtrophyRegion("dorsolateral prefrontal cortex", (38, 38, 26), 16),
            AtrophyRegion("medial prefrontal cortex", (6, 50, 8), 14),
            AtrophyRegion("insula", (38, 8, 0), 11),
            AtrophyRegion("superior temporal gyrus", (56, -12, 0), 14),
        ),
        0.2,
    ),
    AtrophyPattern(
        "subcortical",
        (
            AtrophyRegion("hippocampus", (27, -22, -16), 10),
            AtrophyRegion("thalamus", (11, -18, 8), 9),
            AtrophyRegion("caudate and putamen", (19, 10, 6), 11),
            AtrophyRegion("posterior parietal cortex", (40, -56, 44), 16),
        ),
        1.2,
    ),
)


@dataclass(frozen=True)
class Disorder:
    """How the cases of a study are made.

    Attributes
    ----------
    name, description
        As on the command line.
    patterns
        Names of the patterns that cases are dealt to in turn; ``None`` plants nothing.
    elsewhere
        The same at every second site; empty where all sites are alike.
    """

    name: str
    description: str
    patterns: tuple[str | None, ...]
    elsewhere: tuple[str | None, ...] = ()

    def pattern(self, index: int, *, site: int) -> str | None:
        """What a site's case has.

        Parameters
        ----------
        index
            Of the case among those of its site, from 0.
        site
            Place of the site, from 0.

        Returns
        -------
        str or None
            Name of a pattern; ``None`` for no change.
        """
        dealt = self.elsewhere if self.elsewhere and site % 2 else self.patterns
        return dealt[index % len(dealt)]


DISORDERS: Mapping[str, Disorder] = MappingProxyType(
    {
        row.name: row
        for row in (
            Disorder(
                "subtypes",
                "cases are dealt evenly to two atrophy patterns",
                ("frontotemporal", "subcortical"),
            ),
            Disorder(
                "confounded",
                "four of five cases have the frontotemporal pattern at SiteA, SiteC and so on, "
                "one of five at SiteB, SiteD and so on; the others have the subcortical one",
                (*["frontotemporal"] * 2, "subcortical", *["frontotemporal"] * 2),
                (*["subcortical"] * 2, "frontotemporal", *["subcortical"] * 2),
            ),
            Disorder("single", "all cases have the frontotemporal pattern", ("frontotemporal",)),
            Disorder("zero", "cases carry the label and no change at all", (None,)),
        )
    }
)


def loss_map(at: Coordinates, pattern: AtrophyPattern) -> np.ndarray:
    """Where a pattern takes grey matter, in [0, 1].

    Parameters
    ----------
    at
        World coordinates in mm, open grids.
    pattern
        A row of :data:`ATROPHY_PATTERNS`.

    Returns
    -------
    numpy.ndarray
        float32; 1 at the region centres.
    """
    result: np.ndarray | None = None
    for region in pattern.regions:
        x, y, z = region.centre
        squared = (np.abs(at[0]) - x) ** 2 + (at[1] - y) ** 2 + (at[2] - z) ** 2
        weight = np.exp(-squared / (2 * region.radius_mm**2))
        result = weight if result is None else np.maximum(result, weight)
    if result is None:
        message = f"pattern {pattern.name!r} has no regions"
        raise ValueError(message)
    return result.astype(np.float32)


def find_pattern(name: str) -> AtrophyPattern:
    """The row of :data:`ATROPHY_PATTERNS` with this name.

    Parameters
    ----------
    name
        Subtype name.

    Returns
    -------
    AtrophyPattern
        Its regions and strength.

    Raises
    ------
    ValueError
        If there is none.
    """
    for pattern in ATROPHY_PATTERNS:
        if pattern.name == name:
            return pattern
    known = ", ".join(pattern.name for pattern in ATROPHY_PATTERNS)
    message = f"unknown atrophy pattern {name!r}; available: {known}"
    raise ValueError(message)
