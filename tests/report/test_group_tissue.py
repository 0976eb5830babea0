"""The section on tissue volumes: means over people by site and arm, and what was not measured."""

import json

import pandas as pd
import pytest

from bids_harmonize.report.group import make_group_page
from bids_harmonize.report.group_about import group_methods
from bids_harmonize.report.group_blocks import Paragraph, Table
from bids_harmonize.report.group_inputs import read_group_inputs
from bids_harmonize.report.group_tissue import tissue_section
from tests.report.group_fixture import write_participants
from tests.report.site_fixture import write_tsv

VOLUMES = {
    ("sub-01", "Site A", "raw"): (700.0, 704.0),
    ("sub-02", "Site A", "raw"): (722.0,),
    ("sub-01", "Site A", "harmonized"): (690.0, 690.0),
    ("sub-07", "Site B", "raw"): (650.0,),
}


@pytest.fixture
def output_dir(tmp_path):
    write_participants(tmp_path)
    rows = [
        {
            "filename": f"{person}_{number}", "participant_id": person, "session_id": None,
            "site": site, "arm": arm, "fit": None, "csf_volume_ml": 250.0, "gm_volume_ml": grey,
            "wm_volume_ml": 500.0, "intracranial_volume_ml": 750 + grey,
        }
        for (person, site, arm), greys in VOLUMES.items()
        for number, grey in enumerate(greys)
    ]  # fmt: skip
    write_tsv(tmp_path / "group_features.tsv", rows)
    return tmp_path


def describe(output_dir, **arm):
    content = {"filename": {"LeftOut": {"sub-09": "tissue doubtful"}}, "arm": arm}
    (output_dir / "group_features.json").write_text(json.dumps(content))


def texts(section):
    return [block.text for block in section.blocks if isinstance(block, Paragraph)]


def test_volumes_are_means_over_people_not_over_scans(output_dir):
    section = tissue_section(read_group_inputs(output_dir))
    (table,) = [block for block in section.blocks if isinstance(block, Table)]
    rows = [[cell.text for cell in row] for row in table.rows]
    spread = pd.Series([702.0, 722.0]).std()
    assert rows == [
        ["Site A", "raw", "2", "3", "250 (0)", f"712 ({spread:.0f})", "500 (0)", "1462 (14)"],
        ["Site A", "harmonized", "1", "2", "250 (n/a)", "690 (n/a)", "500 (n/a)", "1440 (n/a)"],
        ["Site B", "raw", "1", "1", "250 (n/a)", "650 (n/a)", "500 (n/a)", "1400 (n/a)"],
    ]


def test_a_sample_missing_halves_and_scans_left_out_are_said(output_dir):
    describe(output_dir, Effort="quick", Sample="8 scans a site", NotHarmonized="too few people")
    found = " ".join(texts(tissue_section(read_group_inputs(output_dir))))
    assert "Not every scan was measured (8 scans a site)." in found
    assert "Only travelling subjects have a harmonized row: too few people." in found
    assert "Left out of both arms: sub-09 (tissue doubtful)." in found
    describe(output_dir, Effort="full", Sample="every scan")
    assert "Not every scan" not in " ".join(texts(tissue_section(read_group_inputs(output_dir))))


def test_the_page_and_the_methods_paragraph_name_it_only_where_it_was_done(output_dir):
    inputs = read_group_inputs(output_dir)
    assert "Tissue by site and arm" in make_group_page(inputs)
    assert "Volumes of grey matter" in group_methods(inputs)[0][-1]
    (output_dir / "group_features.tsv").unlink()
    inputs = read_group_inputs(output_dir)
    assert "the stage features has not run" in make_group_page(inputs)
    assert not any("Volumes of grey matter" in text for text in group_methods(inputs)[0])
