"""Splits by participant."""

from collections import Counter

import pytest

from bids_harmonize.errors import LeakError, UnusableDataError
from bids_harmonize.training.splits import (
    Split,
    check_no_leak,
    make_folds,
    make_halves,
    make_monitor,
)

SITE_OF = {f"sub-A{n:02d}": "A" for n in range(8)} | {f"sub-B{n:02d}": "B" for n in range(32)}


def test_everybody_is_validated_exactly_once():
    folds = make_folds(SITE_OF, n_folds=5, seed=0)
    counts = Counter(person for fold in folds for person in fold.validation)
    assert set(counts) == set(SITE_OF)
    assert set(counts.values()) == {1}
    assert all(fold.train | fold.validation == set(SITE_OF) for fold in folds)


def test_each_site_is_spread_evenly_over_the_folds():
    folds = make_folds(SITE_OF, n_folds=5, seed=0)
    for site, low, high in (("A", 1, 2), ("B", 6, 7)):
        counts = [sum(SITE_OF[p] == site for p in fold.validation) for fold in folds]
        assert (min(counts), max(counts)) == (low, high)
    assert {len(fold.validation) for fold in folds} == {8}


def test_the_seed_decides_and_the_order_of_participants_does_not():
    backwards = dict(reversed(SITE_OF.items()))
    assert make_folds(SITE_OF, n_folds=3, seed=1) == make_folds(backwards, n_folds=3, seed=1)
    assert make_folds(SITE_OF, n_folds=3, seed=1) != make_folds(SITE_OF, n_folds=3, seed=2)


def test_more_folds_than_participants_of_a_site_are_refused():
    with pytest.raises(UnusableDataError, match=r"9 folds.*'A': 8"):
        make_folds(SITE_OF, n_folds=9, seed=0)


def test_halves_are_equal_within_site_and_stratum():
    strata = {person: "FM"[int(person[-1]) % 2] for person in SITE_OF}
    first, second = make_halves(SITE_OF, seed=0, strata=strata)
    assert first | second == set(SITE_OF)
    assert not first & second
    for half in (first, second):
        counts = Counter((SITE_OF[p], strata[p]) for p in half)
        assert counts == {("A", "F"): 2, ("A", "M"): 2, ("B", "F"): 8, ("B", "M"): 8}


def test_a_fifth_of_each_site_but_two_at_least_are_monitored():
    counts = Counter(SITE_OF[person] for person in make_monitor(SITE_OF, seed=0))
    assert counts == {"A": 2, "B": 6}


def test_a_leak_names_the_person():
    with pytest.raises(LeakError, match="sub-A01"):
        check_no_leak(["sub-A01", "sub-A02"], held_out=frozenset({"sub-A01"}))
    with pytest.raises(LeakError, match="sub-A01"):
        Split(train=frozenset({"sub-A01"}), validation=frozenset({"sub-A01"}))
