from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from bids_harmonize.phantom import TISSUES, Person, draw_traits, make_person, truth_at_rest
from bids_harmonize.phantom.canvas import Canvas
from bids_harmonize.phantom.disorder import ATROPHY_PATTERNS, find_pattern, loss_map
from bids_harmonize.phantom.tissues import TISSUE_INDEX

LITRES_PER_VOXEL = 3.0**3 / 1e6
TRAITS = draw_traits(np.random.default_rng(1), age=45.0, sex="F")


def _litres(person: Person, tissue: str) -> float:
    return float(person.fractions[TISSUE_INDEX[tissue]].sum() * LITRES_PER_VOXEL)


def test_shares_are_shares(person_3mm: Person) -> None:
    assert person_3mm.fractions.shape == (len(TISSUES), *Canvas(3.0).shape)
    assert person_3mm.fractions.min() > -1e-5
    assert person_3mm.fractions.sum(axis=0).max() < 1 + 1e-4


def test_volumes_are_those_of_an_adult(person_3mm: Person) -> None:
    masks = truth_at_rest(person_3mm)
    assert 1.2 < masks.brain.sum() * LITRES_PER_VOXEL < 1.9
    assert 3.0 < masks.head.sum() * LITRES_PER_VOXEL < 5.5
    assert 0.65 < _litres(person_3mm, "gm") < 1.05
    assert 0.40 < _litres(person_3mm, "wm") < 0.70
    assert 0.15 < _litres(person_3mm, "csf") < 0.40


def test_the_brain_lies_inside_the_head_under_a_dark_skull(person_3mm: Person) -> None:
    masks = truth_at_rest(person_3mm)
    assert not (masks.brain & ~masks.head).any()
    i, j = (Canvas(3.0).shape[axis] // 2 for axis in (0, 1))
    above = masks.labels[i, j, ::-1]
    names = ["air" if label == 0 else TISSUES[label - 1].name for label, _ in groupby(above)]
    outside = names[: names.index("csf")]
    assert outside[0] == "air"
    assert "fat" in outside
    assert outside[-1] == "bone"


def test_a_name_and_a_seed_fix_the_head(person_3mm: Person) -> None:
    again = make_person(0, "somebody", base_mm=3.0)
    assert np.array_equal(again.fractions, person_3mm.fractions)
    assert np.array_equal(again.texture, person_3mm.texture)
    other = make_person(0, "somebody else", base_mm=3.0)
    assert np.abs(other.fractions - person_3mm.fractions).mean() > 0.01


def test_age_widens_fluid_and_takes_grey_matter() -> None:
    young, old = (
        make_person(0, "x", traits=TRAITS.at_age(age), base_mm=3.0) for age in (20.0, 75.0)
    )
    assert 0.78 < _litres(old, "gm") / _litres(young, "gm") < 0.93
    assert 1.25 < _litres(old, "csf") / _litres(young, "csf") < 1.8


def test_sex_changes_size_and_nothing_else_of_the_draw() -> None:
    woman = draw_traits(np.random.default_rng(2), age=40.0, sex="F")
    man = draw_traits(np.random.default_rng(2), age=40.0, sex="M")
    assert man.size - woman.size == pytest.approx(0.035, abs=1e-9)
    assert man.ventricle_mm == woman.ventricle_mm


@pytest.mark.parametrize("name", ["frontotemporal", "subcortical"])
def test_a_pattern_takes_grey_matter_in_its_regions_alone(name: str) -> None:
    healthy = make_person(0, "x", traits=TRAITS, base_mm=3.0)
    ill = make_person(0, "x", traits=replace(TRAITS, pattern=name, severity=1.0), base_mm=3.0)
    where = loss_map(Canvas(3.0).coordinates(), find_pattern(name))
    gm = TISSUE_INDEX["gm"]

    def kept(region: np.ndarray) -> float:
        return float((ill.fractions[gm] * region).sum() / (healthy.fractions[gm] * region).sum())

    assert 0.83 < kept(where > 0.5) < 0.93
    assert 0.99 < kept(where < 0.02) < 1.01


def test_patterns_are_symmetric_and_whole_at_their_centres() -> None:
    axes = np.ix_(np.arange(-70.0, 71.0), np.arange(-90.0, 91.0), np.arange(-60.0, 81.0))
    for pattern in ATROPHY_PATTERNS:
        weight = loss_map(axes, pattern)
        assert np.array_equal(weight, weight[::-1])
        for region in pattern.regions:
            i, j, k = (int(c + o) for c, o in zip(region.centre, (70, 90, 60), strict=True))
            assert weight[i, j, k] == pytest.approx(1, abs=1e-6)
            assert weight[i, j, k + region.radius_mm] < 0.9


def test_zero_severity_is_no_pattern() -> None:
    healthy = make_person(0, "x", traits=TRAITS, base_mm=3.0)
    unchanged = replace(TRAITS, pattern="subcortical", severity=0.0)
    assert np.array_equal(
        make_person(0, "x", traits=unchanged, base_mm=3.0).fractions, healthy.fractions
    )


def test_an_unknown_pattern_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="available: frontotemporal, subcortical"):
        find_pattern("occipital")
