"""Effects that are known beforehand, and volumes of people whose tissue is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from bids_harmonize.phantom import draw_session, make_person, simulate
from bids_harmonize.phantom.person import draw_traits
from tests.benchmarks.bench_planted import Question, tell_kept, tell_null
from tests.benchmarks.phantom_scans import true_volumes
from tests.benchmarks.planted_effects import (
    AGE,
    GROUP,
    Effect,
    Kept,
    Measured,
    People,
    dealt,
    effect_of,
    kept,
    most_by_chance,
    size_of,
)
from tests.benchmarks.planted_study import ARMS, PLANTED_IN
from tests.benchmarks.planted_truth import ideal_scanner, region_feature, true_features

SLOPE, LOSS = -2.0, -30.0


def made_up(*, noise_ml: float, seed: int = 5) -> tuple[People, Measured]:
    """Three sites of 30 people with unlike offsets, a slope on age and a loss in a third."""
    rng = np.random.default_rng(seed)
    site = np.repeat(["SiteA", "SiteB", "SiteC"], 30)
    is_case = np.tile(np.arange(30) >= 20, 3)
    people = People(site, rng.uniform(20, 75, 90), rng.random(90) < 0.5, is_case)
    intracranial = 1400 + 100 * rng.standard_normal(90)
    offset = np.select([site == "SiteA", site == "SiteB"], [0.0, 50.0], -80.0)
    volume = 0.4 * intracranial + offset + SLOPE * people.age + LOSS * is_case
    return people, Measured(volume + noise_ml * rng.standard_normal(90), intracranial)


def test_exact_effects_are_found_beside_sites_sex_and_head_size():
    people, exact = made_up(noise_ml=0.0)
    assert effect_of(AGE, people, exact).value == pytest.approx(SLOPE, abs=1e-9)
    assert effect_of(GROUP, people, exact).value == pytest.approx(LOSS, abs=1e-9)


def test_coefficients_and_p_are_those_of_statsmodels():
    people, volumes = made_up(noise_ml=20.0)
    columns = [people.is_case, people.age, people.is_male, volumes.intracranial]
    design = np.column_stack([*columns, *(people.site == one for one in np.unique(people.site))])
    fitted = sm.OLS(volumes.volume, design.astype(float)).fit()
    found = effect_of(GROUP, people, volumes)
    assert found.value == pytest.approx(fitted.params[0])
    assert found.p == pytest.approx(fitted.pvalues[0])
    assert found.residual == pytest.approx(np.sqrt(fitted.scale))
    assert found.standardised == pytest.approx(fitted.params[0] / np.sqrt(fitted.scale))


def test_half_the_slope_is_half_kept():
    people, volumes = made_up(noise_ml=5.0)
    half = Measured(volumes.volume - SLOPE / 2 * people.age, volumes.intracranial)
    found = kept(AGE, people, half, volumes, np.random.default_rng(0))
    assert found.ratio == pytest.approx(1 - SLOPE / 2 / effect_of(AGE, people, volumes).value)
    assert found.ratio == pytest.approx(0.5, abs=0.05)
    assert found.low < found.ratio < found.high
    assert found.verdict == "misses"


def test_an_arm_keeps_all_of_itself():
    people, volumes = made_up(noise_ml=20.0)
    for covariate in (AGE, GROUP):
        found = kept(covariate, people, volumes, volumes, np.random.default_rng(0))
        assert (found.ratio, found.low, found.high) == pytest.approx((1, 1, 1))
        assert found.verdict == "ok"


def test_noise_of_the_measurement_lowers_d_and_not_the_slope():
    people, volumes = made_up(noise_ml=10.0)
    noisy = volumes.volume + 10 * np.random.default_rng(9).standard_normal(90)
    arm = Measured(noisy, volumes.intracranial)
    d, slope = (kept(c, people, arm, volumes, np.random.default_rng(0)) for c in (GROUP, AGE))
    assert d.ratio == pytest.approx(0.5**0.5, abs=0.2)
    assert slope.ratio == pytest.approx(1.0, abs=0.2)


def test_a_wide_interval_is_told():
    assert Kept(0.9, 0.7, 1.1).verdict == "ok (the interval crosses a limit)"
    assert Kept(0.8, 0.6, 1.0).verdict == "misses (the interval crosses a limit)"
    assert Kept(1.3, 1.2, 1.4).verdict == "misses"


def test_dealing_stays_inside_sites_and_groups():
    people, volumes = made_up(noise_ml=5.0)
    older = dealt(AGE, people, np.random.default_rng(1))
    for site in np.unique(people.site):
        for kind in (False, True):
            there = (people.site == site) & (people.is_case == kind)
            np.testing.assert_array_equal(np.sort(older.age[there]), np.sort(people.age[there]))
    assert not np.array_equal(older.age, people.age)
    other = dealt(GROUP, people, np.random.default_rng(1))
    assert [int(other.is_case[people.site == one].sum()) for one in np.unique(people.site)] == [
        10, 10, 10,
    ]  # fmt: skip
    assert abs(effect_of(AGE, older, volumes).value) < abs(SLOPE) / 3
    np.testing.assert_array_equal(other.age, people.age)


def test_chance_allows_three_of_twenty():
    assert most_by_chance(20) == 3
    assert size_of(AGE, Effect(-2.0, 4.0, 0.1)) == -2.0
    assert size_of(GROUP, Effect(-2.0, 4.0, 0.1)) == -0.5


def test_true_features_hold_all_grey_matter_and_lose_it_where_it_is_planted():
    traits = draw_traits(np.random.default_rng(2), age=50, sex="F")
    healthy = make_person(2, "one", traits=traits, base_mm=3.0)
    ill = make_person(
        2, "one", traits=replace(traits, pattern="frontotemporal", severity=1.0), base_mm=3.0
    )
    well, lost = true_features(healthy), true_features(ill)
    regions = [name for name in well if name.startswith("gm_") and name != "gm_volume_ml"]
    assert sum(well[name] for name in regions) == pytest.approx(well["gm_volume_ml"], rel=1e-5)
    assert well["gm_volume_ml"] == pytest.approx(true_volumes(healthy)["gm"], rel=1e-6)
    planted = [region_feature(name) for name in PLANTED_IN]
    assert set(planted) < set(regions)
    changes = {name: lost[name] / well[name] - 1 for name in regions}
    assert max(changes[name] for name in planted) < -0.03
    assert changes["gm_left_occipital_lobe_volume_ml"] == pytest.approx(0, abs=0.005)


def test_the_ideal_scanner_adds_no_noise_and_no_field():
    scanner = ideal_scanner(6.0)
    person = make_person(2, "one", base_mm=4.0)
    scan = simulate(person, scanner, draw_session(np.random.default_rng(0)))
    np.testing.assert_allclose(scan.volume, scan.noise_free, rtol=1e-5)
    session = replace(draw_session(np.random.default_rng(0)), coil_factor=2.0)
    np.testing.assert_array_equal(simulate(person, scanner, session).noise_free, scan.noise_free)


def test_lines_name_the_arms_and_judge_only_what_the_target_is_about(capsys):
    people, volumes = made_up(noise_ml=5.0)
    table = pd.DataFrame({"gm": volumes.volume, "intracranial_volume_ml": volumes.intracranial})
    arms = dict.fromkeys(ARMS, table)
    tell_kept(Question(AGE, "grey matter", "gm"), people, arms, seed=1)
    lines = capsys.readouterr().out.splitlines()
    assert "  harmonized / true: 1.000 (1.000 to 1.000); wanted .85 to 1.15: ok" in lines
    assert "  raw / true: 1.000 (1.000 to 1.000)" in lines
    tell_kept(Question(AGE, "grey matter", "gm", judged=False), people, arms, seed=1)
    assert "wanted" not in capsys.readouterr().out


def test_a_truth_that_does_not_show_the_effect_judges_nothing(capsys):
    people, volumes = made_up(noise_ml=5.0)
    flat = np.random.default_rng(4).standard_normal(len(people))
    table = pd.DataFrame({"gm": flat, "intracranial_volume_ml": volumes.intracranial})
    assert effect_of(AGE, people, Measured(flat, volumes.intracranial)).p > 0.05
    tell_kept(Question(AGE, "grey matter", "gm"), people, dict.fromkeys(ARMS, table), seed=1)
    assert "cannot tell, true does not show the effect" in capsys.readouterr().out


def test_nothing_is_found_once_the_covariate_is_dealt_anew(capsys):
    people, volumes = made_up(noise_ml=5.0)
    table = pd.DataFrame({"gm": volumes.volume, "intracranial_volume_ml": volumes.intracranial})
    tell_null(Question(GROUP, "grey matter", "gm"), people, table, seed=1)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("d of the cases, grey matter, dealt anew 20 times: p < 0.05 in ")
    assert "by chance at most 3: ok" in line
