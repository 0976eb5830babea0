"""Three-plane mosaics of a volume with mask outlines.

Choice: one mosaic is one array of tiled slices with one contour per mask, not a grid of axes.
Reason: a scan has 21 tiles and a page several scans; one axes draws ten times faster and leaves no
gaps. Rejected: nilearn's plot_anat, which draws a figure a plane and picks its own cuts. Revisit
when a page needs overlays with a colour scale in every tile.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

PLANES = ("axial", "coronal", "sagittal")
_AXIS_OF = {"sagittal": 0, "coronal": 1, "axial": 2}
_ENDS_OF = {"axial": ("L", "R"), "coronal": ("L", "R"), "sagittal": ("P", "A")}
_TILE_PIXEL_MM = 1.0
_GAP_PIXELS = 4
_N_COLOURS = 128


@dataclass(frozen=True)
class Outline:
    """A mask or a map whose border, where it is a half, is drawn on a mosaic.

    Parameters
    ----------
    mask
        Shape (I, J, K), bool or 0 to 1, on the mosaic's volume.
    colour
        Any colour matplotlib knows.
    """

    mask: np.ndarray
    colour: str


def draw_mosaic(
    volume: np.ndarray,
    *,
    voxel_sizes_mm: Sequence[float],
    outlines: Sequence[Outline] = (),
    focus: np.ndarray | None = None,
    n_slices: int = 7,
    window: tuple[float, float] | None = None,
    cuts: Sequence[np.ndarray] | None = None,
) -> bytes:
    """A PNG of axial, coronal and sagittal slices, one row a plane.

    Parameters
    ----------
    volume
        Shape (I, J, K), RAS+, any unit.
    voxel_sizes_mm
        Three sizes, mm; slices are stretched so that a millimetre is as long in every direction.
    outlines
        Masks whose borders are drawn.
    focus
        Bool mask, shape (I, J, K): slices are spread over its extent; the whole volume otherwise.
    n_slices
        Slices a row.
    window
        Intensities shown black and white; 0 and the 99.5th percentile of non-zero voxels
        otherwise.
    cuts
        Slice indices of each plane of :data:`PLANES`, equally many; chosen by the focus otherwise.

    Returns
    -------
    bytes
        PNG, left of the picture = left of the person. The same input gives the same bytes.

    Examples
    --------
    >>> draw_mosaic(np.ones((8, 8, 8)), voxel_sizes_mm=(4, 4, 4), n_slices=3)[1:4]
    b'PNG'
    """
    if cuts is None:
        cuts = [choose_slices(focus, volume.shape, plane, n_slices) for plane in PLANES]
    sizes = tuple(float(size) for size in voxel_sizes_mm)
    tiles = tile_slices(volume, cuts, sizes)
    low, high = window if window is not None else display_window(volume)
    figure, axes = _black_canvas(tiles.shape)
    axes.imshow(tiles, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest")
    for outline in outlines:
        border = tile_slices(outline.mask, cuts, sizes)
        if border.max() > 0.5:
            axes.contour(border, levels=[0.5], colors=[outline.colour], linewidths=0.9)
    _label_rows(axes, volume.shape, sizes, len(cuts[0]))
    return _palette_png(figure)


def choose_slices(
    focus: np.ndarray | None, shape: Sequence[int], plane: str, n_slices: int
) -> np.ndarray:
    """Indices of evenly spaced slices that avoid the empty ends.

    Parameters
    ----------
    focus
        Bool mask, shape (I, J, K), or ``None`` for the whole volume.
    shape
        Shape of the volume.
    plane
        One of :data:`PLANES`.
    n_slices
        How many.

    Returns
    -------
    np.ndarray
        Shape (n_slices,), int, increasing.

    Examples
    --------
    >>> choose_slices(None, (9, 9, 9), "axial", 3)
    array([2, 4, 6])
    """
    axis = _AXIS_OF[plane]
    first, last = 0, shape[axis] - 1
    if focus is not None and focus.any():
        others = tuple(other for other in range(3) if other != axis)
        (found,) = np.nonzero(focus.any(axis=others))
        first, last = int(found[0]), int(found[-1])
    return np.linspace(first, last, n_slices + 2)[1:-1].round().astype(int)


def tile_slices(
    volume: np.ndarray, cuts: Sequence[np.ndarray], voxel_sizes_mm: Sequence[float]
) -> np.ndarray:
    """One picture of all slices, at 1 mm a pixel.

    Parameters
    ----------
    volume
        Shape (I, J, K), RAS+.
    cuts
        Slice indices of each plane of :data:`PLANES`.
    voxel_sizes_mm
        Three sizes, mm.

    Returns
    -------
    np.ndarray
        Shape (rows, columns), float32; superior and anterior are up, left is left.
    """
    width, heights = _tile_size(volume.shape, voxel_sizes_mm)
    rows = []
    for plane, indices, height in zip(PLANES, cuts, heights, strict=True):
        row = [
            _centred(_slice(volume, plane, index, voxel_sizes_mm), (height, width))
            for index in indices
        ]
        rows.append(np.hstack(row))
    return np.vstack(rows)


def display_window(volume: np.ndarray) -> tuple[float, float]:
    """Intensities to show as black and white: 0 and the 99.5th percentile of what is not 0.

    Parameters
    ----------
    volume
        Any shape and unit; voxels that are not finite do not count.

    Returns
    -------
    tuple of float
        Low and high, in the volume's unit.
    """
    values = volume[np.isfinite(volume) & (volume != 0)]
    if not values.size:
        return 0.0, 1.0
    return min(0.0, float(np.percentile(values, 0.5))), float(np.percentile(values, 99.5))


def _slice(
    volume: np.ndarray, plane: str, index: int, voxel_sizes_mm: Sequence[float]
) -> np.ndarray:
    axis = _AXIS_OF[plane]
    picture = np.take(volume, int(index), axis=axis).astype(np.float32).T[::-1]
    across, up = (size for other, size in enumerate(voxel_sizes_mm) if other != axis)
    zoom = (up / _TILE_PIXEL_MM, across / _TILE_PIXEL_MM)
    stretched: np.ndarray = ndimage.zoom(picture, zoom, order=1, grid_mode=True, mode="nearest")
    return stretched


def _tile_size(
    shape: Sequence[int], voxel_sizes_mm: Sequence[float]
) -> tuple[int, tuple[int, int, int]]:
    right, front, up = (
        round(n * size / _TILE_PIXEL_MM) for n, size in zip(shape, voxel_sizes_mm, strict=True)
    )
    return max(right, front) + _GAP_PIXELS, (front, up, up)


def _centred(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    tile = np.zeros(shape, dtype=np.float32)
    rows, columns = (min(a, b) for a, b in zip(picture.shape, shape, strict=True))
    top, left = (shape[0] - rows) // 2, (shape[1] - columns) // 2
    tile[top : top + rows, left : left + columns] = picture[:rows, :columns]
    return tile


def _black_canvas(shape: tuple[int, ...]) -> tuple[Figure, Axes]:
    rows, columns = shape
    figure = Figure(figsize=(columns / 150, rows / 150), dpi=150, facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return figure, axes


def _label_rows(
    axes: Axes, shape: Sequence[int], voxel_sizes_mm: Sequence[float], n_slices: int
) -> None:
    width, heights = _tile_size(shape, voxel_sizes_mm)
    top = 0
    for plane, height in zip(PLANES, heights, strict=True):
        left, right = _ENDS_OF[plane]
        for column, text, align in (
            (4, f"{left}  {plane}", "left"),
            (width * n_slices - 6, right, "right"),
        ):
            axes.text(column, top + 4, text, color="white", fontsize=8, va="top", ha=align)
        top += height


def _palette_png(figure: Figure) -> bytes:
    """PNG with a palette: a fifth of the size, and a page holds many."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    picture = Image.open(stream).convert("RGB")
    small = picture.quantize(
        _N_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    stream = io.BytesIO()
    small.save(stream, format="png", optimize=True)
    return stream.getvalue()
