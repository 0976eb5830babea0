import numpy as np
import pytest

from bids_harmonize.training.patch_distance import PatchDistance
from tests.harmonizers.small_study import make_volumes


@pytest.fixture(scope="module")
def heads():
    volumes = make_volumes(4)
    return {
        site: [
            (volumes.volume(n), volumes.head_mask(n))
            for n, scan in enumerate(volumes.scans)
            if scan.site == site
        ]
        for site in "AB"
    }


def test_the_same_scans_are_at_no_distance(heads):
    assert PatchDistance(heads["B"], seed=0).measure(heads["B"]) == 0


def test_another_scanner_is_farther_than_other_people(heads):
    distance = PatchDistance(heads["B"][:2], seed=0)
    people, scanner = distance.measure(heads["B"][2:]), distance.measure(heads["A"][2:])
    assert people < 0.03
    assert scanner > 2.5 * people


def test_a_brighter_image_is_at_a_distance_that_grows(heads):
    distance = PatchDistance(heads["B"], seed=0)
    found = [distance.measure([(v * gain, m) for v, m in heads["B"]]) for gain in (1.1, 1.2)]
    assert found[1] == pytest.approx(2 * found[0], rel=0.1)
    assert 0.02 < found[0] < 0.15


def test_the_seed_fixes_the_distance(heads):
    first, again, other = (
        PatchDistance(heads["B"], seed=seed).measure(heads["A"]) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert other == pytest.approx(first, rel=0.2)


def test_an_empty_mask_does_not_break_it(heads):
    volume, mask = heads["A"][0]
    empty = [(volume, np.zeros_like(mask))]
    assert np.isfinite(PatchDistance(heads["B"], seed=0).measure(empty))
