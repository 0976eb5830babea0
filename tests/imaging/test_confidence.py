import numpy as np
import pytest

from bids_harmonize.imaging.confidence import (
    Score,
    edge_share,
    falling_score,
    range_score,
    summarise_scores,
)


@pytest.mark.parametrize(
    ("value", "score"), [(0.5, 1.0), (1.0, 1.0), (2.0, 0.5), (2.001, 0.4995), (3.0, 0.0), (9, 0.0)]
)
def test_a_score_is_a_half_at_the_limit(value, score):
    assert falling_score(value, usual=1.0, limit=2.0) == pytest.approx(score, abs=1e-9)
    assert falling_score(-value, usual=-1.0, limit=-2.0) == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize(("value", "score"), [(1, 0.5), (2, 1), (3, 1), (5, 0.5), (0.5, 0.25)])
def test_a_range_has_limits_on_both_sides(value, score):
    assert range_score(value, (1.0, 2.0), (3.0, 5.0)) == pytest.approx(score, abs=1e-9)


def test_the_least_score_is_the_confidence_and_gives_the_reason():
    scores = [Score(0.9, "a"), Score(0.5, "b"), Score(0.2, "c"), Score(0.4, "d")]
    assert summarise_scores(scores) == (0.2, ("c", "d"))
    assert summarise_scores(scores[:2]) == (0.5, ())
    assert summarise_scores([]) == (1.0, ())


@pytest.mark.parametrize(("inside", "outside", "share"), [(100, 40, 1.0), (100, 60, 0.0)])
def test_a_border_lies_on_an_edge_where_the_image_falls(inside, outside, share):
    mask = np.zeros((30, 30, 30), bool)
    mask[8:22, 8:22, 8:22] = True
    volume = np.where(mask, inside, outside).astype(np.float32)
    seen = np.ones(mask.shape, bool)
    assert edge_share(volume, mask, seen, drop=0.5, voxel_mm=2.0) == share


def test_half_a_border_on_an_edge_is_a_half():
    mask = np.zeros((40, 40, 40), bool)
    mask[10:30, 10:30, 10:30] = True
    volume = np.where(mask, 100, 0).astype(np.float32)
    volume[20:] = 100
    seen = np.ones(mask.shape, bool)
    share = edge_share(volume, mask, seen, drop=0.5, voxel_mm=2.0)
    assert share == pytest.approx(0.5, abs=0.04)


def test_no_border_is_no_edge():
    seen = np.ones((5, 5, 5), bool)
    volume = np.zeros(seen.shape, np.float32)
    assert edge_share(volume, np.zeros(seen.shape, bool), seen, drop=0.5, voxel_mm=2.0) == 0.0


def test_what_could_not_be_measured_is_not_trusted():
    assert falling_score(float("nan"), usual=0.65, limit=0.55) == 0.0
    assert range_score(float("nan"), (1.0, 2.0), (3.0, 5.0)) == 0.0
