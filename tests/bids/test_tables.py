import json

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.bids.tables import read_tsv, write_table
from bids_harmonize.errors import UnusableDataError


def test_labels_that_look_like_numbers_or_missing_values_survive(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("participant_id\tsite\nsub-01\t01\nsub-02\tNA\nsub-03\tn/a\nsub-04\t\n")
    frame = read_tsv(path)
    assert frame["site"].tolist()[:2] == ["01", "NA"]
    assert frame["site"].isna().tolist() == [False, False, True, True]


def test_byte_order_mark_windows_lines_and_blanks_do_no_harm(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes("\ufeffparticipant_id\tsite \r\nsub-01\t Kyōto \r\n\r\n".encode())
    frame = read_tsv(path)
    assert frame.to_dict("list") == {"participant_id": ["sub-01"], "site": ["Kyōto"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "No columns"),
        (b"a\tb\n1\t2\t3\n", "Expected 2 fields"),
        (b"a\ta\n1\t2\n", "repeated names"),
        (b"a\t\n1\t2\n", "empty or repeated"),
        (b"a\n\xff\xfe\n", "utf-8"),
    ],
)
def test_broken_tables_are_named(tmp_path, content, words):
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    with pytest.raises(UnusableDataError, match=words):
        read_tsv(path)


def test_an_absent_table_is_named(tmp_path):
    with pytest.raises(UnusableDataError, match=r"a\.tsv"):
        read_tsv(tmp_path / "a.tsv")


def test_missing_values_are_written_as_n_a_and_every_column_is_described(tmp_path):
    frame = pd.DataFrame(
        {
            "x": [0.1, np.nan, np.inf],
            "n": [1, 2, 3],
            "ok": [True, False, True],
            "s": ["a", None, "b"],
        }
    )
    columns = {name: {"Description": name.upper()} for name in ("s", "x", "n", "ok")}
    write_table(tmp_path / "t.tsv", frame, columns)
    assert (tmp_path / "t.tsv").read_text() == (
        "s\tx\tn\tok\na\t0.1\t1\ttrue\nn/a\tn/a\t2\tfalse\nb\tn/a\t3\ttrue\n"
    )
    assert json.loads((tmp_path / "t.json").read_text()) == columns


def test_a_table_without_rows_keeps_its_header(tmp_path):
    write_table(tmp_path / "t.tsv", pd.DataFrame(columns=["a"]), {"a": {"Description": "A"}})
    assert (tmp_path / "t.tsv").read_text() == "a\n"
    assert list(read_tsv(tmp_path / "t.tsv").columns) == ["a"]


def test_a_column_without_description_is_refused(tmp_path):
    with pytest.raises(ValueError, match="differ in: b"):
        write_table(tmp_path / "t.tsv", pd.DataFrame({"a": [1], "b": [2]}), {"a": {}})


def test_an_unchanged_table_is_not_written_again(tmp_path):
    frame, columns = pd.DataFrame({"a": [1]}), {"a": {"Description": "A"}}
    write_table(tmp_path / "t.tsv", frame, columns)
    before = (tmp_path / "t.tsv").stat().st_ino
    write_table(tmp_path / "t.tsv", frame, columns)
    assert (tmp_path / "t.tsv").stat().st_ino == before
