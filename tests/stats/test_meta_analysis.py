"""Random-effects means, against statsmodels and simulation."""

import numpy as np
import pytest

from bids_harmonize.stats.meta_analysis import pool_effects

statsmodels_meta = pytest.importorskip("statsmodels.stats.meta_analysis")

EFFECTS = np.array([0.61, 0.10, 0.55, -0.20, 0.92, 0.30])
VARIANCES = np.array([0.02, 0.05, 0.03, 0.04, 0.06, 0.02])


def test_mean_and_spread_between_sites_are_those_of_statsmodels():
    found = pool_effects(EFFECTS, VARIANCES)
    # By its own tolerance: within rounding of the solution its search may fall back to 0.
    other = statsmodels_meta.combine_effects(EFFECTS, VARIANCES, method_re="iterated", use_t=True)
    assert found.tau2 == pytest.approx(other.tau2, abs=1e-6)
    assert found.value == pytest.approx(other.mean_effect_re, abs=1e-6)
    assert found.i2 == pytest.approx(other.i2, abs=1e-9)
    low, high = other.conf_int()[3]  # random effects, Hartung and Knapp
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-5)


def test_sites_that_agree_have_no_spread_between_them():
    found = pool_effects(np.array([0.30, 0.31, 0.29]), np.array([0.04, 0.04, 0.04]))
    assert (found.tau2, found.i2) == (0.0, 0.0)
    assert found.value == pytest.approx(0.30)
    # never narrower than with a common effect: t(2) * sqrt(.04 / 3)
    assert found.high - found.value == pytest.approx(4.302653 * (0.04 / 3) ** 0.5, abs=1e-5)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(4)
    noise = np.array([0.02, 0.05, 0.1, 0.03, 0.08, 0.04, 0.06])
    n_inside = 0
    for _ in range(1500):
        effects = 0.4 + rng.normal(size=7) * np.sqrt(noise + 0.05)
        found = pool_effects(effects, noise)
        n_inside += found.low < 0.4 < found.high
    assert n_inside / 1500 == pytest.approx(0.95, abs=0.02)


def test_one_site_is_its_own_mean_without_interval():
    found = pool_effects(np.array([0.5]), np.array([0.1]))
    assert found.value == 0.5
    assert np.isnan([found.low, found.high, found.p, found.i2]).all()


@pytest.mark.parametrize(
    ("effects", "variances"), [([], []), ([0.1, 0.2], [0.1, 0.0]), ([0.1], [0.1, 0.2])]
)
def test_effects_without_a_variance_are_refused(effects, variances):
    with pytest.raises(ValueError, match="one above 0 an effect"):
        pool_effects(np.array(effects), np.array(variances))
