"""Which columns of a user's table become features, and what is said about the others."""

import numpy as np
import pytest

from bids_harmonize.errors import UnusableDataError, UsageError
from bids_harmonize.tables.features import read_feature_rows, select_features

HEADER = "participant_id\tsite\tage\tsex\tDiagnosis\tlh_thick\trh_thick\tvolume\tnote\n"
ROWS = (
    "01\tA\t20\tF\t1\t2.5\t2.25\t100\tok\n"
    "sub-02\tB\t30\tM\t2\t2.75\t2.5\t110\tok\n"
    "03\tA\t40\tF\t1\t3\t2\t120\tmoved\n"
)


def write(tmp_path, text=HEADER + ROWS):
    path = tmp_path / "table.tsv"
    path.write_text(text)
    return path


def select(path, *patterns):
    rows = read_feature_rows(path)
    return select_features(rows, path=path, patterns=patterns, reserved=["site"])


def test_numbers_that_are_neither_key_site_age_sex_nor_group_are_features(tmp_path):
    found = select(write(tmp_path))
    assert list(found.values.columns) == ["lh_thick", "rh_thick", "volume"]
    assert found.skipped == ("note",)
    expected = [[2.5, 2.25, 100], [2.75, 2.5, 110], [3, 2, 120]]
    assert np.array_equal(found.values.to_numpy(), expected)


def test_patterns_choose_columns_in_the_order_of_the_table(tmp_path):
    found = select(write(tmp_path), "vol*", "?h_thick")
    assert list(found.values.columns) == ["lh_thick", "rh_thick", "volume"]
    assert list(select(write(tmp_path), "rh_*").values.columns) == ["rh_thick"]


def test_a_pattern_without_any_column_is_named_with_what_there_is(tmp_path):
    path = write(tmp_path)
    with pytest.raises(UsageError, match=r"no feature column matches x_\* .*lh_thick, rh_thick"):
        select(path, "lh_*", "x_*")
    with pytest.raises(UsageError, match="no feature column matches Diagnosis"):
        select(path, "Diagnosis")


def test_a_text_column_that_was_asked_for_is_an_error_that_names_a_cell(tmp_path):
    with pytest.raises(UnusableDataError, match="note: text, for instance 'ok' of sub-01"):
        select(write(tmp_path), "*")


def test_one_word_among_numbers_is_an_error_even_unasked(tmp_path):
    path = write(tmp_path, (HEADER + ROWS).replace("110", "1,10"))
    with pytest.raises(UnusableDataError, match="volume: text, for instance '1,10' of sub-02"):
        select(path)


def test_constant_and_non_finite_columns_are_all_named_in_one_message(tmp_path):
    text = "participant_id\tsite\ta\tb\tc\td\n1\tA\t1\t7\tinf\t1\n2\tB\tn/a\t7\t2\tnan\n"
    with pytest.raises(UnusableDataError) as caught:
        select(write(tmp_path, text))
    assert "a: 1 row(s) without a finite number, first sub-2" in str(caught.value)
    assert "b: constant, 7 in every row" in str(caught.value)
    assert "c: 1 row(s) without a finite number, first sub-1" in str(caught.value)
    assert "d: 1 row(s) without a finite number, first sub-2" in str(caught.value)


def test_labels_with_and_without_prefix_are_one_and_rows_alike_are_kept_once(tmp_path):
    text = "participant_id\tsession_id\tx\n1\tA\t1\nsub-1\tses-A\t1\n1\tB\t2\n2\tn/a\t3\n"
    rows = read_feature_rows(write(tmp_path, text))
    assert list(rows["participant_id"]) == ["sub-1", "sub-1", "sub-2"]
    assert list(rows["session_id"])[:2] == ["ses-A", "ses-B"]
    assert rows["session_id"].isna().tolist() == [False, False, True]


def test_rows_that_disagree_are_named(tmp_path):
    text = "participant_id\tx\n1\t1\nsub-1\t2\n2\t3\n"
    with pytest.raises(UnusableDataError, match="rows that disagree about sub-1; keep one"):
        read_feature_rows(write(tmp_path, text))


def test_a_table_without_participants_is_refused(tmp_path):
    with pytest.raises(UsageError, match="column participant_id missing; found: subject, x"):
        read_feature_rows(write(tmp_path, "subject\tx\n1\t2\n"))
    with pytest.raises(UnusableDataError, match="record 2 has no participant_id"):
        read_feature_rows(write(tmp_path, "participant_id\tx\n1\t2\nn/a\t3\n"))
    with pytest.raises(UnusableDataError, match="no row below the header"):
        read_feature_rows(write(tmp_path, "participant_id\tx\n"))


def test_a_column_that_stands_there_twice_is_refused(tmp_path):
    with pytest.raises(UsageError, match="stand there twice: x; keep one"):
        read_feature_rows(write(tmp_path, "participant_id\tx\tx\n1\t2\t3\n"))


OWN = (
    "filename\tparticipant_id\tsession_id\tsite\tarm\tfit\tgm_volume_ml\twm_volume_ml\n"
    "a1\tsub-01\tses-A\tA\traw\tn/a\t700\t500.5\n"
    "a1\tsub-01\tses-A\tA\tharmonized\thalf-1\t710\t502\n"
    "a2\tsub-01\tses-A\tA\traw\tn/a\t702\t500\n"
    "b\tsub-02\tn/a\tB\traw\tn/a\t650\t480\n"
)


def test_our_own_table_gives_one_arm_with_the_mean_over_the_scans_of_a_session(tmp_path):
    path = write(tmp_path, OWN)
    rows = read_feature_rows(path)
    assert list(rows.columns) == [
        "participant_id", "session_id", "site", "gm_volume_ml", "wm_volume_ml",
    ]  # fmt: skip
    found = select(path)
    assert np.array_equal(found.values.to_numpy(), [[701, 500.25], [650, 480]])
    assert found.skipped == ()
    other = read_feature_rows(path, arm="harmonized")
    assert other["gm_volume_ml"].tolist() == ["710.0"]
    assert rows["session_id"].isna().tolist() == [False, True]


def test_an_arm_that_our_table_lacks_is_named_with_those_it_has(tmp_path):
    path = write(tmp_path, "\n".join(line for line in OWN.splitlines() if "harm" not in line))
    with pytest.raises(UnusableDataError, match="no row of the arm harmonized; arms there: raw"):
        read_feature_rows(path, arm="harmonized")
    path = write(tmp_path, OWN.replace("700", "many"))
    with pytest.raises(UnusableDataError, match=r"is no number: .*many"):
        read_feature_rows(path)
