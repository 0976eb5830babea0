"""Charts of the site classifier, from tables: calibration, visible fraction, deletion curves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bids_harmonize.report.group_drawing import (
    BLUE,
    CYCLE,
    FAINT,
    INK,
    MARKERS,
    ORANGE,
    page_style,
    svg_uri,
)
from bids_harmonize.report.group_words import is_number

_PHONE_INCHES = 4.8  # readable on a phone without scrolling
_MANY_PANELS = 9  # with more, five narrow ones stand side by side
_FRACTIONS = {1.0: "all", 0.5: "1/2", 0.25: "1/4", 0.125: "1/8"}
_DODGE = 0.06


def draw_calibration(table: pd.DataFrame) -> str:
    """How often the answer was right, against how sure the network was, with the counts below.

    Parameters
    ----------
    table
        One row a bin: bin_low, bin_high, n, confidence, accuracy (0 to 1).

    Returns
    -------
    str
        Data URI of the drawing.
    """
    known = table.dropna(subset=["confidence", "accuracy"]).sort_values("confidence")
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, 5.2))
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        upper.plot([0, 1], [0, 1], color=INK, linestyle=(0, (4, 3)), linewidth=1)
        upper.annotate(
            "sure as often as right", (0.03, 0.03), xytext=(0, 9), rotation=45,
            textcoords="offset points", rotation_mode="anchor", transform_rotates_text=True,
            color=INK, fontsize=8.5,
        )  # fmt: skip
        upper.plot(
            known["confidence"], known["accuracy"], color=BLUE, marker="o", markersize=7,
            linewidth=1.6,
        )  # fmt: skip
        upper.set_ylim(-0.02, 1.04)
        upper.set_ylabel("share that was right")
        counts = table.dropna(subset=["bin_low", "bin_high"])
        lower.bar(
            (counts["bin_low"] + counts["bin_high"]) / 2, counts["n"].fillna(0),
            width=0.9 * (counts["bin_high"] - counts["bin_low"]), color=FAINT,
        )  # fmt: skip
        lower.set_ylabel("people")
        lower.set_xlim(-0.02, 1.02)
        lower.set_xlabel("how sure the model was (0 to 1)")
        lower.grid(False, axis="x")
        figure.tight_layout()
        return svg_uri(figure)


def draw_visibility(lines: Sequence[tuple[str, pd.DataFrame]], *, chance: float | None) -> str:
    """Accuracy against the visible part of the volume, one line a model.

    Parameters
    ----------
    lines
        Label, and rows with visible_fraction, accuracy, accuracy_low, accuracy_high.
    chance
        Drawn as a dashed line.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    fractions = sorted({float(x) for _, own in lines for x in own["visible_fraction"]})[::-1]
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, 4.2))
        axes = figure.subplots()
        for order, (label, own) in enumerate(lines):
            shift = _DODGE * (order - (len(lines) - 1) / 2)
            places = np.array([fractions.index(float(x)) for x in own["visible_fraction"]])
            turn = np.argsort(places)
            colour = CYCLE[order % len(CYCLE)]
            axes.plot(
                places[turn] + shift, own["accuracy"].to_numpy()[turn], color=colour,
                marker=MARKERS[order % len(MARKERS)], linewidth=1.6, label=label,
            )  # fmt: skip
            axes.vlines(
                places + shift, own["accuracy_low"], own["accuracy_high"], color=colour,
                linewidth=2.2, alpha=0.45,
            )  # fmt: skip
        _draw_chance(axes, chance)
        axes.set_xticks(range(len(fractions)), [_fraction(value) for value in fractions])
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel("visible part of the volume")
        axes.set_ylabel("accuracy")
        axes.grid(False, axis="x")
        axes.legend(loc="lower left", fontsize=8.5, frameon=True, framealpha=0.9, edgecolor="none")
        return svg_uri(figure)


def draw_site_list(rows: Sequence[tuple[str, float, float, float]], *, xlabel: str) -> str:
    """Shares with intervals, one line a site, the lowest first; for many sites.

    Parameters
    ----------
    rows
        Label, share, low and high end of the interval (0 to 1).
    xlabel
        What the horizontal axis shows.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    ordered = sorted(rows, key=lambda row: (row[1], row[0]))
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, 0.8 + 0.2 * len(ordered)))
        axes = figure.subplots()
        for place, (_, value, low, high) in enumerate(ordered):
            if is_number(low) and is_number(high):
                axes.plot([low, high], [place, place], color=BLUE, linewidth=2, alpha=0.55)
            axes.plot(value, place, "o", color=BLUE, markersize=5)
        axes.set_yticks(range(len(ordered)), [label for label, *_ in ordered], size=8)
        axes.set_ylim(len(ordered) - 0.4, -0.6)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(xlabel)
        return svg_uri(figure)


def draw_deletion(panels: Sequence[tuple[str, pd.DataFrame]]) -> str:
    """Support for the site while voxels are taken away, one panel a site.

    Parameters
    ----------
    panels
        Site, and rows with order (``saliency`` or ``random``), removed_fraction, log_odds,
        log_odds_low, log_odds_high.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    widest, width, height = (5, 2.15, 1.8) if len(panels) > _MANY_PANELS else (3, 3.5, 2.7)
    n_columns = min(widest, len(panels))
    n_rows = -(-len(panels) // n_columns)
    with page_style():
        figure = Figure(figsize=(0.5 + width * n_columns, 0.6 + height * n_rows))
        grid = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
        for axes, (site, own) in zip(grid.flat, panels, strict=False):
            for order, colour, marker, label in _ORDERS:
                _draw_band(axes, own[own["order"] == order], colour, marker, label)
            axes.set_title(site)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            axes.set_ylabel("log odds of the site")
        for axes in grid.flat[max(0, len(panels) - n_columns) : len(panels)]:
            axes.set_xlabel("replaced part of the head")
            axes.tick_params(labelbottom=True)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / figure.get_figheight()))
        figure.legend(handles, labels, loc="upper left", ncols=len(labels))
        return svg_uri(figure)


_ORDERS = (
    ("saliency", ORANGE, "o", "marked places first"),
    ("random", BLUE, "s", "blocks at random"),
)


def _draw_band(axes: Axes, own: pd.DataFrame, colour: str, marker: str, label: str) -> None:
    known = own.dropna(subset=["removed_fraction", "log_odds"]).sort_values("removed_fraction")
    axes.plot(
        known["removed_fraction"], known["log_odds"], color=colour, marker=marker, markersize=4.5,
        linewidth=1.6, label=label,
    )  # fmt: skip
    axes.fill_between(
        known["removed_fraction"], known["log_odds_low"], known["log_odds_high"], color=colour,
        alpha=0.18, linewidth=0,
    )  # fmt: skip


def _draw_chance(axes: Axes, chance: float | None) -> None:
    if chance is None or not is_number(chance):
        return
    axes.axhline(chance, color=INK, linestyle=(0, (4, 3)), linewidth=1)
    axes.annotate(
        "chance", (1, chance), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right",
    )  # fmt: skip


def _fraction(value: float) -> str:
    return _FRACTIONS.get(value, f"{value:.3g}")
