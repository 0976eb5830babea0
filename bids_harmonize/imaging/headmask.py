"""Head mask: everything that is not air, found by intensity and shape alone, and its confidence.

Choice: no template. Reason: it takes few seconds, and held on all real heads tried. How the
outline is found: :mod:`~bids_harmonize.imaging.head_outline`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from bids_harmonize.imaging.confidence import (
    BRAIN_LITRES,
    DOUBTFUL_UNDER,
    Score,
    edge_share,
    falling_score,
    range_score,
    summarise_scores,
)
from bids_harmonize.imaging.field_of_view import acquired_box, contact_cm2
from bids_harmonize.imaging.grid import vertex_height_mm
from bids_harmonize.imaging.head_outline import WORK_MM, Outline, outline_head
from bids_harmonize.imaging.morphology import largest_component
from bids_harmonize.imaging.types import Affine, Mask, Volume

STRIPPED_LITRES: Final = (0.4, 2.2)  # a brain without skull; a head with skull holds over 2.5 L
MIN_CONSTANT_SHARE: Final = 0.5  # of the volume is one and the same value: air was set to it
MAX_CUT_SHARE: Final = 0.1  # of a stripped brain's surface at the volume's ends
HEAD_LITRES: Final = ((1.5, 2.5), (6.5, 8.0))  # lower limit, usual values, upper limit
TOUCH: Final = (1.0, 2.0)  # times the area of a mere touch: usual, limit
SIDE_CM2: Final = (60.0, 150.0)  # ears, cheeks and nose are often cut; half a head shows 350
EDGE_SHARE: Final = (0.8, 0.6)
EDGE_DROP: Final = 0.5
DROPPED_SHARE: Final = (0.08, 0.2)
SIDES: Final = ("left", "right", "back", "front")


@dataclass(frozen=True, eq=False)
class HeadResult:
    """Where the head is.

    Parameters
    ----------
    mask
        Boolean array on the volume's own grid.
    vertex_mm
        World z of the vertex, mm.
    skull_stripped
        The image shows a brain without skull and scalp; head and brain mask are then the same.
    flags
        What looks odd, in words; empty where all is well.
    confidence
        0 to 1, see :func:`find_head`.
    doubtful
        The confidence is under .5; ``flags`` say why.
    """

    mask: Mask
    vertex_mm: float
    skull_stripped: bool
    flags: tuple[str, ...]
    confidence: float
    doubtful: bool


def find_head(volume: Volume, affine: Affine) -> HeadResult:
    """Head mask of a T1w volume.

    The confidence is the least of these scores (1 at the usual value, .5 at the limit, 0 as far
    again beyond):

    * volume: usual 2.5 to 6.5 L, limits 1.5 and 8; of a stripped brain 1.05 to 1.85, .85 and 2.1;
    * area at the top end of the acquired field of view: a mere touch, limit twice that;
    * area at each other end but the bottom: usual 60 cm2, limit 150 cm2;
    * share of the border at which the image falls to half outwards: usual .8, limit .6;
    * other parts as bright, left out, over the head: usual .08, limit .2.

    A stripped brain is judged by its volume alone.

    Parameters
    ----------
    volume
        Array of shape (I, J, K), native intensities, any orientation.
    affine
        4x4 voxel-to-world matrix, mm, RAS+.

    Returns
    -------
    HeadResult
        Mask on the volume's grid, vertex, and what looks odd.

    Raises
    ------
    ScanError
        If the image is constant or no head is found.
    """
    stripped = _stripped_brain(volume, affine)
    if stripped is not None:
        mask = stripped
        scores = [_volume_score(mask, affine, BRAIN_LITRES, "stripped brain")]
        said: tuple[str, ...] = ("skull-stripped input",)
    else:
        outline = outline_head(volume, affine)
        mask = outline.mask
        scores = _scores(volume, affine, outline)
        said = ()
    confidence, reasons = summarise_scores(scores)
    return HeadResult(
        mask=mask,
        vertex_mm=vertex_height_mm(mask, affine),
        skull_stripped=stripped is not None,
        flags=said + reasons,
        confidence=confidence,
        doubtful=confidence < DOUBTFUL_UNDER,
    )


def _scores(volume: Volume, affine: Affine, outline: Outline) -> list[Score]:
    scores = [_volume_score(outline.mask, affine, HEAD_LITRES, "head")]
    contacts = contact_cm2(outline.mask, affine, acquired_box(volume))
    area, touch = contacts["top"]
    scores.append(
        Score(
            falling_score(area, usual=TOUCH[0] * touch, limit=TOUCH[1] * touch),
            f"the field of view cuts the top of the head ({area:.0f} cm2)",
        )
    )
    side = max(SIDES, key=lambda name: contacts[name][0])
    area = contacts[side][0]
    scores.append(
        Score(
            falling_score(area, usual=SIDE_CM2[0], limit=SIDE_CM2[1]),
            f"the field of view cuts the {side} of the head ({area:.0f} cm2)",
        )
    )
    share = edge_share(
        outline.smooth - outline.air, outline.work_mask, outline.seen,
        drop=EDGE_DROP, voxel_mm=WORK_MM,
    )  # fmt: skip
    scores.append(
        Score(
            falling_score(share, usual=EDGE_SHARE[0], limit=EDGE_SHARE[1]),
            f"only {share:.0%} of the head's outline lies on an edge of the image",
        )
    )
    share = float(outline.dropped.sum()) / max(1.0, float(outline.work_mask.sum()))
    scores.append(
        Score(
            falling_score(share, usual=DROPPED_SHARE[0], limit=DROPPED_SHARE[1]),
            f"something else in the image is as bright as the head ({share:.0%} of its volume)",
        )
    )
    return scores


def _volume_score(
    mask: Mask, affine: Affine, limits: tuple[tuple[float, float], tuple[float, float]], what: str
) -> Score:
    litres = float(mask.sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1e6
    (low, low_usual), (high_usual, high) = limits
    return Score(
        range_score(litres, (low, low_usual), (high_usual, high)),
        f"{what} volume {litres:.1f} L outside {low}-{high} L",
    )


def _stripped_brain(volume: Volume, affine: Affine) -> Mask | None:
    """Mask of the brain where all else was set to one value, or None for a whole head."""
    background = np.median(volume[_shell(volume.shape)])
    inside = volume != background
    if inside.mean() > 1.0 - MIN_CONSTANT_SHARE:
        return None
    mask = ndimage.binary_fill_holes(largest_component(inside))
    litres = float(mask.sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1e6
    if not STRIPPED_LITRES[0] <= litres <= STRIPPED_LITRES[1]:
        return None
    surface = mask & ~ndimage.binary_erosion(mask)
    cut = surface & _shell(volume.shape)
    return None if cut.sum() > MAX_CUT_SHARE * surface.sum() else mask


def _shell(shape: tuple[int, ...]) -> Mask:
    """The outermost layer of voxels."""
    shell = np.ones(shape, np.bool_)
    shell[1:-1, 1:-1, 1:-1] = False
    return shell
