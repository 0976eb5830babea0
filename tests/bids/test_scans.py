import json

import pytest

from bids_harmonize.bids.scans import read_scan_rows, scan_row, write_scan_rows
from tests.bids.trees import MEASURES


def test_rows_of_other_scans_of_the_session_stay(tmp_path):
    for run, snr in ((2, 5.0), (1, 4.0), (2, 6.0)):
        write_scan_rows(tmp_path, {f"sub-01_run-{run}": {"snr": snr}}, measures=MEASURES)
    rows = read_scan_rows(tmp_path)
    assert [(row.stem, row.quality()["snr"]) for row in rows] == [
        ("sub-01_run-1", 4.0),
        ("sub-01_run-2", 6.0),
    ]
    assert scan_row(tmp_path, "sub-01_run-1") == rows[0]
    assert scan_row(tmp_path, "sub-01_run-3") is None


def test_every_column_is_described_and_names_an_image_beside_the_table(tmp_path):
    write_scan_rows(tmp_path, {"sub-01_ses-A": {"site": "X"}}, measures=MEASURES)
    table = tmp_path / "sub-01/ses-A/sub-01_ses-A_scans.tsv"
    header, row = (line.split("\t") for line in table.read_text().splitlines())
    assert header == list(json.loads(table.with_suffix(".json").read_text()))
    assert row[:2] == ["anat/sub-01_ses-A_desc-preproc_T1w.nii.gz", "X"]


def test_a_cell_without_a_column_is_refused(tmp_path):
    with pytest.raises(ValueError, match="without a description: cnr"):
        write_scan_rows(tmp_path, {"sub-01": {"cnr": 1}}, measures=MEASURES)


@pytest.mark.parametrize("content", ["", "filename\tsnr\n", "filename\tsite\na\tb\tc\n"])
def test_a_damaged_table_is_put_aside_and_made_anew(content, tmp_path, caplog):
    table = tmp_path / "sub-01/sub-01_scans.tsv"
    table.parent.mkdir()
    table.write_text(content)
    write_scan_rows(tmp_path, {"sub-01": {"site": "X"}}, measures=MEASURES)
    assert [row.cells["site"] for row in read_scan_rows(tmp_path)] == ["X"]
    assert (tmp_path / "logs/damaged_sub-01_scans.tsv").read_text() == content
    assert "made anew" in caplog.text


@pytest.mark.parametrize(
    ("head", "brain", "doubtful"),
    [(True, False, True), (False, True, True), (False, False, False), (None, None, False)],
)
def test_one_doubtful_mask_makes_a_doubtful_scan(head, brain, doubtful, tmp_path):
    cells = {"head_mask_doubtful": head, "brain_mask_doubtful": brain}
    write_scan_rows(tmp_path, {"sub-01": cells}, measures=MEASURES)
    assert scan_row(tmp_path, "sub-01").doubtful is doubtful
