"""Where in the brain the differences lie, an arm a row: dots in an outline (a glass brain).

Choice: a dot at the known place of each parcel, on the outline of the template. Reason: 300 places
are seen at once, and nothing is drawn where nothing was measured. Rejected: nilearn's glass brain
(its import alone takes longer than the whole page), and parcels filled with colour (their borders
are halfway between places, and would pass for anatomy). Revisit when other features have places.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Drawing

from bids_harmonize.atlases.parcels import parcel_places
from bids_harmonize.atlases.templates import load_template_image
from bids_harmonize.report.figures import data_uri, figure_png
from bids_harmonize.report.group_blocks import Block, Figure
from bids_harmonize.report.group_disorderarms import CALLED, arms_of
from bids_harmonize.report.group_drawing import FAINT, GRID, INK, bare_axes, page_style
from bids_harmonize.tables.own import PARCEL_PREFIX

_MEASURES: Final = {"_density": "density of grey matter", "_volume_ml": "volume of grey matter"}
"""Ending of a parcel's column to its words, the first choice first."""
_FEWEST = 10
_MIDLINE_MM = 1.0
_PHONE_INCHES = 4.8  # readable on a phone without scrolling
_DPI = 150
_DOT = 13.0
_COLOURS = "RdBu_r"


@dataclass(frozen=True)
class View:
    """A way to look at the head: the axis along which it is flattened, and what is drawn.

    Attributes
    ----------
    name
        Above the picture.
    across, up
        Axis (0 to 2 for left to right, back to front, low to high) of each direction.
    mirrored
        Whether the picture's left is the axis' high end.
    side
        -1 draws the left half alone, 1 the right half, 0 both.
    """

    name: str
    across: int
    up: int
    mirrored: bool = False
    side: int = 0


VIEWS: Final = (
    View("left", 1, 2, mirrored=True, side=-1),
    View("back", 0, 2),
    View("top", 0, 1),
    View("right", 1, 2, side=1),
)


def place_blocks(table: pd.DataFrame) -> list[Block]:
    """The differences at their places, every arm on one scale; nothing for other features.

    Parameters
    ----------
    table
        group_casecontrol.tsv.

    Returns
    -------
    list of Block
        One figure where features are parcels whose places are known.
    """
    placed, words = placed_effects(table)
    if placed.empty:
        return []
    largest = float(placed["d"].abs().max())
    return [
        Figure(
            title="Where in the brain the differences lie",
            source=_draw(placed, largest),
            alt="Dots at the places of the parcels in the outline of a brain, a row an arm, "
            "coloured by the difference between cases and controls.",
            reading=f"{words[:1].upper()}{words[1:]} at the places of "
            f"{placed['feature'].nunique()} parcels; all rows have one scale (d, to "
            f"{largest:.2f}). Red: cases have more; blue: less. Ringed: q < {CALLED:g} in that "
            "arm. Left and right show one half of the brain each; from back and top, left of the "
            "picture is left of the person, and the largest differences lie over the others. A "
            "parcel is what lies nearest to its place, not a gyrus.",
        )
    ]


def placed_effects(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Rows of the table whose features have a known place.

    Parameters
    ----------
    table
        group_casecontrol.tsv.

    Returns
    -------
    rows : DataFrame
        arm, feature, d, q, x, y, z (MNI, mm); empty where fewer than 10 features are parcels of
        ours, or one is of another atlas.
    words : str
        What was measured there.
    """
    names = table["feature"].astype(str)
    for ending, words in _MEASURES.items():
        is_parcel = names.str.startswith(PARCEL_PREFIX) & names.str.endswith(ending)
        own = table[is_parcel & table["d"].notna()]
        if own["feature"].nunique() < _FEWEST:
            continue
        places = parcel_places()
        short = own["feature"].str.removeprefix(PARCEL_PREFIX).str.removesuffix(ending)
        if not short.isin(places.index).all():
            continue  # parcels of the user's own atlas, whose places the tables do not tell
        at = places.loc[list(short)].set_index(own.index)
        return pd.concat([own[["arm", "feature", "d", "q"]], at], axis=1), words
    return pd.DataFrame(columns=["arm", "feature", "d", "q", "x", "y", "z"]), ""


def seen(view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points stand in a view, and which of them it shows.

    Parameters
    ----------
    view
        One of :data:`VIEWS`.
    points
        Shape (n, 3), MNI, mm.

    Returns
    -------
    places : ndarray
        Shape (n, 2): to the right and up, mm.
    shown : ndarray
        Bool, shape (n,).
    """
    across = points[:, view.across] * (-1 if view.mirrored else 1)
    shown = points[:, 0] * view.side >= -_MIDLINE_MM
    return np.column_stack([across, points[:, view.up]]), shown


def _draw(placed: pd.DataFrame, largest: float) -> str:
    t1, affine = load_template_image("t1")
    brain = t1 > 0
    arms = arms_of(placed)
    widths = [brain.shape[view.across] for view in VIEWS]
    row_inches = _PHONE_INCHES * 233 / sum(widths) + 0.28
    with page_style():
        height = row_inches * len(arms) + 0.5
        figure = Drawing(figsize=(_PHONE_INCHES, height), dpi=_DPI, facecolor="white")
        grid = figure.subplots(len(arms), len(VIEWS), squeeze=False, width_ratios=widths)
        for row, arm in zip(grid, arms, strict=True):
            own = placed[placed["arm"] == arm].sort_values("d", key=np.abs)
            for axes, view in zip(row, VIEWS, strict=True):
                _outline(axes, view, brain, affine)
                _dots(axes, view, own, largest)
                axes.set_xlabel(view.name, fontsize=7.5, labelpad=1)
            row[0].set_title(arm, fontsize=9.5, loc="left", pad=8)
        figure.subplots_adjust(
            left=0.01, right=0.99, top=1 - 0.2 / height, bottom=0.55 / height,
            hspace=0.2, wspace=0.03,
        )  # fmt: skip
        colours = ScalarMappable(Normalize(-largest, largest), _COLOURS)
        bar = figure.add_axes((0.25, 0.36 / height, 0.5, 0.09 / height))
        figure.colorbar(colours, cax=bar, orientation="horizontal")
        bar.set_xlabel("difference, cases minus controls (d)", fontsize=8, labelpad=1)
        bar.tick_params(labelsize=7.5)
        bar.grid(False)
        return data_uri(figure_png(figure))


def _outline(axes: Axes, view: View, brain: np.ndarray, affine: np.ndarray) -> None:
    (flattened,) = {0, 1, 2} - {view.across, view.up}
    shape = brain.any(axis=flattened)  # axes keep their order, so across comes before up
    across, up = (
        affine[axis, axis] * np.arange(brain.shape[axis]) + affine[axis, 3]
        for axis in (view.across, view.up)
    )
    across = -across if view.mirrored else across
    axes.contourf(across, up, shape.T, levels=[0.5, 1.5], colors=[GRID], alpha=0.5)
    axes.contour(across, up, shape.T, levels=[0.5], colors=[FAINT], linewidths=0.8)
    axes.set_aspect("equal")
    bare_axes(axes)


def _dots(axes: Axes, view: View, own: pd.DataFrame, largest: float) -> None:
    """The dots of one arm, the largest differences last."""
    places, shown = seen(view, own[["x", "y", "z"]].to_numpy(dtype=np.float64))
    across, up = places[shown].T
    called = (own["q"] < CALLED).to_numpy()[shown]
    axes.scatter(
        across,
        up,
        c=own["d"].to_numpy()[shown],
        s=_DOT,
        cmap=_COLOURS,
        vmin=-largest,
        vmax=largest,
        edgecolors=[INK if one else "none" for one in called],
        linewidths=0.7,
        zorder=3,
    )
