"""Charts of the group page, from tables: each function returns one data URI."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bids_harmonize.report.group_drawing import (
    BLUE,
    CYCLE,
    FAINT,
    GREEN,
    GRID,
    INK,
    MARKERS,
    ORANGE,
    RED,
    only_vertical_grid,
    page_style,
    svg_uri,
)
from bids_harmonize.report.group_words import NOT_HARMONIZERS, is_number, method_words

_MIDDLE = 0.5
_DOTS_INCHES = 4.8  # readable on a phone without scrolling, so labels stand above the dots
_MAX_LABELLED = 12
_TICK_WIDTH = 13


def draw_confusion(
    labels: Sequence[str],
    counts: np.ndarray,
    *,
    answers: Sequence[str] | None = None,
    compact: bool = False,
) -> str:
    """Confusion matrix of the site classifier.

    Parameters
    ----------
    labels
        Site names, in the order of the rows.
    counts
        People of the row's site that were named as the column's, (n_sites, n_answers).
    answers
        Names of the columns; by default the sites.
    compact
        Small cells and upright names, for many sites.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    answers = labels if answers is None else answers
    cell, small = (0.34, 7.5) if compact else (0.62, None)
    with page_style():
        figure = Figure(figsize=(2.3 + cell * len(answers), 1.4 + cell * len(labels)))
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), n in np.ndenumerate(counts):
            if n:
                tone = "white" if shares[row, column] > _MIDDLE else INK
                axes.text(
                    column, row, str(int(n)), ha="center", va="center", color=tone, size=small
                )
        turn, side = (90, "center") if compact else (30, "right")
        axes.set_xticks(range(len(answers)), answers, rotation=turn, ha=side, size=small)
        axes.set_yticks(range(len(labels)), labels, size=small)
        axes.set_xlabel("named as")
        axes.set_ylabel("true site")
        axes.grid(False)
        if compact:  # lines lead the eye from a cell to its names
            axes.set_xticks(np.arange(len(answers) + 1) - 0.5, minor=True)
            axes.set_yticks(np.arange(len(labels) + 1) - 0.5, minor=True)
            axes.tick_params(which="minor", size=0)
            axes.grid(True, which="minor", color=GRID, linewidth=0.6)
        return svg_uri(figure)


def draw_dots(
    rows: Sequence[tuple[str, float, float, float, str]],
    *,
    xlabel: str,
    lines: Sequence[tuple[float, str]] = (),
    limits: tuple[float, float] | None = None,
) -> str:
    """Dots with intervals, one a row, first row on top.

    Parameters
    ----------
    rows
        Label, value, low and high end of the interval, colour.
    xlabel
        What the horizontal axis shows, with its unit.
    lines
        Dashed vertical lines: place and label.
    limits
        Ends of the horizontal axis.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    with page_style():
        figure = Figure(figsize=(_DOTS_INCHES, 0.8 + 0.5 * len(rows)))
        axes = figure.subplots()
        for place, (label, value, low, high, colour) in enumerate(rows):
            if is_number(low) and is_number(high):
                axes.plot([low, high], [place, place], color=colour, linewidth=2.4, alpha=0.55)
            axes.plot(value, place, "o", color=colour, markersize=7.5)
            axes.annotate(
                label, (0, place), xycoords=("axes fraction", "data"), xytext=(0, 11),
                textcoords="offset points", va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
        axes.set_yticks([])
        axes.set_ylim(len(rows) - 0.6, -0.85)
        axes.set_xlabel(xlabel)
        if limits:
            axes.set_xlim(*limits)
        for place_x, label in lines:
            axes.axvline(place_x, color=INK, linestyle=(0, (4, 3)), linewidth=1, zorder=0.5)
            axes.annotate(
                label, (place_x, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", color=INK,
            )  # fmt: skip
        only_vertical_grid(axes)
        return svg_uri(figure)


def draw_person_lines(values: pd.DataFrame, *, ylabel: str) -> str:
    """One line a person through the methods.

    Parameters
    ----------
    values
        One row a person, one column a method in reading order; the cells are the metric.
    ylabel
        Name and unit of the metric.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    with page_style():
        figure = Figure(figsize=(11, 3.8))
        axes = figure.subplots()
        places = np.arange(values.shape[1])
        for order, (person, row) in enumerate(values.iterrows()):
            colour = CYCLE[order % len(CYCLE)] if len(values) <= len(CYCLE) else FAINT
            axes.plot(
                places, row.to_numpy(dtype=float), color=colour, alpha=0.8, linewidth=1.4,
                marker=MARKERS[order % len(MARKERS)], markersize=5, label=str(person),
            )  # fmt: skip
        mean = values.mean(axis=0).to_numpy(dtype=float)
        axes.plot(places, mean, color=INK, linewidth=3, label="mean")
        axes.set_xticks(places, [_broken(method_words(str(c))) for c in values.columns])
        axes.set_ylabel(ylabel)
        axes.grid(False, axis="x")
        if len(values) <= _MAX_LABELLED:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8.5)
        return svg_uri(figure)


def draw_training_curves(curves: pd.DataFrame) -> str:
    """Losses and the distance to the reference over the iterations, one row a source site.

    Parameters
    ----------
    curves
        Columns source_site, iteration, one column a loss, and those that start with ``distance``.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    distances = [name for name in curves.columns if name.startswith("distance")]
    skipped = {"source_site", "iteration", *distances}
    losses = [
        name for name in curves.columns if name not in skipped and curves[name].notna().any()
    ]
    sites = sorted(curves["source_site"].astype(str).unique())
    with page_style():
        figure = Figure(figsize=(11, 2.7 * len(sites)))
        grid = figure.subplots(len(sites), 2, squeeze=False, width_ratios=(1.25, 1))
        for (left, right), site in zip(grid, sites, strict=True):
            own = curves[curves["source_site"].astype(str) == site]
            for order, loss in enumerate(losses):
                _draw_curve(left, own, loss, colour=CYCLE[order % len(CYCLE)])
            if (own[losses].dropna().to_numpy() > 0).all():
                left.set_yscale("log")
            left.set_title(f"{site}: losses")
            left.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
            for order, name in enumerate(distances):
                _draw_curve(right, own, name, colour=CYCLE[order], marker=MARKERS[order])
            if len(distances) > 1:
                right.legend(fontsize=8)
            right.set_ylim(bottom=0)
            right.set_title(f"{site}: distance on the monitor")
        for axes in grid[-1]:
            axes.set_xlabel("iteration")
        figure.tight_layout()
        return svg_uri(figure)


def draw_strips(
    frame: pd.DataFrame,
    measures: Sequence[tuple[str, str]],
    *,
    apart: Mapping[str, Mapping[str, float]],
) -> str:
    """One small panel a quality measure: every scan a dot, sites side by side, bar = median.

    Parameters
    ----------
    frame
        One row a scan with columns ``stem`` and ``site`` and the measures.
    measures
        Column name and panel title.
    apart
        Measure to stems and values of the scans that are drawn in red and named.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    columns = 4
    rows = -(-len(measures) // columns)
    with page_style():
        figure = Figure(figsize=(11.4, 2.5 * rows))
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (name, title) in zip(grid.flat, measures, strict=False):
            _draw_strip(axes, frame, name, apart.get(name, {}))
            axes.set_title(title, fontsize=9.5)
        for axes in grid.flat[len(measures) :]:
            axes.set_visible(False)
        figure.tight_layout()
        return svg_uri(figure)


def method_colour(method: str, *, chosen: str | None) -> str:
    """Colour of a method: chosen, other trained ones, training-free ones, ceiling."""
    if method == chosen:
        return ORANGE
    if method == "ceiling":
        return GREEN
    return FAINT if method in NOT_HARMONIZERS else BLUE


def _draw_strip(axes: Axes, frame: pd.DataFrame, name: str, apart: Mapping[str, float]) -> None:
    """One panel of :func:`draw_strips`."""
    sites = sorted(frame["site"].dropna().astype(str).unique())
    for place, site in enumerate(sites):
        own = frame.loc[frame["site"].astype(str) == site, ["stem", name]].dropna()
        values = own[name].to_numpy(float)
        across = place + (np.linspace(-0.22, 0.22, len(own)) if len(own) > 1 else np.zeros(1))
        red = own["stem"].isin(list(apart)).to_numpy()
        colour = CYCLE[place % len(CYCLE)]
        axes.scatter(
            across[: len(own)][~red], values[~red], s=11, color=colour, alpha=0.75, linewidth=0
        )
        axes.scatter(across[: len(own)][red], values[red], s=20, color=RED, marker="D")
        if len(own):
            axes.hlines(np.median(values), place - 0.33, place + 0.33, color=INK, linewidth=2)
        for stem, x, y in zip(own["stem"][red], across[: len(own)][red], values[red], strict=True):
            axes.annotate(
                str(stem).removeprefix("sub-"), (x, y), xytext=(4, 3), fontsize=6.5,
                textcoords="offset points", color=RED,
            )  # fmt: skip
    axes.set_xticks(range(len(sites)), sites, rotation=30, ha="right", fontsize=8)
    axes.set_xlim(-0.6, len(sites) - 0.4)
    axes.grid(False, axis="x")


def _draw_curve(
    axes: Axes, own: pd.DataFrame, column: str, *, colour: str, marker: str = ""
) -> None:
    known = own[["iteration", column]].dropna()
    axes.plot(
        known["iteration"], known[column], color=colour, marker=marker, markersize=4,
        linewidth=1.5, label=column.replace("_", " "),
    )  # fmt: skip


def _broken(words: str) -> str:
    return "\n".join(textwrap.wrap(words, _TICK_WIDTH))
