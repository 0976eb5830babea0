"""Small drawings of where one value lies among others, as SVG without a drawing library.

Choice: the text of the SVG is written here. Reason: a page holds some thirty of these, and
matplotlib takes 50 ms for each. Rejected: a box plot (it hides how many scans there are). Revisit
when a strip needs more than dots on a line.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bids_harmonize.report.figures import data_uri

WIDTH, HEIGHT = 220.0, 30.0
MARGIN = 8.0
OWN_ROW, OTHER_ROW = 9.0, 21.0
OTHER_COLOUR, SITE_COLOUR, OWN_COLOUR, BAD_COLOUR = "#b3bcc5", "#14507a", "#d55e00", "#9c1c1c"
_STEP = 0.5


def draw_strip(
    own: float,
    same_site: Sequence[float] | NDArray[np.float64],
    others: Sequence[float] | NDArray[np.float64],
    *,
    apart: bool = False,
) -> str:
    """A data URI of one value among those of its site (upper row) and the others (lower row).

    Parameters
    ----------
    own
        The value that is marked; finite.
    same_site, others
        The values of the other scans of the same site, and those of other sites; finite.
    apart
        Whether the value stands apart, which changes its colour and form.

    Returns
    -------
    str
        ``data:image/svg+xml;...``; equal input gives an equal text. As many dots as the width
        can tell apart, so that a thousand scans take no more room than a hundred.
    """
    everything = np.concatenate([[own], np.asarray(same_site, float), np.asarray(others, float)])
    low, high = float(everything.min()), float(everything.max())
    span = high - low if high > low else 1.0

    def place(value: float) -> float:
        x = MARGIN + (value - low) / span * (WIDTH - 2 * MARGIN)
        return round(x / _STEP) * _STEP

    rows = (
        (others, OTHER_ROW, OTHER_COLOUR, 5.0),
        (same_site, OWN_ROW, SITE_COLOUR, 5.0),
    )
    parts = [_line(OWN_ROW), _line(OTHER_ROW) if len(others) else ""]
    for values, height, colour, size in rows:
        dots = sorted({place(float(value)) for value in values})
        if dots:
            path = "".join(f"M{x:g} {height:g}h0" for x in dots)
            parts.append(
                f'<path d="{path}" stroke="{colour}" stroke-width="{size:g}"'
                ' stroke-linecap="round" stroke-opacity=".65"/>'
            )
    parts.append(_mark(place(own), apart=apart))
    return data_uri(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {HEIGHT:g}"'
            f' width="{WIDTH:g}" height="{HEIGHT:g}" fill="none">{"".join(parts)}</svg>'
        ).encode(),
        mime="image/svg+xml",
    )


def _line(height: float) -> str:
    return f'<path d="M{MARGIN:g} {height:g}H{WIDTH - MARGIN:g}" stroke="#e3e8ec"/>'


def _mark(x: float, *, apart: bool) -> str:
    if apart:
        shape = f"M{x:g} 1l7 8l-7 8l-7 -8z"
        return f'<path d="{shape}" fill="{BAD_COLOUR}" stroke="#fff" stroke-width="1.5"/>'
    return (
        f'<circle cx="{x:g}" cy="{OWN_ROW:g}" r="5.5" fill="{OWN_COLOUR}"'
        ' stroke="#fff" stroke-width="1.5"/>'
    )
