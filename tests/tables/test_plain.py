import pytest

from bids_harmonize.errors import UsageError
from bids_harmonize.tables.plain import read_plain_table


def test_cells_are_text_and_equal_rows_stand_once(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes("\ufeffparticipant_id\tsite\r\n01\t007\r\n01\t007\r\n02\tn/a\r\n".encode())
    frame = read_plain_table(path, required=("participant_id", "site"))
    assert frame["participant_id"].tolist() == ["01", "02"]
    assert frame["site"].isna().tolist() == [False, True]
    assert frame.loc[0, "site"] == "007"


def test_missing_columns_are_named_with_those_there_are(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("participant_id,site\n01,A\n")
    with pytest.raises(
        UsageError, match=r"participant_id and site missing; found: participant_id,"
    ):
        read_plain_table(path, required=("participant_id", "site"))


@pytest.mark.parametrize("content", [None, b"", b"a\n\xff\n"])
def test_what_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "a.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.tsv: no table"):
        read_plain_table(path, required=("a",))
