import numpy as np
import pytest

from bids_harmonize.imaging.morphology import (
    close_mm,
    dilate_mm,
    erode_mm,
    largest_component,
    open_mm,
)


def _ball(radius_mm: float, *, size_mm: float = 2.0, n: int = 41) -> np.ndarray:
    places = np.stack(np.meshgrid(*[(np.arange(n) - n // 2) * size_mm] * 3, indexing="ij"))
    return np.sqrt((places**2).sum(axis=0)) <= radius_mm


@pytest.mark.parametrize(("change", "radius"), [(dilate_mm, 26.0), (erode_mm, 14.0)])
def test_growing_and_shrinking_are_measured_in_mm(change, radius):
    found = change(_ball(20.0), 2.0, radius_mm=6.0)
    wanted = _ball(radius)
    assert np.logical_xor(found, wanted).sum() < 0.08 * wanted.sum()


def test_closing_fills_a_gap_and_sticks_to_no_edge():
    mask = np.zeros((30, 30, 30), bool)
    mask[:14, 5:25, 5:25] = True
    mask[17:, 5:25, 5:25] = True
    closed = close_mm(mask, 1.0, radius_mm=3.0)
    assert closed[15, 15, 15]
    assert not closed[15, 2, 2]
    assert not closed[0, 2, 2]


def test_opening_cuts_a_thin_bridge():
    mask = _ball(16.0)
    mask[20, 20, 28:40] = True
    opened = open_mm(mask, 2.0, radius_mm=4.0)
    assert not opened[20, 20, 34]
    assert opened[20, 20, 20]


def test_the_largest_component_is_kept_and_an_empty_mask_stays_empty():
    mask = _ball(8.0)
    mask[0, 0, 0] = True
    assert not largest_component(mask)[0, 0, 0]
    assert largest_component(mask).sum() == mask.sum() - 1
    assert not largest_component(np.zeros((3, 3, 3), bool)).any()
