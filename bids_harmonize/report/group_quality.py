"""Section "Image quality" of the group page: measures by site, and the scans that stand apart."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bids_harmonize.imaging.quality import QUALITY_MEASURES, SITE_BOUND
from bids_harmonize.report.group_blocks import Block, Cell, Figure, Paragraph, Section, make_table
from bids_harmonize.report.group_figures import draw_strips
from bids_harmonize.report.group_inputs import GroupInputs
from bids_harmonize.report.group_words import significant
from bids_harmonize.report.measure_words import CHIEF_MEASURES, measure_words
from bids_harmonize.stats import find_all_outliers
from bids_harmonize.stats.outliers import FALSE_ALARMS, MIN_GROUP, Comparison, robust_spread

_N_UNFOLDED = 8


def quality_section(inputs: GroupInputs) -> Section:
    """Quality measures by site, and the scans that stand apart from their own site.

    Parameters
    ----------
    inputs
        What is on disk.

    Returns
    -------
    Section
        A figure, a table of flagged scans and a table of medians.
    """
    frame = inputs.scans
    measures = [name for name in QUALITY_MEASURES if name in frame and frame[name].notna().any()]
    if frame.empty or not measures or "site" not in frame:
        text = "The scans tables hold no quality measures, so none are shown."
        if inputs.from_features:
            text = "A table of features holds no images, so no image quality is shown."
        return Section("quality", "Image quality", (Paragraph(text, "absent"),))
    compared = find_all_outliers(
        {name: frame[name].to_numpy(float) for name in measures},
        [None if pd.isna(site) else str(site) for site in frame["site"]],
        directions={name: QUALITY_MEASURES[name].direction for name in measures},
        within_groups_only=SITE_BOUND,
    )
    blocks: list[Block] = [
        Paragraph(
            "Measured on the raw and on the preprocessed images, before harmonization. A "
            "difference between sites here is part of the site effect."
        )
    ]
    panels = [(name, measure_words(name)) for name in CHIEF_MEASURES if name in measures]
    if panels:
        blocks.append(
            Figure(
                title="Chief quality measures, every scan a dot",
                source=draw_strips(frame, panels, apart=_names_apart(frame, compared)),
                alt="Dots for every scan, one panel a quality measure, sites side by side.",
                reading="Each panel is one measure, each dot one scan, each bar a site's median; "
                "scans that stand apart are red and named. Sites whose dots do not overlap can be "
                "told apart by this number alone.",
                size="wide",
            )
        )
    blocks.append(_flagged_table(frame, compared))
    blocks.append(_median_table(frame, measures))
    return Section("quality", "Image quality", tuple(blocks))


def _names_apart(
    frame: pd.DataFrame, compared: Mapping[str, Comparison]
) -> dict[str, dict[str, float]]:
    """Measure to the stems of outlying scans and their values."""
    return {
        name: {
            str(frame["stem"].iloc[place]): float(frame[name].iloc[place])
            for place in np.flatnonzero(comparison.outlying)
        }
        for name, comparison in compared.items()
    }


def _flagged_table(frame: pd.DataFrame, compared: Mapping[str, Comparison]) -> Block:
    """One row a scan, the one with most outlying measures first."""
    found: dict[int, list[tuple[str, Comparison]]] = {}
    for name, comparison in compared.items():
        for place in np.flatnonzero(comparison.outlying):
            found.setdefault(int(place), []).append((name, comparison))
    how = (
        "further from its site's median, in robust spreads, than chance puts one value in "
        f"{round(1 / FALSE_ALARMS):,}: towards the bad side, or towards either side for measures "
        f"without one. Scans of a site with fewer than {MIN_GROUP} scans are compared with all."
    )
    if not found:
        return Paragraph(f"No scan lies {how}")
    order = sorted(found, key=lambda place: (-len(found[place]), str(frame["stem"].iloc[place])))
    rows: list[list[str | Cell]] = [
        [
            Cell(str(frame["stem"].iloc[place]), "strong"),
            str(frame["site"].iloc[place] or "n/a"),
            str(len(found[place])),
            "; ".join(
                _words(name, comparison, place, float(frame[name].iloc[place]))
                for name, comparison in found[place]
            ),
        ]
        for place in order
    ]
    return make_table(
        f"Scans apart from their own site ({len(rows)})",
        {
            "scan": False,
            "site": False,
            "measures": True,
            "value (usual), spreads away": False,
        },
        rows,
        reading=f"A value here lies {how} Look at the person's page before leaving anybody out.",
        folded=len(rows) > _N_UNFOLDED,
    )


def _words(name: str, comparison: Comparison, place: int, value: float) -> str:
    usual = significant(float(comparison.middle[place]))
    z = float(comparison.z[place])
    away = f", {z:+.1f}" if np.isfinite(z) else ""
    return f"{measure_words(name)} {significant(value)} ({usual}){away}"


def _median_table(frame: pd.DataFrame, measures: list[str]) -> Block:
    sites = sorted(frame["site"].dropna().astype(str).unique())
    rows: list[list[str | Cell]] = []
    for name in measures:
        row = QUALITY_MEASURES[name]
        cells: list[str | Cell] = [
            Cell(measure_words(name), "strong"),
            "" if row.direction == "neutral" else row.direction,
        ]
        for site in sites:
            own = frame.loc[frame["site"].astype(str) == site, name].dropna().to_numpy(float)
            spread = f" ± {significant(robust_spread(own), 2)}" if len(own) > 1 else ""
            cells.append(f"{significant(float(np.median(own)))}{spread}" if len(own) else "n/a")
        rows.append(cells)
    return make_table(
        "Quality by site: median ± spread",
        {"measure": False, "better": False, **dict.fromkeys(sites, True)},
        rows,
        reading="Spread is the median absolute deviation x 1.4826, which equals the standard "
        "deviation where values are normally distributed; never below 0.5 % of the median. "
        "Compare rows across, not columns down.",
        folded=True,
    )
