from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import linprog

from bids_harmonize.stats import dip


def dip_by_definition(values: np.ndarray) -> float:
    """The smallest distance to a distribution with a peak at one of the numbers, by a linear
    programme: convex up to the peak, concave behind it, a jump at the peak allowed."""
    x = np.sort(values)
    n = len(x)
    best = 1.0
    for peak in range(n):
        rows, limits = [], []

        def at_most(limit: float, rows=rows, limits=limits, **terms: float) -> None:
            rows.append(np.zeros(n + 2))
            limits.append(limit)
            for name, factor in terms.items():
                rows[-1][int(name[1:])] += factor

        jump, distance = f"v{n}", f"v{n + 1}"
        for i in range(n):
            left, right = f"v{i}", jump if i == peak else f"v{i}"
            for name, share in ((left, i / n), (right, (i + 1) / n)):
                at_most(share, **{name: 1.0, distance: -1.0})
                at_most(-share, **{name: -1.0, distance: -1.0})
        at_most(0.0, **{f"v{peak}": 1.0, jump: -1.0})
        rising = [(x[i], f"v{i}") for i in range(peak + 1)]
        falling = [(x[peak], jump)] + [(x[i], f"v{i}") for i in range(peak + 1, n)]
        for points, sign in ((rising, 1.0), (falling, -1.0)):
            for (_, a), (_, b) in pairwise(points):
                at_most(0.0, **{a: 1.0, b: -1.0})
            for (xa, a), (xb, b), (xc, c) in zip(points, points[1:], points[2:], strict=False):
                one, two = sign / (xb - xa), sign / (xc - xb)
                at_most(0.0, **{a: -one, b: one + two, c: -two})
        goal = np.zeros(n + 2)
        goal[-1] = 1.0
        free = [(None, None)] * (n + 1) + [(0, None)]
        best = min(best, linprog(goal, np.array(rows), np.array(limits), bounds=free).fun)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_dip_is_the_distance_to_the_nearest_distribution_with_one_peak(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 13))
    values = rng.standard_normal(n) ** (1 + seed % 3) + 4 * (rng.random(n) < 0.5)
    assert dip(values) == pytest.approx(dip_by_definition(values), abs=1e-7)


def test_a_tail_has_no_larger_dip_than_a_bell_and_two_heaps_have():
    rng = np.random.default_rng(0)
    bells = [dip(rng.standard_normal(300)) for _ in range(40)]
    tails = [dip(rng.standard_exponential(300)) for _ in range(40)]
    heaps = [dip(rng.standard_normal(300) + 4 * (np.arange(300) % 2)) for _ in range(40)]
    assert np.mean(tails) == pytest.approx(np.mean(bells), rel=0.15)
    assert min(heaps) > max(bells + tails)


def test_the_dip_knows_no_unit_direction_or_order():
    values = np.random.default_rng(1).standard_normal(50) ** 3
    assert dip(-1000 * values[::-1] + 5) == pytest.approx(dip(values), abs=1e-12)


def test_one_number_and_none_have_no_dip():
    assert dip([]) == dip([3.0]) == dip([2.0, 2.0]) == 0.0
