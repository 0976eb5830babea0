"""Charts of subtypes, from tables: do clusters come again, are they apart, where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bids_harmonize.report.group_disorderfigures import Effects, draw_effects
from bids_harmonize.report.group_drawing import (
    BLUE,
    CYCLE,
    FAINT,
    GREEN,
    INK,
    MARKERS,
    ORANGE,
    page_style,
    svg_uri,
)
from bids_harmonize.report.group_subtypearms import LEAST_ARI

_PHONE_INCHES = 4.8  # readable on a phone without scrolling
_PANELS_A_LINE = 2
_BINS = 40
_BAND = "#ffe9b8"
_CURVES = {
    "bootstrap_ari": ("resampled people", BLUE, "o"),
    "splithalf_ari": ("halves", ORANGE, "s"),
    "leavesite_ari": ("sites left out (lowest)", GREEN, "^"),
}


@dataclass(frozen=True, eq=False)
class NullPanel:
    """One null of an arm.

    Attributes
    ----------
    name
        What the null is called.
    observed
        Gap of the cases.
    draws
        Shape (n_drawn,), gaps of drawn people, at least one.
    """

    name: str
    observed: float
    draws: np.ndarray


def draw_stability(curves: Mapping[str, pd.DataFrame], chosen: Mapping[str, int]) -> str:
    """How well clusters come again against their number, one panel an arm on one scale.

    Parameters
    ----------
    curves
        Arm to its rows of group_subtypevalidity.tsv with two clusters and more.
    chosen
        Arm to the number that describes cases best.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    n_columns = min(len(curves), _PANELS_A_LINE)
    n_lines = -(-len(curves) // n_columns)
    lowest = min(0.0, *(own[list(_CURVES)].min().min() for own in curves.values()))
    height = 0.7 + 1.6 * n_lines
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, height))
        grid = figure.subplots(n_lines, n_columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(curves) :]:
            axes.set_visible(False)
        for axes, (arm, own) in zip(grid.flat, curves.items(), strict=False):
            _draw_panel(axes, own, chosen[arm])
            axes.set_title(f"{arm}: k = {chosen[arm]}", fontsize=9.5)
            axes.tick_params(labelbottom=True)
        grid[0, 0].set_ylim(lowest - 0.04, 1.04)
        for line in grid:
            line[0].set_ylabel("agreement (ARI)", fontsize=8.5)
        figure.supxlabel("number of clusters (k)", fontsize=9, x=0.55, y=0.0, va="bottom")
        figure.subplots_adjust(
            left=0.12, right=0.98, top=1 - 0.68 / height, bottom=0.4 / height,
            hspace=0.45, wspace=0.08,
        )  # fmt: skip
        figure.legend(
            handles=_keys(), loc="upper left", ncols=3, fontsize=8.5, handlelength=1.6,
            columnspacing=1.1, borderaxespad=0,
        )  # fmt: skip
        return svg_uri(figure)


def draw_nulls(lines: Mapping[str, Sequence[NullPanel]]) -> str:
    """Histograms of nulls with the gap of the cases as a line, on one scale, a line an arm.

    Parameters
    ----------
    lines
        Arm to its nulls, at least one each.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    every = [panel for panels in lines.values() for panel in panels]
    widest = max(max(panel.observed, panel.draws.max()) for panel in every)
    bins = np.linspace(0.0, 1.03 * max(widest, 1e-3), _BINS + 1)
    height = 0.55 + 1.3 * len(lines)
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, height))
        n_columns = max(len(panels) for panels in lines.values())
        grid = figure.subplots(len(lines), n_columns, sharex=True, squeeze=False)
        for row, (arm, panels) in zip(grid, lines.items(), strict=True):
            for axes in row[len(panels) :]:
                axes.set_visible(False)
            for axes, panel in zip(row, panels, strict=False):
                axes.hist(panel.draws, bins=bins, color=FAINT, linewidth=0)
                axes.axvline(panel.observed, color=ORANGE, linewidth=2)
                axes.set_title(f"{arm}, {panel.name}", fontsize=9.5)
                axes.tick_params(labelsize=8, labelbottom=True)
                axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
            row[0].set_ylabel("draws", fontsize=8.5)
        figure.supxlabel("gap between clusters (dip)", fontsize=9, x=0.55, y=0.0, va="bottom")
        figure.subplots_adjust(
            left=0.12, right=0.98, top=1 - 0.5 / height, bottom=0.42 / height,
            hspace=0.75, wspace=0.22,
        )  # fmt: skip
        figure.legend(
            handles=[
                Patch(color=FAINT, linewidth=0, label="people of one kind, drawn"),
                Line2D([], [], color=ORANGE, linewidth=2, label="the cases"),
            ],
            loc="upper left", ncols=2, fontsize=8.5, borderaxespad=0,
        )  # fmt: skip
        return svg_uri(figure)


def draw_cluster_maps(rows: pd.DataFrame, features: Sequence[str], noun: str) -> str:
    """Every cluster against the controls, feature by feature, on one scale.

    Parameters
    ----------
    rows
        Rows of group_subtypemaps.tsv of one arm.
    features
        From the top down.
    noun
        What the clusters are called in the key.

    Returns
    -------
    str
        Data URI of the drawing. No mark is hollow: q does not test that there are subtypes.
    """
    labels = sorted(rows["subtype"].dropna().astype(int).unique())
    series = [
        Effects(
            f"{noun} {label}",
            (CYCLE[(label - 1) % len(CYCLE)], MARKERS[(label - 1) % len(MARKERS)]),
            rows[rows["subtype"] == label].set_index("feature")[["d", "low", "high"]],
        )
        for label in labels
    ]
    return draw_effects(series, features, label=f"difference, {noun} minus controls (d)")


def _draw_panel(axes: Axes, own: pd.DataFrame, chosen: int) -> None:
    own = own.sort_values("k")
    if chosen > 1:
        axes.axvspan(chosen - 0.3, chosen + 0.3, color=_BAND, linewidth=0)
    axes.axhline(LEAST_ARI, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    for column, (_, colour, marker) in _CURVES.items():
        axes.plot(own["k"], own[column], color=colour, marker=marker, markersize=4, linewidth=1.4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=8)


def _keys() -> list[Line2D | Patch]:
    keys: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.4, label=label)
        for label, colour, marker in _CURVES.values()
    ]
    least = f"asked for ({LEAST_ARI:.2f})"
    dashed = Line2D([], [], color=INK, linewidth=1, linestyle=(0, (4, 3)), label=least)
    return [*keys, dashed, Patch(color=_BAND, linewidth=0, label="chosen number")]
