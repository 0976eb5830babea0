from collections import Counter

import numpy as np
import pytest

from bids_harmonize.errors import UsageError
from bids_harmonize.phantom import StudyDesign, plan_people


def test_more_participants_leave_the_earlier_ones_alone() -> None:
    few = plan_people(StudyDesign(n_per_site=3, n_travelling=1))
    many = plan_people(StudyDesign(n_per_site=8, n_travelling=3, n_cases=4, n_sites=3))
    by_label = {person.label: person for person in many}
    assert len(many) == 8 * 3 + 4 * 3 + 3
    assert all(by_label[person.label] == person for person in few)


def test_age_and_sex_know_nothing_of_the_site_or_the_group() -> None:
    people = plan_people(StudyDesign(n_sites=4, n_per_site=20, n_cases=20, seed=3))
    cells = [
        [p.traits for p in people if p.site == site and p.group == group]
        for site in ("SiteA", "SiteB", "SiteC", "SiteD")
        for group in ("control", "case")
    ]
    for traits in cells:
        assert np.mean([t.age for t in traits]) == pytest.approx(47.5, abs=3.5)
        assert sum(t.sex == "F" for t in traits) == 10
    flat = [t for traits in cells for t in traits]
    women, men = ([t.age for t in flat if t.sex == sex] for sex in "FM")
    assert abs(np.mean(women) - np.mean(men)) < 5


def test_an_age_shift_confounds_site_with_age_on_request() -> None:
    plain = plan_people(StudyDesign(n_sites=2, n_travelling=0))
    shifted = plan_people(StudyDesign(n_sites=2, n_travelling=0, age_shift_years=10.0))
    gains = [b.traits.age - a.traits.age for a, b in zip(plain, shifted, strict=True)]
    assert gains == pytest.approx([0.0] * 12 + [10.0] * 12, abs=0.06)
    assert shifted[-1].traits.ventricle_mm > plain[-1].traits.ventricle_mm


def test_cases_are_dealt_to_the_patterns_in_turn() -> None:
    cases = [p for p in plan_people(StudyDesign(n_cases=4)) if p.group == "case"]
    assert [p.traits.pattern for p in cases] == ["frontotemporal", "subcortical"] * 4
    assert [p.label for p in cases[:2]] == ["A501", "A502"]
    assert all(0.4 < p.traits.severity < 1.6 for p in cases)
    zero = plan_people(StudyDesign(n_cases=4, disorder="zero"))
    assert {(p.traits.pattern, p.traits.severity) for p in zero} == {(None, 0.0)}


def test_confounded_subtypes_are_four_to_one_and_turn_round_from_site_to_site() -> None:
    people = plan_people(
        StudyDesign(n_sites=3, n_per_site=1, n_travelling=0, n_cases=10, disorder="confounded")
    )
    found = Counter((p.site, p.traits.pattern) for p in people if p.group == "case")
    assert found == {
        ("SiteA", "frontotemporal"): 8, ("SiteA", "subcortical"): 2,
        ("SiteB", "frontotemporal"): 2, ("SiteB", "subcortical"): 8,
        ("SiteC", "frontotemporal"): 8, ("SiteC", "subcortical"): 2,
    }  # fmt: skip


def test_all_faults_stand_in_one_message() -> None:
    with pytest.raises(UsageError) as caught:
        StudyDesign(
            preset="soft", n_sites=0, n_per_site=-1, resolution_mm=0.2, seed=-1, disorder="flu",
            severity=9.0, age_shift_years=float("nan"),
        )  # fmt: skip
    message = str(caught.value)
    for fault in (
        "preset: found 'soft'; available: default, hard, mixed, null",
        "disorder: found 'flu'; available: subtypes, confounded, single, zero",
        "sites: found 0; expected 1 to 26",
        "per-site: found -1; expected 0 to 400",
        "resolution: found 0.2 mm; expected 1 to 6",
        "seed: found -1; expected 0 or more",
        "severity: found 9; expected 0 to 3",
        "age-shift: found nan; expected at most 40 years in all",
    ):
        assert fault in message


def test_a_study_of_nobody_is_refused() -> None:
    with pytest.raises(UsageError, match="found no participants"):
        StudyDesign(n_per_site=0, n_travelling=0)
