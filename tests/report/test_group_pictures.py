"""Colours of the maps of change."""

import numpy as np
import pytest

from bids_harmonize.report.group_pictures import colour_range

SIZE_MM = 4.0


@pytest.fixture
def head():
    """A ball of 80 mm that is bright at its rim, with a dark hole in the middle."""
    radius = SIZE_MM * np.sqrt(sum((axis - 23.5) ** 2 for axis in np.indices((48, 48, 48))))
    image = np.where(radius < 80, 0.5, 0.0)
    image[radius < 8] = 0.0
    return radius, image


def test_the_edge_of_the_head_does_not_set_the_colours_of_the_brain(head):
    radius, image = head
    change = np.where((radius > 70) & (radius < 80), 0.9, 0.0)
    change[radius < 60] = 0.02
    assert colour_range(change, image, SIZE_MM) == pytest.approx(0.02)


def test_where_nothing_changes_inside_the_edge_is_shown(head):
    radius, image = head
    change = np.where((radius > 70) & (radius < 80), -0.9, 0.0)
    assert colour_range(change, image, SIZE_MM) == pytest.approx(0.9)


def test_no_change_at_all_has_a_range(head):
    assert colour_range(np.zeros((48, 48, 48)), head[1], SIZE_MM) == 1.0
