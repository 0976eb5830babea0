"""Deviations from what is expected of healthy people: calibrated, fair, and finite."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.interpolate import CubicSpline
from scipy.stats import norm
from scipy.stats import t as student_t

from bids_harmonize.stats import cross_fitted_deviations, share_beyond


def people(rng, *, n_controls=300, n_patients=60, shift=0.0, n_features=10, n_folds=5):
    """Thickness that falls along a curve of age, less in men; patients shifted by ``shift``."""
    n = n_controls + n_patients
    age, male = rng.uniform(18, 70, n), rng.integers(0, 2, n).astype(np.float64)
    is_control = np.arange(n) < n_controls
    noise = rng.normal(size=(n, n_features))
    features = 30 + 4 * np.cos(age / 15)[:, None] - 0.5 * male[:, None] + noise
    features[~is_control] += shift
    told = {"age": age, "design": male[:, None], "folds": np.arange(n) % n_folds}
    return features, {**told, "is_control": is_control}


@pytest.mark.parametrize("n_controls", [36, 300])
def test_five_of_a_hundred_unseen_controls_lie_beyond_the_limit(n_controls):
    beyond, patients = [], []
    for seed in range(40):
        features, told = people(np.random.default_rng(seed), n_controls=n_controls)
        z = cross_fitted_deviations(features, **told)
        controls = told["is_control"]
        beyond.append(share_beyond(z[controls]).share)
        patients.append(share_beyond(z[~controls]).share)
    assert np.mean(beyond) == pytest.approx(0.05, abs=0.006)
    assert np.mean(patients) == pytest.approx(0.05, abs=0.006)


def test_deviations_are_standard_normal():
    features, told = people(np.random.default_rng(7), n_controls=2000, n_patients=500)
    z = cross_fitted_deviations(features, **told)
    assert z.mean() == pytest.approx(0.0, abs=0.02)
    assert z.std() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("shift", [-0.8, 1.5])
def test_a_planted_shift_of_patients_is_found_at_its_size(shift):
    rng = np.random.default_rng(3)
    features, told = people(rng, n_controls=1000, n_patients=400, shift=shift)
    z = cross_fitted_deviations(features, **told)
    controls = told["is_control"]
    assert z[~controls].mean() == pytest.approx(shift, abs=0.04)
    assert z[controls].mean() == pytest.approx(0.0, abs=0.04)


def test_the_order_of_people_does_not_matter():
    features, told = people(np.random.default_rng(4))
    z = cross_fitted_deviations(features, **told)
    order = np.random.default_rng(5).permutation(len(features))
    moved = {name: value[order] for name, value in told.items()}
    assert cross_fitted_deviations(features[order], **moved) == pytest.approx(z[order], abs=1e-9)


def test_nobody_is_judged_by_a_model_that_has_seen_them():
    features, told = people(np.random.default_rng(6))
    z = cross_fitted_deviations(features, **told)
    changed = features.copy()
    changed[[0, 301]] += 1000.0  # a control of fold 0 and a patient of fold 1
    other = cross_fitted_deviations(changed, **told)
    rest = np.arange(len(z)) != 0
    first = told["folds"] == 0
    assert np.array_equal(other[first & rest], z[first & rest])
    assert not np.any(other[~first] == z[~first])
    only_patient = features.copy()
    only_patient[301] += 1000.0
    kept = np.arange(len(z)) != 301
    assert np.array_equal(cross_fitted_deviations(only_patient, **told)[kept], z[kept])


def test_units_of_features_and_of_age_do_not_matter():
    features, told = people(np.random.default_rng(8))
    z = cross_fitted_deviations(features, **told)
    in_months = {**told, "age": told["age"] * 12}
    again = cross_fitted_deviations(features * 1e-3, **in_months)
    assert again == pytest.approx(z, abs=1e-8)


def test_the_spline_follows_a_curve_of_age_that_a_line_does_not():
    features, told = people(np.random.default_rng(9), n_controls=1000, n_patients=0)
    z = cross_fitted_deviations(features, **told)
    middle = (told["age"] > 35) & (told["age"] < 55)
    assert z[middle].mean() == pytest.approx(0.0, abs=0.05)
    columns = np.column_stack([np.ones(1000), told["age"], told["design"]])
    fit = np.linalg.lstsq(columns, features, rcond=None)[0]
    assert abs((features - columns @ fit)[middle].mean()) > 0.5


def test_beyond_the_ages_of_controls_the_expected_value_goes_on_along_a_line():
    rng = np.random.default_rng(10)
    n = 604
    age = np.concatenate([rng.uniform(20, 60, 600), [-200.0, 5.0, 90.0, 900.0]])
    features = np.column_stack([10 - 0.05 * age, 10 + 0.02 * age]) + 0.1 * rng.normal(size=(n, 2))
    told = {"folds": np.arange(n) % 5, "is_control": np.arange(n) < 600}
    z = cross_fitted_deviations(features, age=age, design=np.empty((n, 0)), **told)
    assert np.isfinite(z).all()
    assert np.abs(z[600:]).max() < 4
    far = features.copy()
    far[600:] += 1e12
    lost = cross_fitted_deviations(far, age=age, design=np.empty((n, 0)), **told)
    assert np.isfinite(lost).all()
    assert (lost[600:] > 30).all()


def natural_spline(age, knots):
    """Another basis of the same curves, shape (n, n_knots), an intercept among them."""
    inside = np.clip(age, knots[0], knots[-1])
    spline = CubicSpline(knots, np.eye(len(knots)), bc_type="natural")
    return spline(inside) + (age - inside)[:, None] * spline(inside, 1)


def asked_of_statsmodels(features, columns, *, trains, asked):
    """Deviations of those who are asked, from predictions for new people."""
    model = sm.OLS(features[trains], columns[trains]).fit()
    told = model.get_prediction(columns[asked])
    t = (features[asked] - told.predicted_mean) / told.se_obs
    return norm.ppf(student_t.cdf(t, model.df_resid))


@pytest.mark.parametrize("n_knots", [3, 4, 5])
def test_deviations_are_those_of_a_natural_spline_in_statsmodels(n_knots):
    features, told = people(np.random.default_rng(13), n_controls=80, n_features=1)
    told["age"][80:86] = [1, 9, 75, 80, 90, 110]  # patients: no model rests on their age
    z = cross_fitted_deviations(features, n_knots=n_knots, **told)
    for fold in range(5):
        asked = told["folds"] == fold
        trains = told["is_control"] & ~asked
        ages = np.sort(told["age"][trains])
        places = np.ceil(np.linspace(0.05, 0.95, n_knots) * len(ages)).astype(int) - 1
        columns = np.hstack([natural_spline(told["age"], ages[places]), told["design"]])
        wanted = asked_of_statsmodels(features[:, 0], columns, trains=trains, asked=asked)
        assert z[asked, 0] == pytest.approx(wanted, abs=1e-8)


def test_controls_of_two_ages_are_judged_along_a_line():
    rng = np.random.default_rng(12)
    age = np.tile([20.0, 60.0], 14)  # the middle knot must not lie between
    features, folds = rng.normal(size=(28, 1)) + 0.1 * age[:, None], np.repeat([0, 1], 14)
    z = cross_fitted_deviations(
        features,
        age=age,
        design=np.empty((28, 0)),
        folds=folds,
        is_control=np.ones(28, dtype=bool),
        n_knots=3,
    )
    columns, first = sm.add_constant(age), folds == 0
    wanted = asked_of_statsmodels(features[:, 0], columns, trains=~first, asked=first)
    assert z[first, 0] == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"is_control": np.arange(60) < 14}, "controls outside fold 0 are too few for 5 columns"),
        ({"is_control": np.zeros(60, dtype=bool)}, "the 0 controls outside fold 0 are too few"),
        ({"folds": np.zeros(60, dtype=int)}, "the 0 controls outside fold 0 are too few: deal"),
        ({"age": np.full(60, 30.0)}, "outside fold 0 are nearly all of age 30"),
        ({"design": np.ones((60, 1))}, "age and covariates of the 48 .*: 5 columns, but only 4"),
        ({"design": np.zeros((60, 1))}, "5 columns, but only 4 independent"),
        ({"design": np.full((60, 1), np.nan)}, "60 values of the covariates are not finite"),
        ({"age": np.r_[np.inf, np.arange(59.0)]}, "1 values of the ages are not finite"),
        ({"age": np.arange(59.0)}, "found 60, 60, 59, 60, 60 of them and 4 knots"),
        ({"n_knots": 2}, "3 knots or more, found 60, 60, 60, 60, 60 of them and 2 knots"),
    ],
)
def test_what_cannot_be_fitted_is_said(change, said):
    features, told = people(np.random.default_rng(0), n_controls=60, n_patients=0)
    with pytest.raises(ValueError, match=said):
        cross_fitted_deviations(features, **{**told, **change})


def test_a_feature_without_spread_is_named():
    features, told = people(np.random.default_rng(0), n_patients=0)
    features[:, 2] = 0.1 * told["age"] + 3
    with pytest.raises(ValueError, match=r"features 2 \(columns.*no spread beyond age and cov"):
        cross_fitted_deviations(features, **told)


def test_the_share_beyond_counts_both_sides_with_wilsons_interval():
    z = np.array([[0.0, 0.0], [2.0, 0.0], [-2.5, 0.0], [1.9, 1.0]])
    found = share_beyond(z)
    assert found.share.tolist() == [0.5, 0.0]
    assert found.low == pytest.approx([0.1500, 0.0], abs=1e-4)
    assert found.high == pytest.approx([0.8500, 0.4899], abs=1e-4)
    assert share_beyond(z, 2.2).share.tolist() == [0.25, 0.0]


def test_nobody_has_no_share():
    found = share_beyond(np.empty((0, 2)))
    assert all(np.isnan(column).all() and column.shape == (2,) for column in found)


@pytest.mark.parametrize(("limit", "said"), [(0.0, "above 0, found 0"), (np.nan, "found nan")])
def test_a_limit_that_is_none_is_refused(limit, said):
    with pytest.raises(ValueError, match=said):
        share_beyond(np.zeros((2, 2)), limit)
    with pytest.raises(ValueError, match="1 values of the deviations are not finite"):
        share_beyond(np.array([[np.nan]]))


def test_without_age_the_expected_value_is_the_mean_of_controls():
    rng = np.random.default_rng(9)
    features, folds = rng.normal(5, 2, size=(300, 1)), np.arange(300) % 5
    z = cross_fitted_deviations(
        features,
        age=None,
        design=np.empty((300, 0)),
        folds=folds,
        is_control=np.ones(300, dtype=bool),
    )
    trains = folds != 0
    expected = (features[~trains] - features[trains].mean()) / features[trains].std(ddof=1)
    np.testing.assert_allclose(z[~trains], expected, rtol=0.03)
