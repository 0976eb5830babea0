from pathlib import Path

import pytest

from bids_harmonize.bids.names import (
    OUTPUTS,
    check_site_labels,
    combat_folder,
    crash_file,
    group_crash_file,
    group_output,
    harmonizer_folder,
    scan_output,
    scans_table,
    site_label,
    site_output,
)
from bids_harmonize.errors import SiteError

OUT = Path("out")


def test_output_of_a_scan_with_session_lies_in_the_session_folder():
    path = scan_output(OUT, "sub-01_ses-A_run-1", "preproc")
    assert path == OUT / "sub-01/ses-A/anat/sub-01_ses-A_run-1_desc-preproc_T1w.nii.gz"


def test_output_of_a_scan_without_session_lies_in_the_participant_folder():
    path = scan_output(OUT, "sub-01_acq-x", "head_mask")
    assert path == OUT / "sub-01/anat/sub-01_acq-x_desc-head_mask.nii.gz"


def test_harmonized_name_carries_the_label_of_the_reference():
    path = scan_output(OUT, "sub-01", "harmonized", reference="Site B-2")
    assert path.name == "sub-01_desc-harmonizedSiteB2_T1w.nii.gz"


@pytest.mark.parametrize(("output", "reference"), [("harmonized", None), ("preproc", "A")])
def test_a_reference_is_given_exactly_where_the_name_has_one(output, reference):
    with pytest.raises(ValueError, match="reference is"):
        scan_output(OUT, "sub-01", output, reference=reference)


def test_an_unknown_output_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="available: preproc, head_mask"):
        scan_output(OUT, "sub-01", "nothing")


def test_saliency_is_no_t1w():
    assert [key for key, row in OUTPUTS.items() if "aliency" in key and "T1w" in row.pattern] == []


def test_site_labels_keep_letters_and_digits_only():
    assert site_label("St. Mary's 3T") == "StMarys3T"


def test_a_site_without_letters_is_refused():
    with pytest.raises(SiteError, match="--site-map"):
        site_label("京都")


def test_sites_that_differ_by_case_only_are_refused():
    with pytest.raises(SiteError, match=r"'Site A' and 'site-a'.*label"):
        check_site_labels(["site-a", "B", "Site A"])


def test_labels_of_different_sites_are_returned():
    assert check_site_labels(["Site A", "B"]) == {"B": "B", "Site A": "SiteA"}


def test_other_paths_have_their_places():
    assert scans_table(OUT, "sub-01_ses-A_run-1") == OUT / "sub-01/ses-A/sub-01_ses-A_scans.tsv"
    assert scans_table(OUT, "sub-01") == OUT / "sub-01/sub-01_scans.tsv"
    assert group_output(OUT, "group_methods") == OUT / "group_methods.tsv"
    assert combat_folder(OUT) == OUT / "models/combat"
    assert harmonizer_folder(OUT, "cyclegan", "Site B") == OUT / "models/cyclegan_to-SiteB"
    assert site_output(OUT, "Site B", "site_mean") == OUT / (
        "tpl-SiteB/anat/tpl-SiteB_desc-mean_T1w.nii.gz"
    )
    assert crash_file(OUT, "sub-01_ses-A", "r1") == OUT / "sub-01/log/r1/crash-sub-01_ses-A.txt"
    group = group_crash_file(OUT, "sub-01_ses-A", "r1")
    assert group == OUT / "sub-01/log/r1/group-crash-sub-01_ses-A.txt"
