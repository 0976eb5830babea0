"""Pictures: what stands where, at what size, and that equal input gives equal bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from bids_harmonize.report.figures import data_uri, draw_histogram
from bids_harmonize.report.mosaic import (
    Outline,
    choose_slices,
    display_window,
    draw_mosaic,
    tile_slices,
)


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_slices_are_spread_over_the_focus_and_avoid_its_ends() -> None:
    focus = np.zeros((20, 30, 40), dtype=bool)
    focus[:, :, 10:31] = True
    assert choose_slices(focus, focus.shape, "axial", 4).tolist() == [14, 18, 22, 26]
    assert choose_slices(focus, focus.shape, "sagittal", 1).tolist() == [10]


def test_left_stays_left_and_up_is_superior() -> None:
    volume = np.zeros((10, 10, 10), dtype=np.float32)
    volume[0, :, 9] = 7.0  # leftmost column of the top slice
    tiles = tile_slices(volume, [np.array([9]), np.array([5]), np.array([0])], (1, 1, 1))
    axial, coronal, sagittal = tiles[:10], tiles[10:20], tiles[20:30]
    assert tiles.shape == (30, 14)
    assert np.argwhere(axial)[:, 1].tolist() == [2] * 10  # gap of 2 pixels, then the left side
    assert np.argwhere(coronal).tolist() == [[0, 2]]
    assert np.argwhere(sagittal)[:, 0].tolist() == [0] * 10


def test_a_millimetre_is_as_long_in_every_direction() -> None:
    volume = np.ones((10, 20, 5), dtype=np.float32)
    cuts = [np.array([2]), np.array([10]), np.array([5])]
    tiles = tile_slices(volume, cuts, (2.0, 1.0, 4.0))
    axial, coronal, sagittal = tiles[:20], tiles[20:40], tiles[40:60]
    assert (axial > 0).sum() == 20 * 20
    assert (coronal > 0).sum() == 20 * 20
    assert (sagittal > 0).sum() == 20 * 20


def test_an_outline_is_drawn_in_its_colour_and_only_where_the_mask_ends() -> None:
    volume = np.full((40, 40, 40), 50.0, dtype=np.float32)
    mask = np.zeros(volume.shape, dtype=bool)
    mask[10:30, 10:30, 10:30] = True
    plain = _pixels(draw_mosaic(volume, voxel_sizes_mm=(1, 1, 1), n_slices=1))
    outlined = _pixels(
        draw_mosaic(
            volume, voxel_sizes_mm=(1, 1, 1), n_slices=1, outlines=[Outline(mask, "#ff0000")]
        )
    )
    red = (outlined[..., 0] > 150) & (outlined[..., 1] < 90)
    assert not ((plain[..., 0] > 150) & (plain[..., 1] < 90)).any()
    rows, columns = np.nonzero(red[:40])
    assert 9 <= rows.min() <= 11
    assert 28 <= rows.max() <= 30
    assert not red[15:25, 15:25].any()
    assert columns.max() - columns.min() == pytest.approx(20, abs=2)


def test_equal_input_gives_equal_bytes() -> None:
    volume = np.random.default_rng(1).random((12, 12, 12)).astype(np.float32)
    assert draw_mosaic(volume, voxel_sizes_mm=(4, 4, 4)) == draw_mosaic(
        volume, voxel_sizes_mm=(4, 4, 4)
    )
    assert draw_histogram({"head": volume}) == draw_histogram({"head": volume})


def test_the_window_ignores_background_and_what_is_not_finite() -> None:
    volume = np.zeros(10_001, dtype=np.float32)
    volume[:1001] = np.arange(1001)
    volume[5000] = np.nan
    low, high = display_window(volume)
    assert low == 0.0
    assert high == pytest.approx(995, abs=2)


def test_an_empty_volume_can_be_drawn() -> None:
    png = draw_mosaic(np.zeros((8, 8, 8), np.float32), voxel_sizes_mm=(4, 4, 4), n_slices=2)
    assert _pixels(png)[20:, 20:-20].max() <= 255


def test_a_data_uri_holds_the_bytes() -> None:
    assert data_uri(b"abc", mime="image/svg+xml") == "data:image/svg+xml;base64,YWJj"
