import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from bids_harmonize.stats.heterogeneity import Heterogeneity, assess_heterogeneity
from bids_harmonize.stats.verdict import Effort
from tests.stats.blobs import people, two_kinds

QUICK = Effort(k_max=3, n_splits=8, n_resamples=3, n_null=39)
N = 120


def assessed(severity: np.ndarray, *, seed: int = 0, sites: list[str] | None = None):
    values, is_case = people(severity, N, np.random.default_rng(seed))
    names = sites or [f"Site{i % 4}" for i in range(len(values))]
    return assess_heterogeneity(
        values, is_case, names, rng=np.random.default_rng(seed + 1), effort=QUICK
    )


@pytest.fixture(scope="module")
def two_kinds_found() -> Heterogeneity:
    return assessed(two_kinds(N, 6.0)[0])


def test_two_planted_subtypes_are_found(two_kinds_found):
    kind = two_kinds(N, 6.0)[1]
    assert two_kinds_found.verdict == "discrete"
    assert two_kinds_found.k == 2
    assert two_kinds_found.excess.n_dimensions == 1
    assert adjusted_rand_score(kind, two_kinds_found.labels[N:]) == pytest.approx(0.99, abs=0.03)
    # Separation 6: variance 1 + 36 / 4 along the axis between the two, somewhat more in people
    # whom the covariance was not estimated on.
    spread = two_kinds_found.scores[N:, 0].var()
    assert spread == pytest.approx(10.0, abs=2.5)
    found = two_kinds_found.solutions[2]
    assert found.p_full == found.p_subspace == pytest.approx(1 / 40, abs=1e-12)
    for null in (found.full, found.subspace):
        assert null.draws.shape == (QUICK.n_null,)
        assert null.draws.max() < null.observed <= 0.25
    assert found.stability.leave_site_out_ari == pytest.approx(1.0, abs=0.05)
    assert found.stability.per_person.mean() == pytest.approx(1.0, abs=0.02)


def test_controls_have_no_label_and_patients_a_posterior_that_sums_to_one(two_kinds_found):
    assert (two_kinds_found.labels[:N] == -1).all()
    assert np.isnan(two_kinds_found.posterior[:N]).all()
    np.testing.assert_allclose(two_kinds_found.posterior[N:].sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(
        two_kinds_found.posterior[N:].argmax(axis=1), two_kinds_found.labels[N:]
    )


def test_patients_who_are_like_controls_give_none():
    found = assessed(np.zeros((N, 2)))
    assert (found.verdict, found.k, found.excess.n_dimensions) == ("none", 1, 0)
    assert found.solutions[1].separation == 0.0
    assert np.isnan(found.solutions[2].p_full)
    assert len(found.solutions[2].subspace.draws) == 0


def test_one_pattern_in_all_patients_gives_none():
    found = assessed(np.tile([3.0, 0.0], (N, 1)))
    assert (found.verdict, found.k) == ("none", 1)


def test_one_blob_that_is_wide_in_a_direction_is_dimensional():
    width = np.random.default_rng(5).standard_normal(N) * 3
    found = assessed(np.c_[width, np.zeros(N)])
    assert found.verdict == "dimensional"
    assert found.excess.n_dimensions == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_skewed_severity_is_dimensional_though_a_mixture_fits_it_better(seed):
    severity = 3 * np.random.default_rng(seed).standard_exponential(N)
    found = assessed(np.c_[severity, np.zeros(N)], seed=10 + seed)
    assert found.k > 1  # the trap: two normal clusters fit a tail better than one
    assert found.verdict == "dimensional"
    null = found.solutions[found.k].full
    reached = (null.draws >= null.observed).sum()
    assert null.p == (1 + reached) / (1 + len(null.draws)) > 0.05
    assert reached <= 10


def test_patients_of_one_odd_site_are_not_a_subtype():
    severity = np.zeros((N, 2))
    severity[:40, 0] = 10.0  # a scanner that was changed after its controls came
    sites = ["SiteA" if i % N < 40 else f"Site{i % 3}" for i in range(2 * N)]
    found = assessed(severity, sites=sites)
    chosen = found.solutions[2]
    assert (found.k, chosen.p_full, chosen.p_subspace) == (2, 0.025, 0.025)
    assert chosen.stability.split_half_ari == pytest.approx(1.0, abs=0.05)
    assert chosen.stability.leave_site_out_ari < 0.3
    assert found.verdict == "uncertain"


def test_a_shift_of_a_site_that_controls_share_makes_no_dimension():
    values, is_case = people(np.zeros((N, 2)), N, np.random.default_rng(0))
    odd = np.arange(2 * N) % 2 == 1
    values[odd] += 5 * values.std(axis=0)
    found = assess_heterogeneity(
        values,
        is_case,
        ["B" if o else "A" for o in odd],
        rng=np.random.default_rng(1),
        effort=QUICK,
    )
    assert found.verdict == "none"


def test_the_seed_fixes_everything_and_the_order_of_people_does_not_matter(two_kinds_found):
    severity = two_kinds(N, 6.0)[0]
    values, is_case = people(severity, N, np.random.default_rng(0))
    sites = np.array([f"Site{i % 4}" for i in range(len(values))])
    order = np.random.default_rng(7).permutation(len(values))
    found = assess_heterogeneity(
        values[order], is_case[order], sites[order], rng=np.random.default_rng(1), effort=QUICK
    )
    assert found.verdict == two_kinds_found.verdict
    np.testing.assert_array_equal(found.labels, two_kinds_found.labels[order])
    np.testing.assert_array_equal(found.scores, two_kinds_found.scores[order])
    assert found.solutions[3].bic == two_kinds_found.solutions[3].bic
    first, second = found.solutions[2].stability, two_kinds_found.solutions[2].stability
    assert first.split_half_ari == second.split_half_ari


def test_inputs_are_not_changed():
    values, is_case = people(np.zeros((20, 2)), 20, np.random.default_rng(0))
    before = values.copy()
    effort = Effort(k_max=2, n_splits=2, n_resamples=1, n_null=1)
    assess_heterogeneity(values, is_case, ["A"] * 40, rng=np.random.default_rng(0), effort=effort)
    np.testing.assert_array_equal(values, before)


def test_too_few_people_are_refused():
    values, is_case = people(np.zeros((19, 2)), 30, np.random.default_rng(0))
    with pytest.raises(ValueError, match="found 19 and 30"):
        assess_heterogeneity(values, is_case, ["A"] * 49, rng=np.random.default_rng(0))


def test_values_that_are_not_finite_and_lengths_that_differ_are_refused():
    values, is_case = people(np.zeros((20, 2)), 20, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\(39,\)"):
        assess_heterogeneity(values, is_case, ["A"] * 39, rng=np.random.default_rng(0))
    values[3, 2] = np.nan
    with pytest.raises(ValueError, match="found 1 that are not"):
        assess_heterogeneity(values, is_case, ["A"] * 40, rng=np.random.default_rng(0))
