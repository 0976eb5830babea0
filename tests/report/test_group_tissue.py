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


def tables(output_dir):
    blocks = tissue_section(read_group_inputs(output_dir)).blocks
    return {
        block.title: [[cell.text for cell in row] for row in block.rows]
        for block in blocks
        if isinstance(block, Table)
    }


def test_agreement_between_sites_is_told_for_whole_tissues(output_dir):
    shared = {"n": 6, "icc": 0.9, "icc_low": 0.5, "icc_high": 0.98}
    limits = {"bias": 4.2, "loa_low": 1.0, "loa_high": 7.4, "difference": 4.2}
    both = {"source_site": "Site B", "target_site": "Site A", **shared, **limits}
    over = {"source_site": "all", "target_site": "all", **shared, **dict.fromkeys(limits)}
    again = {**both, "source_site": "Site A", "method": "ceiling"}
    rows = [
        {"method": "identity", "feature": "gm_volume_ml", **both},
        {"method": "cyclegan", "feature": "gm_volume_ml", **over},
        {"feature": "csf_volume_ml", **again},
        {"method": "identity", "feature": "gm_left_frontal_lobe_volume_ml", **both},
    ]
    write_tsv(output_dir / "group_reliability.tsv", rows)
    found = tables(output_dir)["A person's volumes at two sites"]
    assert found == [
        [*("grey matter", "no harmonization", "Site B, Site A", "6"),
         *("0.90 (0.50 to 0.98)", "4.2 (1.0 to 7.4)", "4.2")],
        ["grey matter", "CycleGAN", "all sites", "6", "0.90 (0.50 to 0.98)", "n/a", "n/a"],
        [*("fluid", "scan and rescan", "Site A, twice", "6"),
         *("0.90 (0.50 to 0.98)", "4.2 (1.0 to 7.4)", "4.2")],
    ]  # fmt: skip


def test_biology_is_told_with_its_scheme_and_measure(output_dir):
    shared = {"low": 0.2, "high": 0.6, "p_permutation": 0.001, "n": 40, "value": 0.4}
    ridge = {"model": "ridge", "scheme": "within_site", **shared}
    network = {"model": "network", "scheme": "across_sites", **shared}
    rows = [
        {"method": "identity", "target": "sex", "metric": "auc", **ridge},
        {"method": "cyclegan", "target": "age", "metric": "r2", **ridge},
        {"method": "cyclegan", "target": "age", "metric": "r2", **network},
    ]
    write_tsv(output_dir / "group_biology.tsv", rows)
    assert [row[:6] for row in tables(output_dir)["Age, sex and group that are still read"]] == [
        [*("age", "network on images", "other people of all sites"),
         *("variance explained within sites", "CycleGAN", "0.40 (0.20 to 0.60)")],
        [*("age", "ridge on tissue volumes", "other people of the site"),
         *("variance explained within sites", "CycleGAN", "0.40 (0.20 to 0.60)")],
        [*("sex", "ridge on tissue volumes", "other people of the site"),
         *("AUC within sites", "no harmonization", "0.40 (0.20 to 0.60)")],
    ]  # fmt: skip


def test_what_networks_read_is_shown_without_any_tissue(output_dir):
    shared = {"low": 0.2, "high": 0.6, "p_permutation": 0.001, "n": 40, "value": 0.4}
    row = {"method": "identity", "target": "sex", "model": "network", "scheme": "leave_site_out"}
    write_tsv(output_dir / "group_biology.tsv", [{**row, "metric": "auc", **shared}])
    (output_dir / "group_features.tsv").unlink()
    shown = tables(output_dir)["Age, sex and group that are still read"]
    assert shown[0][:3] == ["sex", "network on images", "all other sites"]


def test_tables_that_are_not_there_are_missed_by_name(output_dir):
    found = " ".join(texts(tissue_section(read_group_inputs(output_dir))))
    assert "no group_reliability.tsv" in found
    assert "no group_biology.tsv" in found


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
