import json

import pytest

from bids_harmonize.bids.index import index_scans
from bids_harmonize.bids.scans import read_scan_rows
from bids_harmonize.bids.sites import group_sites, resolve_sites
from bids_harmonize.config import SelectionSettings, SiteSettings
from bids_harmonize.errors import SiteError, UnusableDataError
from tests.bids.trees import write_derivative, write_raw

STEMS = ("sub-01_ses-OXF1", "sub-01_ses-CAM1", "sub-02_ses-OXF1")
NOTHING = "participant_id\tage\nsub-01\t20\nsub-02\t30\n"


def find(raw, site_map=None, **settings):
    scans = index_scans(raw, selection=SelectionSettings())
    scans = resolve_sites(scans, raw, settings=SiteSettings(**settings), site_map=site_map)
    return {scan.stem: (scan.site, scan.site_source) for scan in scans}


@pytest.fixture
def raw(tmp_path):
    return write_raw(tmp_path / "raw", STEMS, participants=NOTHING)


def put_all_tables(raw):
    (raw / "participants.tsv").write_text("participant_id\tSite\nsub-01\tP\n02\tP\n")
    (raw / "sub-01/sub-01_sessions.tsv").write_text("session_id\tscanner\nses-OXF1\tS\n")
    (raw / "sub-01/ses-OXF1/sub-01_ses-OXF1_scans.tsv").write_text(
        "filename\tsite_id\nanat/sub-01_ses-OXF1_T1w.nii.gz\tF\n"
    )
    sidecar = {"InstitutionName": "M", "DeviceSerialNumber": 7}
    (raw / "T1w.json").write_text(json.dumps(sidecar))


def test_nothing_known_stays_unknown(raw):
    assert set(find(raw).values()) == {(None, None)}


def test_auto_takes_the_source_nearest_to_the_scan(raw):
    put_all_tables(raw)
    assert find(raw) == {
        "sub-01_ses-OXF1": ("F", "scans.tsv:site_id"),
        "sub-01_ses-CAM1": ("P", "participants.tsv:Site"),
        "sub-02_ses-OXF1": ("P", "participants.tsv:Site"),
    }


@pytest.mark.parametrize(
    ("source", "site", "told"),
    [
        ("scans", "F", "scans.tsv:site_id"),
        ("sessions", "S", "sessions.tsv:scanner"),
        ("participants", "P", "participants.tsv:Site"),
        ("metadata", "M 7", "sidecar:InstitutionName+DeviceSerialNumber"),
        ("session-label", "OXF1", "session-label"),
    ],
)
def test_a_source_that_is_asked_for_is_asked_alone(raw, source, site, told):
    put_all_tables(raw)
    found = find(raw, site_source=source)
    assert found["sub-01_ses-OXF1"] == (site, told)
    if source in ("scans", "sessions"):
        assert found["sub-02_ses-OXF1"] == (None, None)


def test_the_site_map_overrides_all_and_its_most_exact_entry_wins(raw):
    put_all_tables(raw)
    site_map = {"sub-01": "X", "sub-01_ses-OXF1": "Y"}
    found = find(raw, site_map, site_source="scans")
    assert [found[stem][0] for stem in STEMS] == ["Y", "X", None]
    assert found["sub-01_ses-CAM1"][1] == "site-map"


def test_the_site_is_cut_out_of_the_session_label(raw):
    found = find(raw, site_from_session=r"(?P<site>[A-Z]{3})\d")
    assert [found[stem][0] for stem in STEMS] == ["OXF", "CAM", "OXF"]


def test_keys_name_columns_in_any_case_and_are_joined(raw):
    (raw / "participants.tsv").write_text(
        "participant_id\tsite\tVendor\tField\nsub-01\tP\tGE\t3T\nsub-02\tP\tGE\tn/a\n"
    )
    found = find(raw, site_key=("vendor", "field"))
    assert found["sub-01_ses-CAM1"] == ("GE 3T", "participants.tsv:Vendor+Field")
    assert found["sub-02_ses-OXF1"][0] == "GE"


def test_the_first_known_column_is_taken(raw):
    (raw / "participants.tsv").write_text(
        "participant_id\tscanner\tSITE_ID\nsub-01\tprisma\t01\nsub-02\tprisma\tn/a\n"
    )
    found = find(raw)
    assert found["sub-01_ses-CAM1"] == ("01", "participants.tsv:SITE_ID")
    assert found["sub-02_ses-OXF1"] == (None, None)


def test_rows_that_disagree_are_named(raw):
    (raw / "participants.tsv").write_text("participant_id\tsite\nsub-01\tP\nsub-01\tQ\n")
    with pytest.raises(UnusableDataError, match=r"rows of sub-01 disagree.*P \| Q"):
        find(raw)


def group(output_dir, site_map=None, **settings):
    rows = read_scan_rows(output_dir)
    return group_sites(rows, output_dir, settings=SiteSettings(**settings), site_map=site_map)


def test_group_level_reads_what_the_participant_level_wrote(tmp_path):
    out = write_derivative(tmp_path, {"sub-01": "A", "sub-02": "B"})
    assert group(out) == {
        "sub-01": ("A", "participants.tsv:site"),
        "sub-02": ("B", "participants.tsv:site"),
    }


def test_group_level_takes_the_map_and_the_session_label_first(tmp_path):
    out = write_derivative(tmp_path, {"sub-01_ses-X1": "A", "sub-02_ses-Y1": None})
    assert group(out, {"sub-02": "M"})["sub-02_ses-Y1"] == ("M", "site-map")
    cut = group(out, site_from_session="(?P<site>[A-Z])")
    assert [site for site, _ in cut.values()] == ["X", "Y"]


def test_group_level_keeps_a_source_that_the_derivative_lacks_if_it_was_asked(tmp_path):
    out = write_derivative(tmp_path, {"sub-01": "A"}, site_source="sessions.tsv:scanner")
    assert group(out, site_source="sessions")["sub-01"][0] == "A"
    assert group(out, site_source="sessions", site_key=("scanner",))["sub-01"][0] == "A"
    with pytest.raises(SiteError):
        group(out, site_source="sessions", site_key=("coil",))


def test_unknown_sites_are_listed_with_where_they_could_be_read(tmp_path):
    out = write_derivative(tmp_path, {"sub-01_ses-X": "A", "sub-02_ses-Y": None})
    (out / "participants.tsv").write_text("participant_id\tcoil\nsub-01\t8\nsub-02\t32\n")
    with pytest.raises(SiteError) as raised:
        group(out)
    text = str(raised.value)
    assert "the site of 1 of 2 scans is unknown" in text
    assert "sub-02_ses-Y\tn/a" in text
    assert "participants.tsv, column coil (2 values)" in text
    assert "session labels (ses-X, ses-Y)" in text
