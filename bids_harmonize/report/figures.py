"""Pictures for the pages: histograms, empty figures, PNG bytes, inlining.

Slices with mask outlines: :mod:`bids_harmonize.report.mosaic`. Colours are the same on every page:
head outline orange, brain outline cyan (told apart by every common form of colour blindness).
"""

import base64
import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

HEAD_COLOUR = "#ffb000"
BRAIN_COLOUR = "#2fd0e0"
GREY_COLOUR = "#ffe14d"
WHITE_COLOUR = "#ff4d6d"


def draw_histogram(
    values: Mapping[str, np.ndarray],
    *,
    colours: Sequence[str] = ("#14507a", BRAIN_COLOUR),
    label: str = "intensity",
    n_bins: int = 96,
) -> bytes:
    """A PNG with one outline histogram a set of values.

    Parameters
    ----------
    values
        Name of a set to its values, any unit but the same for all.
    colours
        One a set.
    label
        Name and unit below the axis.
    n_bins
        Bins from 0 (or the least value) to the 99.9th percentile of all values.

    Returns
    -------
    bytes
        PNG.
    """
    everything = np.concatenate(
        [np.asarray(item, dtype=float).ravel() for item in values.values()]
    )
    low = min(0.0, float(everything.min())) if everything.size else 0.0
    high = float(np.percentile(everything, 99.9)) if everything.size else 1.0
    figure = new_figure(5.6, 3.0)
    axes = figure.add_subplot()
    bins = np.linspace(low, max(high, low + 1e-6), n_bins + 1)
    for (name, item), colour in zip(values.items(), colours, strict=False):
        counts, _ = np.histogram(item, bins=bins)
        axes.stairs(counts / max(counts.sum(), 1), bins, label=name, color=colour, linewidth=1.6)
    axes.set_xlabel(label)
    axes.set_ylabel("share of voxels")
    axes.set_xlim(bins[0], bins[-1])
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure_png(figure)


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """An empty figure that belongs to no global state (safe in threads, needs no display).

    Parameters
    ----------
    width_inches, height_inches
        Size, inches.

    Returns
    -------
    matplotlib.figure.Figure
        With an Agg canvas.
    """
    figure = Figure(figsize=(width_inches, height_inches), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure) -> bytes:
    """The figure as PNG, without name of program or time, so that equal input gives equal bytes.

    Parameters
    ----------
    figure
        Any matplotlib figure.

    Returns
    -------
    bytes
        PNG.
    """
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def data_uri(content: bytes, *, mime: str = "image/png") -> str:
    """A text for ``<img src>`` that holds the picture itself.

    Parameters
    ----------
    content
        The file's bytes.
    mime
        Its media type.

    Returns
    -------
    str
        ``data:...;base64,...``.

    Examples
    --------
    >>> data_uri(b"abc")
    'data:image/png;base64,YWJj'
    """
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
