"""The look of the group page's figures, and their way into the page as data URIs.

Colours are Okabe and Ito's, which people with colour vision deficiency tell apart
(https://jfly.uni-koeln.de/color/); marks differ in shape too. Figures are embedded as ``img``
elements: inline SVG would let the clip paths of one figure reach into the next.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bids_harmonize.report.figures import data_uri

INK = "#1f2933"
FAINT = "#8a94a0"
GRID = "#e3e7eb"
BLUE = "#0072b2"
ORANGE = "#d55e00"
GREEN = "#009e73"
SKY = "#56b4e9"
PURPLE = "#cc79a7"
YELLOW = "#e69f00"
RED = "#9c1c1c"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, YELLOW, INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "bids-harmonize",
    "legend.frameon": False,
}


@contextmanager
def page_style() -> Iterator[None]:
    """The style of all figures of the page, for the time of the block."""
    with mpl.rc_context(_STYLE):
        yield


def svg_uri(figure: Figure) -> str:
    """The figure as an SVG data URI.

    Parameters
    ----------
    figure
        Drawn inside :func:`page_style`.

    Returns
    -------
    str
        The same text for the same figure: no time, no random identifiers.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", bbox_inches="tight", metadata={"Date": None})
    return data_uri(stream.getvalue(), mime="image/svg+xml")


def bare_axes(axes: Axes) -> None:
    """Take ticks, frame and grid off an axes that shows a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def only_vertical_grid(axes: Axes) -> None:
    """Keep the grid lines that help to read values off the horizontal axis."""
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
