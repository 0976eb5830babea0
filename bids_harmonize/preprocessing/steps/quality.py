"""Quality measures of a scan as it will be saved."""

from collections.abc import Mapping
from pathlib import Path

from bids_harmonize.imaging.quality import measure_quality
from bids_harmonize.preprocessing.steps.brain import load_brain
from bids_harmonize.preprocessing.steps.conform import Conformed


def measure(
    conformed_file: Path, brain_file: Path | None, *, raw_measures: Mapping[str, float]
) -> dict[str, float]:
    """Quality measures of a conformed scan.

    Parameters
    ----------
    conformed_file
        A :class:`Conformed` scan.
    brain_file
        What :func:`mask_brain` wrote; ``None`` where no brain mask is wanted.
    raw_measures
        Measures of the raw image, from :func:`conform`.

    Returns
    -------
    dict
        Name to value, see ``bids_harmonize.imaging.quality.QUALITY_MEASURES``.
    """
    scan = Conformed.load(conformed_file)
    brain_mask = None if brain_file is None else load_brain(brain_file)[0]
    air_sd = raw_measures.get("air_sd", float("nan"))
    measures = measure_quality(scan.volume, scan.head_mask, brain_mask, scan.grid, air_sd=air_sd)
    return {name: float(value) for name, value in {**raw_measures, **measures}.items()}
