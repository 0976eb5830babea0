"""Which regions hold a map: shares, ranks and peaks reckoned by hand."""

import numpy as np
import pytest

from bids_harmonize.atlases.regions import Regions, load_regions
from bids_harmonize.stages.classification import regions as module
from bids_harmonize.stages.classification.regions import top_regions

SHAPE = (20, 12, 10)


def toy_regions() -> Regions:
    """Two halves, and a corner of the second; voxels of 2 mm, the world's origin in the middle."""
    labels = np.ones(SHAPE, dtype=np.int16)
    labels[10:] = 2
    labels[16:, 8:] = 3
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-20, -12, -10]
    return Regions(labels, {1: "left half", 2: "right half", 3: "corner"}, affine)


HEAD = np.ones(SHAPE, dtype=bool)
HEAD[:, :, :2] = False


def test_shares_add_up_to_one_and_ratios_divide_them_by_the_size():
    mean = np.zeros(SHAPE)
    mean[3, 3, 5], mean[12, 3, 5], mean[18, 10, 5] = 1.0, 2.0, 5.0
    rows = top_regions(mean, HEAD, toy_regions())
    assert [(row["rank"], row["region"]) for row in rows] == [
        (1, "corner"), (2, "right half"), (3, "left half")
    ]  # fmt: skip
    assert [row["share"] for row in rows] == pytest.approx([5 / 8, 2 / 8, 1 / 8])
    sizes = [16 / 240, 104 / 240, 120 / 240]
    assert [row["ratio"] for row in rows] == pytest.approx(
        [share / size for share, size in zip((5 / 8, 2 / 8, 1 / 8), sizes, strict=True)]
    )


def test_a_peak_is_a_place_in_the_world_and_not_one_bright_voxel():
    mean = np.zeros(SHAPE)
    mean[3, 3, 5] = 1.5  # alone
    mean[6:9, 6:9, 4:7] = 1.0  # 27 voxels around (7, 7, 5)
    (row,) = top_regions(mean, HEAD, toy_regions())
    assert (row["x_mm"], row["y_mm"], row["z_mm"]) == (-6, 2, 0)


def test_the_peak_of_a_region_lies_in_it_although_a_neighbour_is_brighter():
    mean = np.zeros(SHAPE)
    mean[9, 6, 5], mean[11, 6, 5] = 1.0, 50.0
    rows = {row["region"]: row for row in top_regions(mean, HEAD, toy_regions())}
    assert rows["left half"]["x_mm"] == -2  # voxel 9
    assert rows["right half"]["x_mm"] == 2  # voxel 11


def test_what_speaks_against_the_site_or_lies_outside_the_head_holds_nothing():
    mean = np.zeros(SHAPE)
    mean[3, 3, 5] = 1.0
    mean[12:15, 3:6, 5] = -4.0
    mean[12, 3, 1] = 9.0  # outside the head
    (row,) = top_regions(mean, HEAD, toy_regions())
    assert (row["region"], row["share"]) == ("left half", 1.0)
    assert top_regions(-np.abs(mean), HEAD, toy_regions()) == []


def test_shares_of_all_regions_of_the_template_add_up_and_a_flat_map_has_ratio_one(monkeypatch):
    regions = load_regions(resolution_mm=8.0)
    head = np.ones(regions.labels.shape, dtype=bool)
    flat = np.ones(regions.labels.shape)
    assert len(top_regions(flat, head, regions)) == 5
    monkeypatch.setattr(module, "N_TOP", 100)
    rows = top_regions(flat, head, regions)
    assert len(rows) == 22
    shares = [row["share"] for row in rows]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    assert [row["ratio"] for row in rows] == pytest.approx([1] * 22)
