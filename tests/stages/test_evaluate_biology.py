"""Age, sex and group read from tissue, on people whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stages.evaluation.biology import (
    LEAVE_OUT,
    WITHIN,
    Target,
    read_targets,
)
from bids_harmonize.stages.evaluation.biology_table import (
    BIOLOGY_COLUMNS,
    biology_table,
    loss_interval,
    permutation_p,
)

FEATURES = ("gm_volume_ml", "csf_volume_ml", "gm_frontal_ml")
SITES = {"A": (1.0, 1.0, 1.0), "B": (1.1, 0.8, 1.0), "C": (0.92, 1.25, 1.1)}
"""What each scanner makes of a volume."""


class People:
    """Grey matter falls and fluid rises with age; men have more of both."""

    def __init__(self, *, n=24, sites=SITES, seed=0, kept=1.0):
        rng = np.random.default_rng(seed)
        names = [f"sub-{site}{number}" for site in sites for number in range(n)]
        self.site_of = {name: name[4] for name in names}
        age = rng.uniform(20, 70, size=len(names))
        male = np.tile([0, 1], len(names))[: len(names)]
        self.age = Target("age", pd.Series(age, index=names))
        self.sex = Target("sex", pd.Series(male, index=names))
        rows = []
        for place, name in enumerate(names):
            noise = rng.normal(0, [12, 6, 4])
            for method, effect in (("identity", 1.0), ("cyclegan", kept)):
                years, man = effect * (age[place] - 45), effect * male[place]
                truth = np.array([650, 250, 150]) + np.array([-2.0, 1.5, -0.5]) * years
                seen = truth + np.array([25, 10, 6]) * man + noise
                factor = sites[name[4]] if method == "identity" else (1.0, 1.0, 1.0)
                cells = dict(zip(FEATURES, np.multiply(factor, seen), strict=True))
                key = {"participant_id": name, "site": name[4], "method": method}
                rows.append({**key, **cells})
        self.tissue = pd.DataFrame(rows)

    def read(self, *targets):
        found = read_targets(self.tissue, FEATURES, targets, self.site_of, seed=0)
        return {(one.method, one.target.name, one.scheme): one for one in found}


@pytest.fixture(scope="module")
def people():
    return People()


@pytest.fixture(scope="module")
def readings(people):
    return people.read(people.age, people.sex)


def rng():
    return np.random.default_rng(0)


def test_age_and_sex_are_read_within_sites(readings):
    assert readings["identity", "age", WITHIN].score("r2") > 0.8
    assert readings["identity", "age", WITHIN].score("mae") < 6
    assert readings["identity", "sex", WITHIN].score("auc") > 0.85


def test_what_a_scanner_does_spoils_reading_from_other_sites_and_harmonization_mends_it(readings):
    raw, made = (
        readings[name, "age", LEAVE_OUT].score("mae") for name in ("identity", "cyclegan")
    )
    assert raw > 2 * made
    assert made < 7


def test_site_offsets_are_no_help(people):
    """A prediction that knows the site alone explains nothing within sites."""
    reading = people.read(people.age)["identity", "age", WITHIN]
    means = reading.people.groupby("site")["truth"].transform("mean")
    knows_site = type(reading)("x", reading.target, WITHIN, reading.people.assign(predicted=means))
    assert knows_site.score("r2") == pytest.approx(0)


def test_values_dealt_anew_stay_null():
    people = People()
    p_values = []
    for seed in range(20):
        dealt = np.random.default_rng(seed).permutation(people.age.values.to_numpy())
        target = Target("age", pd.Series(dealt, index=people.age.values.index))
        reading = people.read(target)["cyclegan", "age", WITHIN]
        p_values.append(permutation_p(reading, "r2", rng=rng()))
        assert reading.score("r2") < 0.15
    assert np.mean(np.array(p_values) < 0.05) <= 0.15


def test_the_table_has_an_interval_and_a_p_value_for_every_number(readings):
    table = biology_table(tuple(readings.values()), rng=rng())
    assert tuple(table.columns) == BIOLOGY_COLUMNS
    assert len(table) == 2 * 2 * 3  # methods, schemes, and mae, r2, auc
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()
    assert (table["p_permutation"] == 1 / 1001).sum() >= 8
    assert set(table["n"]) == {72}


def test_a_harmonizer_that_halves_the_effect_of_age_loses_it():
    people = People(kept=0.2)
    found = people.read(people.age, people.sex)
    for name in ("age", "sex"):
        pair = [found[method, name, WITHIN] for method in ("identity", "cyclegan")]
        value, low, high = loss_interval(*pair, rng=rng())
        assert low > 0
        assert low <= value <= high


def test_images_that_keep_it_lose_nothing(readings):
    pair = [readings[method, "age", WITHIN] for method in ("identity", "cyclegan")]
    value, low, high = loss_interval(*pair, rng=rng())
    assert abs(value) < 0.05
    assert low <= value <= high < 0.1


def test_a_site_that_knows_of_too_few_people_takes_no_part(people):
    known = people.age.values.drop([f"sub-B{number}" for number in range(15)])
    found = people.read(Target("age", known))
    assert set(found["identity", "age", WITHIN].people["site"]) == {"A", "C"}
    one = known[[name for name in known.index if name[4] == "A"]]
    assert list(people.read(Target("age", one))) == [
        ("cyclegan", "age", WITHIN),
        ("identity", "age", WITHIN),
    ]


def test_a_site_with_men_alone_takes_no_part_in_sex(people):
    values = people.sex.values.where(people.sex.values.index.str[4] != "A", 1)
    found = people.read(Target("sex", values))
    assert set(found["identity", "sex", WITHIN].people["site"]) == {"B", "C"}


def test_nobody_known_nothing_read(people):
    assert people.read(Target("age", people.age.values.iloc[:3])) == {}
