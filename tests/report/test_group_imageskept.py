"""The tables of who is recognised and what is left of lesions, or why they are not there."""

from bids_harmonize.report.group_blocks import Paragraph, Table
from bids_harmonize.report.group_imageskept import lesion_blocks, recognition_blocks
from bids_harmonize.report.group_inputs import read_group_inputs
from tests.report.site_fixture import write_tsv

ROW = {
    "source_site": "Site B", "target_site": "Site A", "n": 8, "gallery": 28, "rank1": 0.875,
    "low": 0.529, "high": 0.978, "within": 0.0571, "between": 0.3814, "nearer": 0.995,
}  # fmt: skip


def test_every_method_has_a_line_and_the_ceiling_is_told_in_words(tmp_path):
    ceiling = {**ROW, "method": "ceiling", "source_site": "Site A", "rank1": 1.0, "low": 0.676}
    write_tsv(
        tmp_path / "group_reidentification.tsv",
        [{**ROW, "method": "identity"}, {**ceiling, "high": 1.0}],
    )
    (table,) = recognition_blocks(read_group_inputs(tmp_path))
    assert isinstance(table, Table)
    second, first = [[cell.text for cell in row] for row in table.rows]
    assert first[1:] == [
        *("Site B in Site A", "8", "87.5 % (52.9 to 97.8)", "28", "99.5 %", "0.057, 0.381"),
    ]
    assert second[:2] == ["scan and rescan", "Site A, twice"]


def test_lesions_are_told_by_method_site_and_kind(tmp_path):
    lesion = {"method": "cyclegan", "source_site": "Site B", "n": 5, "away": 0.0124}
    for name, value in (("contrast", 0.92), ("volume", 1.04)):
        lesion |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}
    rows = [{**lesion, "lesion": kind} for kind in ("bright", "dark")]
    write_tsv(tmp_path / "group_lesions.tsv", rows)
    (table,) = lesion_blocks(read_group_inputs(tmp_path))
    assert isinstance(table, Table)
    assert [cell.text for cell in table.rows[1]][1:] == [
        *("Site B", "dark", "5", "0.92 (0.87 to 0.97)", "1.04 (0.99 to 1.09)", "0.012")
    ]


def test_without_the_table_one_sentence_says_why(tmp_path):
    write_tsv(tmp_path / "group_quality.tsv", [{"participant_id": "sub-1"}])
    assert recognition_blocks(read_group_inputs(tmp_path)) == []
    write_tsv(tmp_path / "group_travelling.tsv", [{"participant_id": "sub-1", "value": 20.0}])
    (block,) = recognition_blocks(read_group_inputs(tmp_path))
    assert isinstance(block, Paragraph)
    assert "There is no group_reidentification.tsv" in block.text
