"""What is said about scans of sites that a joint model was not trained on."""

from collections.abc import Mapping
from typing import Any

from bids_harmonize.bids.derived_scans import DerivedScan
from bids_harmonize.harmonizers.base import Harmonizer, KnowsDistance


def unseen_distance(scan: DerivedScan, sidecar: Mapping[str, Any]) -> dict[str, float]:
    """The scan's stem and distance, if its harmonized image says that its site is unseen."""
    if not sidecar["HarmonizationUnseenSite"] or "HarmonizationDistance" not in sidecar:
        return {}
    return {scan.stem: float(sidecar["HarmonizationDistance"])}


def far_scans(harmonizer: Harmonizer, distances: Mapping[str, float]) -> list[str]:
    """A warning about scans of unseen sites that are unlike all that training saw.

    Parameters
    ----------
    harmonizer
        The one whose images were written.
    distances
        Stem of each scan of an unseen site to its distance from the training sites.

    Returns
    -------
    list of str
        One sentence, or none.
    """
    if not isinstance(harmonizer, KnowsDistance):
        return []
    usual = harmonizer.usual_distance()
    far = [f"{stem} ({found:.1f})" for stem, found in distances.items() if found > usual]
    if not far:
        return []
    return [
        f"farther from the training sites than any training scan ({usual:.1f}), so look at these "
        f"images before using them: {', '.join(far)}"
    ]
