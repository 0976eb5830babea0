"""What is read in results of CAT12, and what is said about files that cannot be."""

import pytest

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.tables.cat12 import read_cat12, read_regions
from tests.tables.folders import REPORT, rois_text, volumes, write_image


def said(root):
    with pytest.raises(UnusableDataError) as caught:
        read_cat12(root)
    return str(caught.value)


@pytest.fixture
def results(tmp_path):
    root = tmp_path / "cat12"
    write_image(root, "sub-01_ses-A_T1w")
    write_image(root, "sub-02_ses-A_T1w", value=5.5, tiv=1600, thickness=2.75)
    return root


def test_volumes_thickness_and_head_size_become_columns(results):
    rows = read_cat12(results).rows
    assert rows["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert rows["session_id"].tolist() == ["ses-A", "ses-A"]
    numbers = rows.drop(columns=["participant_id", "session_id"]).astype(float)
    assert numbers.iloc[0].to_dict() == {
        "neuromorphometrics_Left-Hippocampus_Vgm": 4.5,
        "neuromorphometrics_Left-Hippocampus_Vcsf": 0.125,
        "neuromorphometrics_3rd-Ventricle_Vcsf": 2.25,
        "aparc_DK40_lbankssts_thickness": 2.5,
        "TIV": 1500.5,
    }
    assert numbers.loc[1, "TIV"] == 1600
    assert numbers.loc[1, "aparc_DK40_lbankssts_thickness"] == 2.75


def test_regions_without_a_number_in_everybody_are_left_out_and_told(results):
    (note,) = read_cat12(results).notes
    assert note == (
        "left out, for 0 or without a number in everybody: "
        "neuromorphometrics_3rd-Ventricle_Vgm, aparc_DK40_lunknown_thickness"
    )


def test_files_beside_the_images_in_the_label_folder_and_by_session_are_all_found(tmp_path):
    flat = tmp_path / "flat" / "sub-01" / "anat"
    flat.mkdir(parents=True)
    (flat / "catROI_sub-01_T1w.xml").write_text(rois_text(volumes()))
    (flat / "cat_sub-01_T1w.xml").write_text(REPORT.format(tiv=1400))
    write_image(tmp_path / "flat" / "sub-02" / "anat", "sub-02_T1w", tiv=1500, thickness=None)
    rows = read_cat12(tmp_path / "flat").rows
    assert rows["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert rows["TIV"].tolist() == ["1400", "1500"]
    own = read_cat12(tmp_path / "flat" / "sub-02" / "anat" / "label").rows
    assert own["TIV"].tolist() == ["1500"]


def test_names_of_realigned_images_and_names_unlike_bids_are_participants(tmp_path):
    for stem in ("rsub-01_ses-A_T1w", "IXI002-Guys-0828-T1"):
        write_image(tmp_path, stem)
    rows = read_cat12(tmp_path).rows
    assert rows["participant_id"].tolist() == ["sub-IXI002-Guys-0828-T1", "sub-01"]
    assert rows["session_id"].isna().tolist() == [True, False]


def test_regions_that_share_a_name_are_told_apart():
    text = rois_text({"cobra": {"Vgm": {"a b": 1.5, "c": 2.5}}}).replace(">c<", ">a b<")
    assert read_regions(text.encode()) == {"cobra_a-b_Vgm": "1.5", "cobra_a-b-2_Vgm": "2.5"}


def test_all_faulty_images_are_named_at_once_with_what_is_wrong(results):
    label = results / "label"
    for number, stem in enumerate(("cut", "dtd", "few", "none", "word", "report"), start=3):
        write_image(results, f"sub-{stem}", value=number)
    text = rois_text(volumes())
    (label / "catROI_sub-cut.xml").write_text(text[:200])
    (label / "catROI_sub-dtd.xml").write_text(
        text.replace("<S>", '<!DOCTYPE S [<!ENTITY x "1.5">]><S>').replace("4.5", "&x;")
    )
    (label / "catROI_sub-few.xml").write_text(text.replace("[4.5;0]", "[4.5]"))
    (label / "catROI_sub-none.xml").write_text("<S><neuromorphometrics /></S>")
    (label / "catROI_sub-word.xml").write_text(text.replace("[4.5;0]", "[many;0]"))
    (results / "report" / "cat_sub-report.xml").write_text("")
    lines = said(results).splitlines()
    assert "6 of 8 subjects in the CAT12 results cannot be used; mend them" in lines[0]
    assert lines[1].startswith("  sub-cut: catROI_sub-cut.xml is no XML, or is cut short: ")
    assert lines[2].startswith("  sub-dtd: catROI_sub-dtd.xml has a document type definition")
    assert lines[3].endswith("catROI_sub-few.xml has 2 names and 1 Vgm in neuromorphometrics")
    assert lines[4].endswith("has no atlas with Vgm, Vwm, Vcsf, thickness")
    assert lines[5].startswith("  sub-report: cat_sub-report.xml is no XML, or is cut short: ")
    assert lines[6].endswith("catROI_sub-word.xml holds 'many' where a number should be")


def test_an_image_without_a_report_or_surface_beside_others_that_have_them_is_named(results):
    write_image(results, "sub-03_ses-A_T1w", tiv=None, thickness=None)
    assert said(results).splitlines()[1] == (
        "  sub-03_ses-A_T1w: lacks TIV, aparc_DK40_lbankssts_thickness, "
        "aparc_DK40_lunknown_thickness"
    )


def test_one_image_in_two_folders_is_named(results):
    write_image(results / "again", "sub-02_ses-A_T1w")
    assert said(results).splitlines()[1:] == [
        "  sub-02_ses-A_T1w: lies in several folders: again/label, label; keep one"
    ]
