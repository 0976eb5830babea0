"""The group's page where a model of another run made the harmonized images."""

import pytest

from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.names import scans_table
from bids_harmonize.bids.provenance import generated_by, keep_models
from bids_harmonize.bids.scans import fill_scan_rows
from bids_harmonize.report.group_about import group_methods
from bids_harmonize.report.group_applied import applied_words
from bids_harmonize.report.group_harmonization import harmonization_section
from bids_harmonize.report.group_headline import headline_section
from bids_harmonize.report.group_inputs import read_group_inputs
from tests.bids.trees import two_sites, write_derivative


@pytest.fixture
def applied(tmp_path):
    """Ten scans, of which three were harmonized, one of them of an unseen site."""
    write_derivative(tmp_path, two_sites())
    for number, unseen in ((1, False), (2, False), (3, True)):
        cells = {"harmonized_to": "Site Z", "harmonization_method": "cyclegan"}
        cells |= {"harmonization_model_sha256": "abc", "unseen_site": unseen}
        stem = f"sub-a{number}"
        fill_scan_rows(
            scans_table(tmp_path, stem), {stem: {**cells, "harmonization_distance": None}}
        )
    made = keep_models(generated_by(), [{"Name": "cyclegan_to-SiteZ"}])
    write_json(tmp_path / "dataset_description.json", {"Name": "x", "GeneratedBy": made})
    return read_group_inputs(tmp_path)


def test_the_page_says_which_model_did_it_and_that_nothing_was_measured(applied):
    words = applied_words(applied)
    assert "3 of 10 scans were brought to the look of Site Z by a model of another run" in words
    assert "(cyclegan_to-SiteZ)" in words
    assert "on no scan of the site of 1 of them" in words
    assert "nothing was measured on these scans" in words
    assert harmonization_section(applied).blocks[0].text == words
    assert words in headline_section(applied).blocks[0].text
    assert words in group_methods(applied)[0]


def test_without_harmonized_images_nothing_is_said_of_a_model(tmp_path):
    inputs = read_group_inputs(write_derivative(tmp_path, two_sites()))
    assert applied_words(inputs) == ""
    assert "has not run" in harmonization_section(inputs).blocks[0].text
