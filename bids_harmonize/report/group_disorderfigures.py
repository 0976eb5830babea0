"""Charts of the disorder, from tables: ranked effects, shares of variance, effects by site."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from bids_harmonize.report.group_disorderarms import (
    ALL_SITES,
    CALLED,
    arm_mark,
    label_lines,
    rows_of_arm,
)
from bids_harmonize.report.group_drawing import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    only_vertical_grid,
    page_style,
    svg_uri,
)
from bids_harmonize.report.group_words import is_number, percent

_PHONE_INCHES = 4.8  # readable on a phone without scrolling
_LABEL_SIZE = 8
_KEYS_A_LINE = 4
_LEFT = 0.42
"""Where the axes begin, as a share of the width."""
_D_WORDS = "difference, cases minus controls (d)"


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of one arm or one kind of people.

    Attributes
    ----------
    name
        In the key.
    mark
        Colour and marker.
    rows
        By feature: d, low, high; with a column q, marks from .05 are hollow.
    """

    name: str
    mark: tuple[str, str]
    rows: pd.DataFrame


def draw_ranked(table: pd.DataFrame, features: Sequence[str], arms: Sequence[str]) -> str:
    """Effects with intervals, one row a feature, the arms below each other on one scale.

    Parameters
    ----------
    table
        Rows of group_casecontrol.tsv: arm, feature, d, low, high, q.
    features
        From the top down.
    arms
        From the top down within a feature.

    Returns
    -------
    str
        Data URI of the drawing; filled marks are features with q < .05.
    """
    series = [Effects(arm, arm_mark(arm), rows_of_arm(table, arm)) for arm in arms]
    return draw_effects(series, features, label=_D_WORDS)


def draw_effects(series: Sequence[Effects], features: Sequence[str], *, label: str) -> str:
    """Several effects of each feature with intervals, below each other on one scale.

    Parameters
    ----------
    series
        From the top down within a feature.
    features
        From the top down.
    label
        What the scale holds.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    labels = [label_lines(name) for name in features]
    pitch = max(0.14 + 0.075 * len(series), 0.29 if any("\n" in line for line in labels) else 0)
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, 0.9 + pitch * len(features)))
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1)
        step = 0.72 / max(len(series), 2)
        for order, one in enumerate(series):
            own = one.rows.reindex(list(features))
            places = np.arange(len(features)) + step * (order - (len(series) - 1) / 2)
            _draw_effects(axes, own, places, one.mark)
        axes.set_yticks(range(len(features)), labels, size=_LABEL_SIZE)
        axes.set_ylim(len(features) - 0.4, -0.6)
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        only_vertical_grid(axes)
        for place in range(1, len(features)):
            axes.axhline(place - 0.5, color=FAINT, linewidth=0.3)
        _place(figure, [_key(one.mark, one.name) for one in series])
        return svg_uri(figure)


def draw_shares(table: pd.DataFrame, arms: Sequence[str]) -> str:
    """Share of variance of site and group in each arm: median bars, quartiles, chance.

    Parameters
    ----------
    table
        Rows of group_siteeffects.tsv, shares from 0 to 1.
    arms
        From the top down.

    Returns
    -------
    str
        Data URI of the drawing.
    """
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, 0.9 + 0.62 * len(arms)))
        axes = figure.subplots()
        most = 0.0
        for place, arm in enumerate(arms):
            own = rows_of_arm(table, arm)
            for shift, (column, colour) in zip((-0.2, 0.2), _SHARES.items(), strict=True):
                most = max(most, _draw_share(axes, own, column, place + shift, colour))
        axes.set_xlim(0, 1.6 * most)
        axes.set_yticks(range(len(arms)), list(arms))
        axes.set_ylim(len(arms) - 0.45, -0.55)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.set_xlabel("share of the variance")
        only_vertical_grid(axes)
        keys = [
            Line2D([], [], color=colour, linewidth=7, label=label)
            for colour, label in ((BLUE, "site"), (ORANGE, "group"))
        ]
        keys.append(Line2D([], [], color=INK, marker="|", markersize=11, linewidth=0,
                           markeredgewidth=2, label="by chance"))  # fmt: skip
        _place(figure, keys, left=0.18)
        return svg_uri(figure)


def draw_forest(rows: pd.DataFrame) -> str:
    """The effect of one feature at every site, and the mean over sites.

    Parameters
    ----------
    rows
        Rows of group_meta.tsv of one arm and feature: site, d, low, high, n_cases, n_controls.

    Returns
    -------
    str
        Data URI of the drawing: larger marks are larger sites, the diamond is the mean.
    """
    sites = rows[rows["site"] != ALL_SITES].sort_values("site")
    mean = rows[rows["site"] == ALL_SITES]
    people = sites["n_cases"] + sites["n_controls"]
    sizes = 3.5 + 4 * np.sqrt(people / max(people.max(), 1))
    with page_style():
        figure = Figure(figsize=(_PHONE_INCHES, 0.6 + 0.2 * (len(sites) + 1.5)))
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1)
        for place, (_, row) in enumerate(sites.iterrows()):
            _interval(axes, row, place, BLUE, 1.8)
            axes.plot(row["d"], place, "s", color=BLUE, markersize=sizes.iloc[place])
        labels = [_site_label(row) for _, row in sites.iterrows()]
        for _, row in mean.iterrows():
            _draw_diamond(axes, row, len(sites) + 0.5)
            labels.append("mean over sites")
        places = [*range(len(sites)), *[len(sites) + 0.5] * len(mean)]
        axes.set_yticks(places, labels, size=_LABEL_SIZE)
        axes.set_ylim(len(sites) + 0.5 * len(mean) + 0.3, -0.7)
        axes.set_xlabel(_D_WORDS)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        only_vertical_grid(axes)
        _place(figure, left=0.32)
        return svg_uri(figure)


_FINE = 0.01  # smaller shares are given with two decimals of a per cent
_SHARES = {"r2_site": BLUE, "r2_group": ORANGE}


def _draw_effects(
    axes: Axes, own: pd.DataFrame, places: np.ndarray, mark: tuple[str, str]
) -> None:
    colour, marker = mark
    for place, (_, row) in zip(places, own.iterrows(), strict=True):
        _interval(axes, row, place, colour, 1.4)
        face = colour if "q" not in own or row["q"] < CALLED else "white"
        axes.plot(
            row["d"], place, marker, color=colour, markersize=4.6, markerfacecolor=face,
            markeredgewidth=1.1,
        )  # fmt: skip


def _interval(axes: Axes, row: pd.Series, place: float, colour: str, width: float) -> None:
    if is_number(row["low"]) and is_number(row["high"]):
        ends = [row["low"], row["high"]]
        axes.plot(ends, [place, place], color=colour, linewidth=width, alpha=0.55)


def _draw_share(axes: Axes, own: pd.DataFrame, column: str, place: float, colour: str) -> float:
    """One bar; returns how far to the right it reaches."""
    low, median, high = (float(own[column].quantile(share)) for share in (0.25, 0.5, 0.75))
    if not is_number(median):
        return 0.0
    axes.barh(place, median, height=0.34, color=colour)
    axes.plot([low, high], [place, place], color=INK, linewidth=1.2)
    chance = own[f"{column}_chance"].median()
    reach = max(median, high, chance if is_number(chance) else 0.0)
    words = percent(median, 2 if median < _FINE else 1)
    if is_number(chance):
        axes.plot([chance] * 2, [place - 0.19, place + 0.19], color=INK, linewidth=2)
        words += f" (by chance {percent(chance, 2 if chance < _FINE else 1)})"
    axes.annotate(
        words, (reach, place), xytext=(5, 0),
        textcoords="offset points", va="center", fontsize=8.5,
    )  # fmt: skip
    return reach


def _draw_diamond(axes: Axes, row: pd.Series, place: float) -> None:
    """The mean, as wide as its interval; a mark alone where it has none."""
    if not (is_number(row["low"]) and is_number(row["high"])):
        axes.plot(row["d"], place, "D", color=ORANGE, markersize=7)
        return
    corners = [row["low"], row["d"], row["high"], row["d"]]
    axes.fill(corners, [place, place - 0.32, place, place + 0.32], color=ORANGE, linewidth=0)


def _site_label(row: pd.Series) -> str:
    counts = f" ({row['n_cases']:.0f}, {row['n_controls']:.0f})"
    site, most = str(row["site"]), 24
    return (site if len(site) <= most else f"{site[: most - 1]}\N{HORIZONTAL ELLIPSIS}") + counts


def _key(mark: tuple[str, str], label: str) -> Line2D:
    colour, marker = mark
    return Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=1.4, label=label)


def _place(figure: Figure, keys: Sequence[Line2D] = (), *, left: float = _LEFT) -> None:
    """Room for the labels inside the width, and rows of keys on top of figures of any height."""
    height, n_lines = figure.get_figheight(), math.ceil(len(keys) / _KEYS_A_LINE)
    top = 1 - (0.1 + 0.22 * n_lines) / height
    figure.subplots_adjust(left=left, right=0.98, top=top, bottom=0.5 / height)
    if keys:
        figure.legend(
            handles=list(keys), loc="upper left", ncols=min(len(keys), _KEYS_A_LINE), fontsize=8.5,
            handlelength=1.4, columnspacing=1.1, borderaxespad=0,
        )  # fmt: skip
