"""Adjusted group differences, against statsmodels, simulation and known answers."""

import numpy as np
import pytest
from scipy import optimize, stats

from bids_harmonize.stats.effects import (
    adjusted_effects,
    dummies,
    explained_share,
    false_discovery_rate,
    small_sample_correction,
    with_intercept,
)

sm = pytest.importorskip("statsmodels.api")


@pytest.fixture
def study_60():
    """Features of 60 people, who is a case, and age and sex that go with it a little."""
    rng = np.random.default_rng(3)
    is_case = rng.random(60) < 0.4
    age = rng.normal(40, 10, 60) + 4 * is_case
    sex = rng.integers(0, 2, 60).astype(float)
    features = rng.normal(size=(60, 5)) + 0.03 * age[:, None] + np.outer(is_case, np.arange(5) / 4)
    return features, is_case, np.column_stack([age, sex])


def test_effects_are_those_of_statsmodels(study_60):
    features, is_case, covariates = study_60
    found = adjusted_effects(features, is_case, covariates)
    design = np.column_stack([np.ones(60), covariates, is_case])
    for column in range(5):
        fit = sm.OLS(features[:, column], design).fit()
        d = fit.params[-1] / np.sqrt(fit.scale) * small_sample_correction(fit.df_resid)
        assert found.d[column] == pytest.approx(d, abs=1e-10)
        assert found.p[column] == pytest.approx(fit.pvalues[-1], abs=1e-10)
    assert found.df == 56
    assert (found.n_cases, found.n_controls) == (is_case.sum(), (~is_case).sum())


def test_interval_is_that_of_the_noncentral_t(study_60):
    features, is_case, covariates = study_60
    found = adjusted_effects(features, is_case, covariates)
    design = np.column_stack([np.ones(60), covariates, is_case])
    fit = sm.OLS(features[:, 4], design).fit()
    scale = fit.bse[-1] / np.sqrt(fit.scale)
    for bound, share in ((found.low[4], 0.975), (found.high[4], 0.025)):
        shift = optimize.brentq(
            lambda nc, share=share: stats.nct.cdf(fit.tvalues[-1], 56, nc) - share, -10, 20
        )
        assert bound == pytest.approx(shift * scale, abs=1e-6)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(11)
    is_case = np.arange(40) < 12
    covariates = rng.normal(size=(40, 2)) + is_case[:, None]
    features = rng.normal(size=(40, 20_000)) + 0.8 * is_case[:, None]
    found = adjusted_effects(features, is_case, covariates)
    inside = (found.low < 0.8) & (found.high > 0.8)
    assert inside.mean() == pytest.approx(0.95, abs=0.005)
    assert found.d.mean() == pytest.approx(0.8, abs=0.01)
    assert found.d.std() == pytest.approx(found.se.mean(), rel=0.05)


def test_a_covariate_that_tells_the_effect_takes_it_away():
    rng = np.random.default_rng(5)
    age = rng.normal(40, 10, 2000)
    is_case = rng.random(2000) < 1 / (1 + np.exp(-(age - 40) / 5))
    features = (0.1 * age + rng.normal(size=2000))[:, None]
    unadjusted = adjusted_effects(features, is_case, np.empty((2000, 0)))
    adjusted = adjusted_effects(features, is_case, age[:, None])
    assert unadjusted.d[0] > 0.6
    assert adjusted.low[0] < 0 < adjusted.high[0]


def test_no_effect_gives_uniform_p():
    rng = np.random.default_rng(8)
    is_case = np.arange(50) % 2 == 0
    found = adjusted_effects(rng.normal(size=(50, 5000)), is_case, rng.normal(size=(50, 3)))
    assert (found.p < 0.05).mean() == pytest.approx(0.05, abs=0.01)
    assert (found.p < 0.5).mean() == pytest.approx(0.5, abs=0.025)


def _without_site_means(features, sites, controls):
    adjusted = features.copy()
    for site in np.unique(sites):
        adjusted[sites == site] -= features[(sites == site) & controls].mean(axis=0)
    return adjusted


def test_sites_means_that_few_controls_gave_do_not_pass_for_an_effect():
    rng = np.random.default_rng(12)
    sites = np.repeat(["A", "B", "C"], 40)
    is_case = np.concatenate([np.arange(40) < n for n in (36, 20, 4)])
    features = rng.normal(size=(120, 4000)) + rng.normal(size=(3, 4000))[np.repeat([0, 1, 2], 40)]
    adjusted = _without_site_means(features, sites, ~is_case)
    none = np.empty((120, 0))
    blind = adjusted_effects(adjusted, is_case, none)
    assert (blind.p < 0.05).mean() > 0.15  # what a model that cannot see it would claim
    honest = adjusted_effects(adjusted, is_case, none, removed_sites=sites)
    assert (honest.p < 0.05).mean() == pytest.approx(0.05, abs=0.015)
    np.testing.assert_allclose(honest.d, blind.d, rtol=1e-3)
    assert (blind.df, honest.df) == (118, 116)  # two sites' means beside the general one


def test_equal_shares_of_cases_leave_the_interval_as_it_is():
    rng = np.random.default_rng(13)
    sites, is_case = np.repeat(["A", "B"], 100), np.arange(200) % 2 == 0
    features = rng.normal(size=(200, 3))
    plain = adjusted_effects(features, is_case, np.empty((200, 0)))
    told = adjusted_effects(features, is_case, np.empty((200, 0)), removed_sites=sites)
    np.testing.assert_allclose(told.high - told.low, plain.high - plain.low, rtol=1e-3)


def test_columns_that_others_tell_change_nothing(study_60):
    features, is_case, covariates = study_60
    whole = np.column_stack([covariates, covariates.sum(axis=1), np.full(60, 7.0)])
    plain, more = (adjusted_effects(features, is_case, c) for c in (covariates, whole))
    np.testing.assert_allclose(more.d, plain.d, atol=1e-9)
    assert more.df == plain.df == 56


def test_units_and_order_of_people_do_not_matter(study_60):
    features, is_case, covariates = study_60
    order = np.random.default_rng(0).permutation(60)
    one = adjusted_effects(features, is_case, covariates)
    other = adjusted_effects(1e4 * features[order] + 5, is_case[order], 1e-3 * covariates[order])
    np.testing.assert_allclose(other.d, one.d, atol=1e-8)
    np.testing.assert_allclose(other.high, one.high, atol=1e-6)


@pytest.mark.parametrize(
    ("is_case", "covariates", "words"),
    [
        (np.arange(6) < 1, np.empty((6, 0)), "1 cases and 5 controls"),
        (np.arange(6) < 3, np.eye(6)[:, :5], "too few for 6 covariates"),
        (np.arange(6) < 3, (np.arange(6) < 3).astype(float)[:, None], "tell who is a case"),
    ],
)
def test_what_cannot_be_told_is_refused(is_case, covariates, words):
    features = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(ValueError, match=words):
        adjusted_effects(features, is_case, covariates)


def test_q_is_that_of_statsmodels_and_unknown_p_stay_unknown():
    from statsmodels.stats.multitest import multipletests

    p = np.array([0.001, 0.2, np.nan, 0.013, 0.04, 0.9])
    known = np.isfinite(p)
    q = false_discovery_rate(p)
    np.testing.assert_allclose(q[known], multipletests(p[known], method="fdr_bh")[1], atol=1e-12)
    assert np.isnan(q[2])


def test_shares_are_those_of_nested_models(study_60):
    features, _, covariates = study_60
    block = dummies(np.repeat(["A", "B", "C"], 20))
    shares, chance = explained_share(features, block, covariates)
    small = sm.OLS(features[:, 0], sm.add_constant(covariates)).fit()
    large = sm.OLS(features[:, 0], sm.add_constant(np.column_stack([covariates, block]))).fit()
    assert shares[0] == pytest.approx(1 - large.ssr / small.ssr, abs=1e-10)
    assert chance == pytest.approx(2 / 57)


def test_a_block_without_effect_explains_its_share_by_chance():
    rng = np.random.default_rng(2)
    features = rng.normal(size=(80, 4000))
    shares, chance = explained_share(
        features, dummies(np.arange(80) % 5), rng.normal(size=(80, 2))
    )
    assert shares.mean() == pytest.approx(chance, abs=0.002)


def test_large_numbers_of_little_spread_are_no_intercept():
    year = 2000 + np.random.default_rng(1).normal(size=30)
    assert with_intercept(year[:, None]).shape == (30, 2)
    assert with_intercept(np.full((30, 1), 2000.1)).shape == (30, 1)


def test_where_the_covariates_leave_nothing_no_share_is_made_up():
    rng = np.random.default_rng(6)
    size = 1.3e6 + rng.normal(scale=1e5, size=100)
    shares, _ = explained_share(size[:, None], dummies(np.arange(100) % 3), size[:, None])
    assert np.isnan(shares).all()
