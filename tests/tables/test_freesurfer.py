"""What is read in a subjects directory, and what is said about subjects that cannot be."""

import hashlib
import shutil

import pytest

from bids_harmonize.errors import UnusableDataError
from bids_harmonize.tables.features import select_features
from bids_harmonize.tables.freesurfer import read_freesurfer
from tests.tables.folders import aparc_text, aseg_text, write_subject


@pytest.fixture
def subjects(tmp_path):
    """Two people; in the second everything is a little larger."""
    root = tmp_path / "freesurfer"
    write_subject(root, "sub-01")
    larger = {"lh": aparc_text(2.6), "rh": aparc_text(2.8), "aseg": aseg_text(10, 1.6e6)}
    write_subject(root, "sub-02", **larger)
    return root


def said(root):
    with pytest.raises(UnusableDataError) as caught:
        read_freesurfer(root)
    return str(caught.value)


def row(root, place=0):
    return read_freesurfer(root).rows.iloc[place].to_dict()


def test_thickness_area_volume_structures_and_head_size_become_columns(subjects):
    rows = read_freesurfer(subjects).rows
    assert list(rows.columns[:5]) == [
        *("participant_id", "session_id"),
        *("lh_bankssts_thickness", "lh_bankssts_area", "lh_bankssts_volume"),
    ]
    assert rows["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert rows["session_id"].isna().all()
    numbers = rows.drop(columns=["participant_id", "session_id"]).astype(float)
    sides = {"lh": {"bankssts": 2.5, "cuneus": 2.75}, "rh": {"bankssts": 2.75, "cuneus": 3.0}}
    cortex = {
        f"{side}_{region}_{word}": mean * per_mm
        for side, regions in sides.items()
        for region, mean in regions.items()
        for word, per_mm in (("thickness", 1), ("area", 280), ("volume", 800))
    }
    structures = {"Left-Hippocampus": 4000.5, "Right-Hippocampus": 4100.25}
    assert numbers.iloc[0].to_dict() == {**cortex, **structures, "eTIV": 1500000.5}
    assert numbers.loc[1, "Left-Hippocampus"] == 4010.5
    assert numbers.loc[1, "eTIV"] == 1600000


def test_cells_are_text_that_features_are_chosen_from_as_of_a_table(subjects):
    rows = read_freesurfer(subjects).rows
    assert rows.loc[0, "lh_cuneus_thickness"] == "2.75"
    found = select_features(rows, path=subjects, patterns=["*_thickness"], reserved=[])
    assert found.values.shape == (2, 4)
    assert found.values.loc[1, "rh_cuneus_thickness"] == pytest.approx(3.05, abs=1e-12)


def test_a_structure_that_nobody_has_is_left_out_and_told(subjects):
    found = read_freesurfer(subjects)
    assert "5th-Ventricle" not in found.rows.columns
    assert found.notes == ("left out, for 0 or without a number in everybody: 5th-Ventricle",)


def test_folders_are_participants_and_sessions_with_and_without_prefix(tmp_path):
    for name in ("sub-01_ses-A", "sub-01_ses-B", "OAS1_0002_MR1", "03_ses-A_acq-mprage"):
        write_subject(tmp_path, name)
    rows = read_freesurfer(tmp_path).rows
    keys = list(rows[["participant_id", "session_id"]].itertuples(index=False))
    assert keys[0] == ("sub-03", "ses-A")
    assert keys[1][0] == "sub-OAS1_0002_MR1"
    assert keys[2:] == [("sub-01", "ses-A"), ("sub-01", "ses-B")]


def test_templates_and_folders_without_stats_are_no_subjects(subjects):
    write_subject(subjects, "fsaverage")
    write_subject(subjects, "fsaverage5")
    (subjects / "sub-03" / "mri").mkdir(parents=True)
    found = read_freesurfer(subjects)
    assert found.rows["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert found.notes[0] == "left out, without a folder stats: sub-03"


def test_tables_of_fastsurfer_are_read_in_their_place(tmp_path):
    names = {f"{side}.aparc.DKTatlas.mapped.stats": aparc_text() for side in ("lh", "rh")}
    seg = aseg_text(etiv=None)
    nothing = {"lh": None, "rh": None, "aseg": None}
    write_subject(tmp_path, "sub-01", **nothing, **names, **{"aseg+DKT.stats": seg})
    found = row(tmp_path)
    assert float(found["lh_cuneus_thickness"]) == 2.75
    assert float(found["Left-Hippocampus"]) == 4000.5
    assert "eTIV" not in found


def test_a_segmentation_without_surfaces_gives_its_volumes(tmp_path):
    nothing = {"lh": None, "rh": None, "aseg": None}
    write_subject(tmp_path, "sub-01", **nothing, **{"aseg+DKT.stats": aseg_text(etiv=None)})
    assert list(row(tmp_path))[2:] == ["Left-Hippocampus", "Right-Hippocampus"]


def test_the_finer_parcellation_is_read_only_where_there_is_no_other(tmp_path):
    finer = {f"{side}.aparc.a2009s.stats": aparc_text(3, ["G_cuneus"]) for side in ("lh", "rh")}
    write_subject(tmp_path / "both", "sub-01", **finer)
    assert "lh_G_cuneus_thickness" not in row(tmp_path / "both")
    write_subject(tmp_path / "one", "sub-01", lh=None, rh=None, **finer)
    assert float(row(tmp_path / "one")["lh_G_cuneus_thickness"]) == 3
    assert "lh_cuneus_thickness" not in row(tmp_path / "one")


def test_longitudinal_runs_are_read_where_everybody_has_one(tmp_path):
    for name in ("sub-01", "sub-01_ses-A", "sub-02", "sub-02_ses-A"):
        write_subject(tmp_path, name)
    for name in ("sub-01_ses-A.long.sub-01", "sub-02_ses-A.long.sub-02"):
        write_subject(tmp_path, name, lh=aparc_text(2.0))
    found = read_freesurfer(tmp_path)
    assert found.rows["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert found.rows["session_id"].tolist() == ["ses-A", "ses-A"]
    assert found.rows["lh_bankssts_thickness"].tolist() == ["2.0", "2.0"]
    words = "left out, for the longitudinal runs are read: sub-01, sub-01_ses-A, sub-02, sub-02_"
    assert found.notes[0].startswith(words)


def test_cross_sectional_runs_are_read_where_not_everybody_has_a_longitudinal_one(tmp_path):
    for name in ("sub-01", "sub-01_ses-A", "sub-02_ses-A"):
        write_subject(tmp_path, name)
    write_subject(tmp_path, "sub-01_ses-A.long.sub-01", lh=aparc_text(2.0))
    found = read_freesurfer(tmp_path)
    assert found.rows["participant_id"].tolist() == ["sub-01", "sub-02"]
    assert found.rows["lh_bankssts_thickness"].tolist() == ["2.5", "2.5"]
    assert found.notes[0] == (
        "left out, for not everybody has a longitudinal run: sub-01, sub-01_ses-A.long.sub-01"
    )


def test_people_with_one_kind_of_run_and_people_with_the_other_cannot_be_mixed(tmp_path):
    write_subject(tmp_path, "sub-01_ses-A.long.sub-01")
    write_subject(tmp_path, "sub-02_ses-A")
    assert "sub-01_ses-A have longitudinal runs alone, and others" in said(tmp_path)


def test_all_faulty_subjects_are_named_at_once_with_what_is_wrong(subjects):
    write_subject(subjects, "sub-03", rh=None)
    write_subject(subjects, "sub-04", lh=aparc_text()[:-30], aseg=None)
    stats = write_subject(subjects, "sub-05", lh=None)
    (stats / "lh.aparc.stats").mkdir()
    write_subject(subjects, "sub-06", rh=aparc_text().replace("2.75", "thick"))
    write_subject(subjects, "sub-07", aseg="")
    write_subject(subjects, "sub-08", aseg=aseg_text().rsplit("\n", 2)[0] + "\n")
    write_subject(subjects, "sub-09", lh=aparc_text(regions=["cuneus", "cuneus"]))
    stats = write_subject(subjects, "sub-10", lh=None)
    (stats / "lh.aparc.stats").symlink_to(subjects / "annex" / "object")
    lines = said(subjects).splitlines()
    assert "8 of 10 subjects in the FreeSurfer results cannot be used; mend them" in lines[0]
    assert lines[1] == "  sub-03: rh.aparc.stats is missing"
    assert lines[2].startswith("  sub-04: lh.aparc.stats is cut short or garbled: 'cuneus")
    assert lines[2].endswith("should have 10 cells; aseg.stats is missing")
    assert lines[3].startswith("  sub-05: lh.aparc.stats cannot be read: Is a directory")
    assert lines[4] == "  sub-06: rh.aparc.stats holds 'thick' where a number should be"
    assert lines[5].startswith("  sub-07: aseg.stats has no column StructName, Volume_mm3 in a")
    assert lines[6] == "  sub-08: aseg.stats is cut short: 2 regions, expected 3"
    assert lines[7] == "  sub-09: lh.aparc.stats has cuneus twice"
    assert lines[8] == "  sub-10: lh.aparc.stats is a link to nothing; fetch it"
    assert len(lines) == 9


def test_other_regions_than_most_have_are_named(subjects):
    write_subject(subjects, "sub-03", lh=aparc_text(regions=["cuneus", "insula"]))
    names = ("area", "thickness", "volume")
    lacks = ", ".join(f"lh_bankssts_{name}" for name in names)
    beyond = ", ".join(f"lh_insula_{name}" for name in names)
    expected = f"  sub-03: lacks {lacks}; has {beyond} beyond what most have"
    assert said(subjects).splitlines()[1:] == [expected]


def test_two_folders_of_one_session_are_named(subjects):
    write_subject(subjects, "sub-02_run-2")
    lines = said(subjects).splitlines()
    assert lines[1] == "  sub-02: is the same participant and session as sub-02_run-2; keep one"
    assert lines[2] == "  sub-02_run-2: is the same participant and session as sub-02; keep one"


def test_the_hash_is_of_names_and_contents_of_what_was_read(subjects, tmp_path):
    names = [
        f"sub-{number}/stats/{name}"
        for number in ("01", "02")
        for name in ("aseg.stats", "lh.aparc.stats", "rh.aparc.stats")
    ]
    lines = [
        f"{name}\0{hashlib.sha256((subjects / name).read_bytes()).hexdigest()}\n" for name in names
    ]
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert read_freesurfer(subjects).sha256 == expected
    (subjects / "sub-01" / "stats" / "wmparc.stats").write_text("not read")
    shutil.copytree(subjects, tmp_path / "elsewhere")
    assert read_freesurfer(tmp_path / "elsewhere").sha256 == expected
    (subjects / "sub-01" / "stats" / "lh.aparc.stats").write_text(aparc_text(2.500001))
    assert read_freesurfer(subjects).sha256 != expected
