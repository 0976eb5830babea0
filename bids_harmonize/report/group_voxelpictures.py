"""Pictures of the voxel-wise comparison: slices, and looks through the whole brain."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bids_harmonize.atlases.templates import load_template
from bids_harmonize.imaging.geometry import Grid
from bids_harmonize.imaging.resampling import resample
from bids_harmonize.imaging.template import TemplateImages
from bids_harmonize.report.group_drawing import bare_axes, page_style
from bids_harmonize.report.group_pictures import png_uri
from bids_harmonize.report.mosaic import PLANES, choose_slices, tile_slices

OUTLINE = "#111111"
_FINE_MM = 2.0
_N_SLICES = 7
_LEAST_TOP = 0.2
_AXIS_OF = {"sagittal": 0, "coronal": 1, "axial": 2}
_COLOURS = "RdBu_r"


@dataclass(frozen=True, eq=False)
class ArmMap:
    """Two maps of an arm on one grid: d, and where it survives (1) or not (0)."""

    d: np.ndarray
    called: np.ndarray
    affine: np.ndarray


def common_top(maps: Mapping[str, ArmMap]) -> float:
    """Where the colours of all arms end: the largest d of any, rounded up to a tenth."""
    largest = max(float(np.abs(one.d).max()) for one in maps.values())
    return max(_LEAST_TOP, float(np.ceil(largest * 10)) / 10)


def draw_slices(found: ArmMap, top: float) -> str:
    """Slices of d in colour over the template, with the outline of what survives.

    Parameters
    ----------
    found
        The maps of an arm.
    top
        d at which the colours end.

    Returns
    -------
    str
        PNG as a data URI; left of the picture is left of the person.
    """
    template = load_template(_FINE_MM)
    d, called = (_fine(one, found.affine, template) for one in (found.d, found.called))
    shape, sizes = template.t1.shape, (_FINE_MM,) * 3
    cuts = [choose_slices(d != 0, shape, plane, _N_SLICES) for plane in PLANES]
    base, tiles, border = (tile_slices(one, cuts, sizes) for one in (template.t1, d, called))
    rows, wide = base.shape
    with page_style():
        figure = Figure(figsize=(10.5, 10.5 * rows / wide), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(base, cmap="gray", vmin=0, vmax=max(float(base.max()) * 1.1, 1e-6))
        alpha = np.clip(np.abs(tiles) / top * 1.5, 0, 0.85)
        drawn = axes.imshow(tiles, cmap=_COLOURS, vmin=-top, vmax=top, alpha=alpha)
        _outline(axes, border)
        bare_axes(axes)
        place = axes.inset_axes((1.012, 0.2, 0.012, 0.6))
        bar = figure.colorbar(drawn, cax=place, ticks=[-top, 0, top])
        if bar.solids is not None:
            bar.solids.set_alpha(1)
        place.set_yticklabels([f"{tick:+.2g}" for tick in (-top, 0, top)], fontsize=8)
        return png_uri(figure)


def draw_through(maps: Mapping[str, ArmMap], top: float) -> str:
    """The largest d along every line of sight, one row an arm, three directions.

    Parameters
    ----------
    maps
        Arm to its maps.
    top
        d at which the colours end.

    Returns
    -------
    str
        PNG as a data URI.
    """
    template = load_template(_FINE_MM)
    with page_style():
        figure = Figure(figsize=(8.4, 2.55 * len(maps) + 0.3), facecolor="white")
        grid = figure.subplots(len(maps), 3, squeeze=False)
        for row, (arm, found) in zip(grid, maps.items(), strict=True):
            d, called = (_fine(one, found.affine, template) for one in (found.d, found.called))
            for axes, plane in zip(row, PLANES, strict=True):
                axis = _AXIS_OF[plane]
                drawn = axes.imshow(
                    _picture(_extreme(d, axis)), cmap=_COLOURS, vmin=-top, vmax=top
                )
                axes.contour(
                    _picture(template.brain_mask.max(axis=axis).astype(float)), levels=[0.5],
                    colors=["#8a94a0"], linewidths=0.8,
                )  # fmt: skip
                _outline(axes, _picture(called.max(axis=axis)))
                axes.set_aspect("equal")
                bare_axes(axes)
            row[0].set_title(arm)
        figure.subplots_adjust(left=0, right=0.93, bottom=0.01, top=0.94, wspace=0.02)
        place = figure.add_axes((0.945, 0.25, 0.014, 0.5))
        figure.colorbar(drawn, cax=place, ticks=[-top, 0, top])
        place.set_yticklabels([f"{tick:+.2g}" for tick in (-top, 0, top)], fontsize=8)
        return png_uri(figure)


def _fine(volume: np.ndarray, affine: np.ndarray, template: TemplateImages) -> np.ndarray:
    i, j, k = template.t1.shape
    grid = Grid(shape=(i, j, k), affine=template.affine)
    return np.asarray(resample(volume.astype(np.float32), affine, grid, interpolation="linear"))


def _extreme(volume: np.ndarray, axis: int) -> np.ndarray:
    """The value of the largest size along an axis, with its sign."""
    place = np.expand_dims(np.abs(volume).argmax(axis=axis), axis)
    return np.take_along_axis(volume, place, axis=axis).squeeze(axis)


def _picture(projection: np.ndarray) -> np.ndarray:
    return projection.T[::-1]


def _outline(axes: Axes, share: np.ndarray) -> None:
    if share.max() > 0.5:
        axes.contour(share, levels=[0.5], colors=[OUTLINE], linewidths=1.1)
