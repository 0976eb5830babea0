import numpy as np
import pytest

from bids_harmonize.phantom.shapes import ellipsoid, smooth_union, soft_inside, tube

AXES = np.ix_(*[np.arange(-20.0, 21.0)] * 3)


def test_a_sphere_has_its_exact_distance() -> None:
    distance = ellipsoid(AXES, centre=(0, 0, 0), radii=(10, 10, 10))
    assert distance[20, 20, 33] == pytest.approx(3.0, abs=1e-3)
    assert distance[20, 26, 28] == pytest.approx(0.0, abs=1e-3)


def test_a_tube_has_its_exact_distance_beside_and_beyond_its_line() -> None:
    distance = tube(AXES, points=((-5, 0, 0), (5, 0, 0)), radius=2.0)
    assert distance[20, 24, 20] == pytest.approx(2.0, abs=1e-3)
    assert distance[29, 20, 20] == pytest.approx(2.0, abs=1e-3)
    assert distance[20, 20, 20] == pytest.approx(-2.0, abs=1e-3)


def test_a_tube_of_one_point_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two points, found 1"):
        tube(AXES, points=((0, 0, 0),), radius=1.0)


def test_a_smooth_union_only_adds_near_the_seam() -> None:
    first = ellipsoid(AXES, centre=(-6, 0, 0), radii=(8, 8, 8))
    second = ellipsoid(AXES, centre=(6, 0, 0), radii=(8, 8, 8))
    union = smooth_union(first, second, width_mm=4.0)
    sharp = np.minimum(first, second)
    assert (union <= sharp).all()
    assert (sharp - union).max() == pytest.approx(1.0, abs=0.01)
    far = np.abs(first - second) > 4.0
    assert np.array_equal(union[far], sharp[far])


def test_soft_inside_is_half_on_the_border() -> None:
    shares = soft_inside(np.array([-2.0, 0.0, 0.5, 2.0]), width_mm=2.0)
    assert shares.tolist() == [1.0, 0.5, 0.25, 0.0]
