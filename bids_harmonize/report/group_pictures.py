"""Pictures made of voxels: the same person before, after and at the target site; saliency."""

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from bids_harmonize.imaging.morphology import erode_mm
from bids_harmonize.report.figures import data_uri
from bids_harmonize.report.group_drawing import bare_axes, page_style
from bids_harmonize.report.mosaic import PLANES, choose_slices, tile_slices

_DPI = 110
_WINDOW = (0.0, 1.1)
_CHANGE = 0.35
_N_SLICES = 7
_SHELL_MM = 20.0  # scalp and skull
_LEAST_RANGE = 1e-6
_AXIS_OF = {"sagittal": 0, "coronal": 1, "axial": 2}


def draw_columns(
    columns: Sequence[tuple[str, np.ndarray, bool]],
    *,
    centre: Sequence[int],
    voxel_size_mm: float,
) -> str:
    """Images side by side: one column an image, one row a plane, all through one point.

    Parameters
    ----------
    columns
        Title, volume of shape (I, J, K) in rescaled units, and whether it is a difference.
    centre
        Voxel through which the three planes go, on the grid that all columns share.
    voxel_size_mm
        Edge of a voxel, mm.

    Returns
    -------
    str
        PNG as a data URI; left of the picture is left of the person.
    """
    tiles = [_three_planes(volume, centre, voxel_size_mm) for _, volume, _ in columns]
    height, width = tiles[0].shape
    inches = 1.75
    with page_style():
        figure = Figure(
            figsize=(inches * len(columns), inches * height / width + 0.55), facecolor="white"
        )
        grid = figure.subplots(1, len(columns), squeeze=False)[0]
        for axes, (title, _, difference), tile in zip(grid, columns, tiles, strict=True):
            low, high = (-_CHANGE, _CHANGE) if difference else _WINDOW
            drawn = axes.imshow(tile, cmap="RdBu_r" if difference else "gray", vmin=low, vmax=high)
            axes.set_title(title, fontsize=9, loc="center")
            bare_axes(axes)
            if difference:
                last, bar = axes, drawn
        figure.subplots_adjust(left=0, right=1, bottom=0.02, top=0.93, wspace=0.03)
        if any(difference for *_, difference in columns):
            place = last.inset_axes((0.0, -0.035, 1.0, 0.014))
            figure.colorbar(bar, cax=place, orientation="horizontal", ticks=[-_CHANGE, 0, _CHANGE])
            place.tick_params(labelsize=7.5)
        return png_uri(figure)


def draw_saliency(saliency: np.ndarray, template: np.ndarray, affine: np.ndarray) -> str:
    """Saliency in colour over the template, seven slices a plane.

    Parameters
    ----------
    saliency
        Shape (I, J, K); only what is positive is shown.
    template
        Template image on the same grid, shape (I, J, K).
    affine
        4x4 voxel-to-world matrix, mm.

    Returns
    -------
    str
        PNG as a data URI.
    """
    sizes = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    focus = (template > 0) | (saliency > 0)
    cuts = [choose_slices(focus, saliency.shape, plane, _N_SLICES) for plane in PLANES]
    base = tile_slices(template, cuts, sizes)
    heat = tile_slices(np.clip(saliency, 0, None), cuts, sizes)
    top = float(np.percentile(heat[heat > 0], 99.5)) if (heat > 0).any() else 1.0
    rows, wide = base.shape
    with page_style():
        figure = Figure(figsize=(10.5, 10.5 * rows / wide), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(base, cmap="gray", vmin=0, vmax=max(float(base.max()), 1e-6))
        alpha = np.clip(heat / top, 0, 1) ** 0.7 * 0.85
        drawn = axes.imshow(heat, cmap="inferno", vmin=0, vmax=top, alpha=alpha)
        bare_axes(axes)
        place = axes.inset_axes((1.012, 0.2, 0.012, 0.6))
        bar = figure.colorbar(drawn, cax=place, ticks=[0, top])
        if bar.solids is not None:
            bar.solids.set_alpha(1)
        place.set_yticklabels(["0", "most"], fontsize=8)
        return png_uri(figure)


def draw_change(change: np.ndarray, image: np.ndarray, affine: np.ndarray) -> str:
    """What was added (red) and taken away (blue) over an image, seven slices a plane.

    Parameters
    ----------
    change
        Shape (I, J, K), rescaled units.
    image
        On the same grid, rescaled units.
    affine
        4x4 voxel-to-world matrix, mm.

    Returns
    -------
    str
        PNG as a data URI; the colours end as :func:`colour_range` says.
    """
    sizes = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    cuts = [choose_slices(image > 0, image.shape, plane, _N_SLICES) for plane in PLANES]
    base, tiles = (tile_slices(volume, cuts, sizes) for volume in (image, change))
    top = colour_range(change, image, sizes[0])
    rows, wide = base.shape
    with page_style():
        figure = Figure(figsize=(10.5, 10.5 * rows / wide), facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(base, cmap="gray", vmin=0, vmax=_WINDOW[1])
        alpha = np.clip(np.abs(tiles) / top, 0, 1) * 0.85
        drawn = axes.imshow(tiles, cmap="RdBu_r", vmin=-top, vmax=top, alpha=alpha)
        bare_axes(axes)
        place = axes.inset_axes((1.012, 0.2, 0.012, 0.6))
        bar = figure.colorbar(drawn, cax=place, ticks=[-top, 0, top])
        if bar.solids is not None:
            bar.solids.set_alpha(1)
        place.set_yticklabels([f"{tick:+.2g}" for tick in (-top, 0, top)], fontsize=8)
        return png_uri(figure)


def colour_range(change: np.ndarray, image: np.ndarray, size_mm: float) -> float:
    """Where the colours of a map of change end: by what changes inside the head.

    The scalp borders on air and is bright, so its edge would hide whatever changes in the brain.

    Parameters
    ----------
    change, image
        Shape (I, J, K); the image is 0 outside the head.
    size_mm
        Voxel size, mm.

    Returns
    -------
    float
        99th percentile of the change's size, deeper than 20 mm; of all of it where that is none.
    """
    head = ndimage.binary_fill_holes(image != 0)
    deep = np.abs(change[erode_mm(head, size_mm, radius_mm=_SHELL_MM)])
    inside = deep if deep.any() else np.abs(change[change != 0])
    return max(float(np.percentile(inside, 99)), _LEAST_RANGE) if inside.size else 1.0


def mask_centre(mask: np.ndarray) -> tuple[int, int, int]:
    """The voxel at the mask's centre of mass; the middle of the volume for an empty mask."""
    if not mask.any():
        i, j, k = (n // 2 for n in mask.shape)
        return i, j, k
    i, j, k = (round(float(found.mean())) for found in np.nonzero(mask))
    return i, j, k


def _three_planes(volume: np.ndarray, centre: Sequence[int], voxel_size_mm: float) -> np.ndarray:
    cuts = [np.array([centre[_AXIS_OF[plane]]]) for plane in PLANES]
    return tile_slices(volume, cuts, (voxel_size_mm,) * 3)


def png_uri(figure: Figure) -> str:
    """The figure as a PNG data URI, cut to what is drawn; equal input gives equal bytes."""
    stream = io.BytesIO()
    figure.savefig(
        stream, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.04,
        metadata={"Software": None},
    )  # fmt: skip
    return data_uri(stream.getvalue())
