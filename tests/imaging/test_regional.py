"""Volume by region against sums by hand."""

import numpy as np
import pytest

from bids_harmonize.imaging.regional import volume_by_region

REGIONS = np.zeros((4, 3, 2), np.int16)
REGIONS[2:] = 1
REGIONS[3, 2, 1] = 5
AFFINE = np.array([[2.0, 0, 0, -3], [0, 2, 0, 10], [0, 0, 2, 0], [0, 0, 0, 1]])


def volumes(points, share, labels=(1, 5)):
    return volume_by_region(
        np.array(share, np.float32), np.array(points, float).T,
        voxel_ml=0.5, regions=REGIONS, affine=AFFINE, labels=labels,
    )  # fmt: skip


def test_each_voxel_counts_where_it_lies_and_once():
    points = [(1, 10, 0), (1.9, 10.9, 0.4), (3, 14, 2), (-3, 10, 0)]
    assert volumes(points, (1.0, 0.5, 0.25, 0.125)) == pytest.approx({1: 0.75, 5: 0.125})


def test_points_beyond_the_edge_belong_to_the_nearest_voxel():
    assert volumes([(99, 99, 99), (99, 10, 0)], (1.0, 1.0)) == pytest.approx({1: 0.5, 5: 0.5})


def test_a_region_without_voxels_holds_nothing():
    assert volumes([(-3, 10, 0)], (1.0,), labels=(1, 5)) == {1: 0.0, 5: 0.0}
