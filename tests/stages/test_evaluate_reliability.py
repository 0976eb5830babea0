"""Agreement of tissue volumes between sites, on people whose truth is known."""

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stages.evaluation.reliability import (
    RELIABILITY_COLUMNS,
    person_differences,
    reliability_table,
)

FEATURES = ("gm_volume_ml", "wm_volume_ml", "csf_volume_ml")
OFFSET = {"A": 1.0, "B": 1.10, "C": 0.95}
"""What each scanner makes of a volume."""


def travellers(*, n=8, noise=0.0, sites="ABC", seed=0):
    """Everybody at every site, twice at A; the harmonizer takes the offsets out."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        truth = rng.normal([600, 500, 200], [60, 40, 30])
        for site in sites:
            for run in (1, 2) if site == "A" else (1,):
                seen = truth * (1 + rng.normal(0, noise, size=3))
                for method in ("identity", "cyclegan"):
                    factor = OFFSET[site] if method == "identity" else 1.0
                    cells = dict(zip(FEATURES, seen * factor, strict=True))
                    name = f"sub-{number}/sub-{number}_ses-{site}_run-{run}.nii.gz"
                    key = {"filename": name, "participant_id": f"sub-{number}", "site": site}
                    rows.append({**key, "method": method, **cells})
    return pd.DataFrame(rows)


def cell(table, method, column, *, source="B", target="A", feature="gm_volume_ml"):
    keys = ["method", "feature", "source_site", "target_site"]
    return table.set_index(keys)[column].loc[method, feature, source, target]


@pytest.fixture(scope="module")
def table():
    return reliability_table(travellers(), FEATURES, reference_site="A")


def test_an_offset_of_a_scanner_is_the_bias_and_harmonization_takes_it_out(table):
    assert cell(table, "identity", "bias") == pytest.approx(100 * 0.1 / 1.05)
    assert cell(table, "identity", "loa_low") == pytest.approx(100 * 0.1 / 1.05)
    assert cell(table, "cyclegan", "difference") == pytest.approx(0, abs=1e-9)
    assert cell(table, "cyclegan", "icc") == pytest.approx(1)
    assert cell(table, "identity", "icc") < 0.9


def test_the_reference_is_the_target_of_its_pairs_and_others_are_compared_too(table):
    pairs = set(zip(table["source_site"], table["target_site"], strict=True))
    assert pairs == {("B", "A"), ("C", "A"), ("B", "C"), ("all", "all"), ("A", "A")}
    assert tuple(table.columns) == RELIABILITY_COLUMNS


def test_second_scans_make_the_ceiling():
    table = reliability_table(travellers(noise=0.02, n=60), FEATURES, reference_site="A")
    assert set(table.loc[table["method"] == "ceiling", "source_site"]) == {"A"}
    # the difference of two normal errors of 2 %: mean absolute value 2 % * sqrt(2) * sqrt(2 / pi)
    expected = 2 * 2 / np.sqrt(np.pi)
    assert cell(table, "ceiling", "difference", source="A") == pytest.approx(expected, rel=0.2)
    assert cell(table, "cyclegan", "difference") == pytest.approx(expected, rel=0.2)


def test_over_all_sites_those_count_who_were_at_all_of_them():
    rows = travellers()
    rows = rows[~((rows["participant_id"] == "sub-3") & (rows["site"] == "C"))]
    table = reliability_table(rows, FEATURES, reference_site="A")
    assert cell(table, "identity", "n", source="all", target="all") == 7
    assert cell(table, "identity", "n") == 8
    assert np.isnan(cell(table, "identity", "bias", source="all", target="all"))


def test_two_sites_need_no_row_over_all():
    table = reliability_table(travellers(sites="AB"), FEATURES, reference_site="A")
    assert set(table["source_site"]) == {"A", "B"}


def test_two_people_have_differences_and_no_correlation():
    table = reliability_table(travellers(n=2), FEATURES, reference_site="A")
    assert np.isnan(cell(table, "identity", "icc"))
    assert cell(table, "identity", "difference") == pytest.approx(100 * 0.1 / 1.05)


def test_a_person_s_difference_is_the_mean_over_tissues_and_sources():
    found = person_differences(travellers(), reference_site="A")
    expected = 100 * np.mean([0.1 / 1.05, 0.05 / 0.975])
    assert found["identity"].to_numpy() == pytest.approx(expected)
    assert found["cyclegan"].to_numpy() == pytest.approx(0, abs=1e-9)


def test_without_scans_at_the_reference_sites_are_compared_with_each_other():
    found = person_differences(travellers(sites="BC"), reference_site="median")
    assert found["identity"].to_numpy() == pytest.approx(100 * 0.15 / 1.025)


def test_a_region_that_is_empty_at_both_sites_does_not_differ():
    rows = travellers().assign(gm_volume_ml=0.0)
    table = reliability_table(rows, ("gm_volume_ml",), reference_site="A")
    assert cell(table, "identity", "difference") == 0
    assert np.isnan(cell(table, "identity", "icc"))
