import numpy as np
import pandas as pd
import pytest

from bids_harmonize.stages.evaluation.comparison import (
    METHODS_COLUMNS,
    best_baseline,
    methods_table,
    person_means,
    primary_kind,
    primary_tests,
)

TRAINING_FREE = ("identity", "nyul", "histogram")


def _rows(method, values, *, source="B", metric="psnr", kind="direct", mask="brain"):
    return [
        {
            "participant_id": f"sub-{number:02d}",
            "source_site": source,
            "target_site": "A",
            "kind": kind,
            "method": method,
            "mask": mask,
            "metric": metric,
            "value": value,
        }
        for number, value in enumerate(values)
    ]


@pytest.fixture
def travelling():
    rows = [
        *_rows("identity", [18.0, 19.0, 20.0, 21.0]),
        *_rows("nyul", [22.0, 22.0, 23.0, 23.0]),
        *_rows("histogram", [21.0, 22.0, 23.0, 23.0]),
        *_rows("cyclegan", [24.0, 25.0, 25.0, 26.0]),
        *_rows("localhistogram", [21.0, 23.0, 22.0, 24.0]),
        *_rows("ceiling", [29.5, 29.5, 29.5, 29.5]),
        *_rows("identity", [0.8, 0.8, 0.8, 0.8], metric="ssim"),
        *_rows("cyclegan", [0.9, 0.9, 0.9, 0.9], metric="ssim"),
        *_rows("ceiling", [1.0, 1.0, 1.0, 1.0], metric="ssim"),
    ]
    return pd.DataFrame(rows)


def _table(frame):
    tests = primary_tests(
        frame, trained=("cyclegan", "localhistogram"), training_free=TRAINING_FREE
    )
    return methods_table(frame, tests, rng=np.random.default_rng(0))


def _cell(table, column, **where):
    chosen = np.logical_and.reduce([table[key] == value for key, value in where.items()])
    assert chosen.sum() == 1
    return table.loc[chosen, column].item()


def test_the_columns_are_those_that_other_programs_rely_on(travelling):
    assert tuple(_table(travelling).columns) == METHODS_COLUMNS


def test_mean_and_n_count_people(travelling):
    table = _table(travelling)
    where = {"method": "cyclegan", "source_site": "B", "metric": "psnr"}
    assert _cell(table, "mean", **where) == pytest.approx(25.0, abs=1e-12)
    assert _cell(table, "n", **where) == 4
    assert 24.0 <= _cell(table, "low", **where) < 25.0 < _cell(table, "high", **where) <= 26.0


def test_gap_closed_is_the_share_of_the_way_to_the_rescan(travelling):
    table = _table(travelling)
    where = {"method": "cyclegan", "source_site": "B"}
    assert _cell(table, "gap_closed", metric="psnr", **where) == pytest.approx(5.5 / 10.0)
    assert _cell(table, "gap_closed", metric="ssim", **where) == pytest.approx(0.5)


def test_no_gap_is_given_where_the_rescan_is_within_one_decibel(travelling):
    frame = travelling.copy()
    frame.loc[(frame["method"] == "ceiling") & (frame["metric"] == "psnr"), "value"] = 20.4
    assert _table(frame)["gap_closed"].isna().all()


def test_the_best_baseline_has_the_highest_mean_on_the_same_people(travelling):
    people = person_means(travelling)
    assert best_baseline(people, TRAINING_FREE) == "nyul"
    uneven = people.copy()
    uneven.loc["sub-00", "histogram"] = np.nan  # its worst person is missing: no advantage
    assert uneven["histogram"].mean() > uneven["nyul"].mean()
    assert best_baseline(uneven, TRAINING_FREE) == "nyul"


def test_a_person_is_averaged_over_source_sites_before_anything_else():
    frame = pd.DataFrame([*_rows("identity", [10.0]), *_rows("identity", [20.0], source="C")])
    assert person_means(frame).loc["sub-00", "identity"] == pytest.approx(15.0)
    table = methods_table(frame, (), rng=np.random.default_rng(0))
    assert _cell(table, "mean", source_site="all") == pytest.approx(15.0)
    assert _cell(table, "n", source_site="all") == 1


def test_four_people_cannot_give_a_small_p_value(travelling):
    tests = primary_tests(
        travelling, trained=("cyclegan", "localhistogram"), training_free=TRAINING_FREE
    )
    by_method = {test.method: test for test in tests}
    assert by_method["cyclegan"].baseline == "nyul"
    assert by_method["cyclegan"].difference_db == (2.0, 3.0, 2.0, 3.0)
    assert by_method["cyclegan"].p_value == pytest.approx(0.25, abs=1e-12)  # 2 x 0.125


def test_p_values_stand_only_in_the_row_of_the_primary_endpoint(travelling):
    table = _table(travelling)
    with_p = table[table["p_vs_best_baseline"].notna()]
    assert sorted(with_p["method"]) == ["cyclegan", "localhistogram"]
    assert set(with_p["source_site"]) == {"all"}
    assert set(with_p["metric"]) == {"psnr"}
    assert set(with_p["kind"]) == {"direct"}


def test_nobody_who_travelled_means_no_test_and_no_rows(travelling):
    empty = travelling.iloc[:0]
    assert primary_tests(empty, trained=("cyclegan",), training_free=TRAINING_FREE) == ()
    table = methods_table(empty, (), rng=np.random.default_rng(0))
    assert tuple(table.columns) == METHODS_COLUMNS
    assert len(table) == 0


def test_reverse_rows_are_not_pooled_into_the_primary_endpoint(travelling):
    reverse = pd.DataFrame(_rows("cyclegan", [99.0] * 4, kind="reverse"))
    table = _table(pd.concat([travelling, reverse]))
    where = {"method": "cyclegan", "source_site": "all", "metric": "psnr"}
    assert _cell(table, "mean", **where) == pytest.approx(25.0, abs=1e-12)


def test_where_nobody_was_scanned_at_the_reference_agreement_is_primary(travelling):
    agreed = [
        *_rows("identity", [18.0, 20.0, 19.0, 19.0], kind="agreement"),
        *_rows("nyul", [20.0, 20.0, 21.0, 21.0], kind="agreement"),
        *_rows("localhistogram", [23.0, 24.0, 25.0, 26.0], kind="agreement"),
        *_rows("identity", [16.0, 18.0, 17.0, 17.0], kind="agreement", source="C"),
        *_rows("nyul", [19.0, 19.0, 20.0, 20.0], kind="agreement", source="C"),
        *_rows("localhistogram", [21.0, 22.0, 23.0, 24.0], kind="agreement", source="C"),
    ]
    alone = pd.DataFrame(agreed)
    assert primary_kind(alone) == "agreement"
    assert primary_kind(travelling) == "direct"
    assert primary_kind(pd.concat([travelling, alone])) == "direct"
    assert person_means(alone)["identity"].tolist() == [17.0, 19.0, 18.0, 18.0]
    table = _table(alone)
    where = {"source_site": "all", "method": "localhistogram", "metric": "psnr"}
    assert _cell(table, "mean", **where) == pytest.approx(23.5)
    assert _cell(table, "target_site", **where) == "all"
    assert _cell(table, "p_vs_best_baseline", **where) == pytest.approx(0.125)
    # beside a real reference nothing of kind agreement is pooled
    both = _table(pd.concat([travelling, alone]))
    assert set(both.loc[both["source_site"] == "all", "kind"]) == {"direct"}
