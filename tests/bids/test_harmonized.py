"""What the tables and the descriptions of a dataset say of harmonized images."""

import json

import pytest

from bids_harmonize.bids.claims import Claims
from bids_harmonize.bids.files import write_json
from bids_harmonize.bids.harmonized import harmonized_sidecars, record_harmonized, sidecars_of
from bids_harmonize.bids.names import scan_output, scans_table
from bids_harmonize.bids.provenance import generated_by, keep_models
from bids_harmonize.bids.scans import scan_row, write_scan_rows
from bids_harmonize.bids.tables import read_tsv
from tests.bids.trees import MEASURES, write_derivative

SITES = {"sub-a1_ses-1": "A", "sub-a1_ses-1_run-2": "A", "sub-b1": "B"}


def sidecar(output_dir, stem, reference="Site B"):
    image = scan_output(output_dir, stem, "harmonized", reference=reference)
    return image.with_name(image.name.replace(".nii.gz", ".json"))


def make(output_dir, stem, reference="Site B", **changes):
    found = {
        "Harmonizer": "nyul",
        "HarmonizationModel": "nyul_to-SiteB",
        "HarmonizationReference": reference,
        "HarmonizationMethod": "nyul",
        "HarmonizationModelSha256": "abc",
        "HarmonizationUnseenSite": False,
        **changes,
    }
    write_json(sidecar(output_dir, stem, reference), found)


@pytest.fixture
def output_dir(tmp_path):
    return write_derivative(tmp_path, SITES)


def record(output_dir, stems=tuple(SITES)):
    with Claims(output_dir) as claims:
        record_harmonized(output_dir, stems, claims)


def test_sidecars_are_found_by_scan_and_not_by_the_start_of_a_name(output_dir):
    for stem in SITES:
        make(output_dir, stem)
    assert sidecars_of(output_dir, "sub-a1_ses-1") == [sidecar(output_dir, "sub-a1_ses-1")]
    assert len(list(harmonized_sidecars(output_dir))) == 3
    assert len(list(harmonized_sidecars(output_dir, ["sub-a1"]))) == 2


def test_rows_say_what_the_sidecars_say_and_nothing_else_changes(output_dir):
    facts = {"HarmonizationUnseenSite": True, "HarmonizationDistance": 2.5}
    make(output_dir, "sub-a1_ses-1", HarmonizationMethod="scaling", **facts)
    before = read_tsv(scans_table(output_dir, "sub-a1_ses-1"))
    record(output_dir)
    after = read_tsv(scans_table(output_dir, "sub-a1_ses-1"))
    row = after.iloc[0]
    assert (row["harmonized_to"], row["harmonization_method"]) == ("Site B", "scaling")
    assert (row["harmonization_model_sha256"], row["unseen_site"]) == ("abc", "true")
    assert row["harmonization_distance"] == "2.5"
    assert after.iloc[1].filter(like="harmoniz").isna().all()
    kept = [name for name in before.columns if "harmoniz" not in name and name != "unseen_site"]
    assert after[kept].equals(before[kept])
    described = json.loads(scans_table(output_dir, "sub-b1").with_suffix(".json").read_text())
    assert list(described) == list(read_tsv(scans_table(output_dir, "sub-b1")).columns)
    assert described["snr"] == MEASURES["snr"]


def test_an_image_that_is_gone_is_not_spoken_of_any_more(output_dir):
    make(output_dir, "sub-b1")
    record(output_dir)
    sidecar(output_dir, "sub-b1").unlink()
    record(output_dir)
    assert scan_row(output_dir, "sub-b1").cells["harmonized_to"] is None


def test_a_new_row_of_the_participant_level_keeps_what_is_said_of_the_image(output_dir):
    make(output_dir, "sub-b1")
    record(output_dir)
    write_scan_rows(output_dir, {"sub-b1": {"site": "C", "snr": 1.0}}, measures=MEASURES)
    cells = scan_row(output_dir, "sub-b1").cells
    assert (cells["site"], cells["harmonized_to"]) == ("C", "Site B")


def test_a_table_of_an_earlier_version_gets_the_columns(output_dir):
    make(output_dir, "sub-b1")
    path = scans_table(output_dir, "sub-b1")
    path.write_text("filename\tsite\tsettings_hash\tinput_sha256\n"
                    "anat/sub-b1_desc-preproc_T1w.nii.gz\tB\tx\ty\n")  # fmt: skip
    path.with_suffix(".json").unlink()
    record(output_dir)
    frame = read_tsv(path)
    assert frame["harmonized_to"].tolist() == ["Site B"]
    assert frame.columns[-2:].tolist() == ["settings_hash", "input_sha256"]


def test_the_dataset_names_the_model_that_stands_and_no_earlier_one(output_dir):
    path = output_dir / "dataset_description.json"
    write_json(path, {"Name": "x", "GeneratedBy": generated_by()})
    make(output_dir, "sub-b1", HarmonizationModel="cyclegan_to-SiteB")
    record(output_dir)
    make(output_dir, "sub-b1")
    record(output_dir)
    entries = json.loads(path.read_text())["GeneratedBy"]
    assert [entry["Name"] for entry in entries] == ["bids-harmonize", "nyul_to-SiteB"]
    assert "nyul to Site B; SHA-256 of its weights: abc" in entries[1]["Description"]
    assert "desc-harmonizedSiteB" in set(read_tsv(output_dir / "descriptions.tsv")["desc_id"])


def test_models_are_kept_until_others_take_their_place():
    stood = [{"Name": "bids-harmonize"}, {"Name": "nyul_to-B"}]
    assert keep_models(stood) == stood
    assert keep_models(stood, [{"Name": "n4_to-B"}]) == [stood[0], {"Name": "n4_to-B"}]
    assert keep_models("nonsense") == []
