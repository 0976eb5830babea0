"""A scan's quality measures beside those of all scans that are there so far."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bids_harmonize.bids.study_measures import StudyMeasures
from bids_harmonize.imaging.quality import QUALITY_MEASURES, SITE_BOUND
from bids_harmonize.report.measure_words import MEASURE_GROUPS, measure_words
from bids_harmonize.report.page import format_number
from bids_harmonize.report.strips import draw_strip
from bids_harmonize.stats import find_outliers


@dataclass(frozen=True)
class MeasureRow:
    """One quality measure of one scan, as the page prints it.

    Parameters
    ----------
    name, words, description, citation, direction
        What the measure is.
    value
        Of this scan; None where it is not known.
    strip
        Data URI of the value among the others; None where there are none.
    place
        Where it lies among which scans, in words; empty where there are none.
    apart
        Whether it stands apart from its site in the bad direction.
    """

    name: str
    words: str
    description: str
    citation: str
    direction: str
    value: float | None
    strip: str | None
    place: str
    apart: bool


def measure_rows(
    measures: Mapping[str, float | None], stem: str, study: StudyMeasures
) -> dict[str, list[MeasureRow]]:
    """The measures of a scan under their headings.

    Parameters
    ----------
    measures
        Name to value.
    stem
        Name of the scan.
    study
        All scans so far, with or without this one.

    Returns
    -------
    dict
        Heading to rows; measures that the scan has no entry for are left out.
    """
    known = {
        heading: [
            _row(name, measures[name], stem, study)
            for name in names
            if name in measures and name in QUALITY_MEASURES
        ]
        for heading, names in MEASURE_GROUPS.items()
    }
    return {heading: rows for heading, rows in known.items() if rows}


def apart_words(rows: Mapping[str, list[MeasureRow]]) -> list[str]:
    """One sentence if the scan stands apart from its site in any measure, else nothing."""
    found = [row for own in rows.values() for row in own if row.apart]
    if not found:
        return []
    named = ", ".join(f"{row.words} {format_number(row.value)}" for row in found)
    return [f"Stands apart from the scans it is compared with: {named}."]


def _row(name: str, value: float | None, stem: str, study: StudyMeasures) -> MeasureRow:
    measure = QUALITY_MEASURES[name]
    strip, place, apart = (None, "", False) if value is None else _compare(name, stem, study)
    return MeasureRow(
        name=name,
        words=measure_words(name),
        description=measure.description,
        citation=measure.citation,
        direction=measure.direction,
        value=value,
        strip=strip,
        place=place,
        apart=apart,
    )


def _compare(name: str, stem: str, study: StudyMeasures) -> tuple[str | None, str, bool]:
    values = study.values.get(name)
    if values is None or stem not in study.stems:
        return None, "", False
    own = study.stems.index(stem)
    site = study.sites[own]
    known = np.isfinite(values)
    if not known[own] or known.sum() < 2:
        return None, "", False
    same = np.array([site is not None and other == site for other in study.sites]) & known
    comparison = find_outliers(
        values,
        study.sites,
        direction=QUALITY_MEASURES[name].direction,
        across_groups=name not in SITE_BOUND,
    )
    with_site = bool(same.any()) and comparison.n_compared[own] == same.sum()
    apart = bool(comparison.outlying[own])
    group = values[same if with_site else known]
    elsewhere = known & ~same
    same[own] = elsewhere[own] = False
    return (
        draw_strip(float(values[own]), values[same], values[elsewhere], apart=apart),
        _place(float(values[own]), group, site if with_site else None),
        apart,
    )


def _place(value: float, group: NDArray[np.float64], site: str | None) -> str:
    """Percentile by mid-ranks, and the middle of the others."""
    below, equal = int((group < value).sum()), int((group == value).sum())
    percentile = round(100 * (below + equal / 2) / group.size)
    where = f"scans of {site}" if site is not None else "scans of all sites"
    median = format_number(float(np.median(group)))
    return f"percentile {percentile} among {group.size} {where}, median {median}"
