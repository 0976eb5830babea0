"""Which tables of people belong to features."""

import pytest

from bids_harmonize.stages.feature_table.people import people_tables


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "participants.tsv"
    path.write_text("participant_id\n")
    return path


@pytest.mark.parametrize(
    ("source", "holder"),
    [
        ("fs", "fs"),
        ("place/fs", "place"),
        ("study/derivatives/fs", "study"),
        ("study/derivatives/fmriprep/sourcedata/freesurfer", "study"),
        ("study/derivatives/fmriprep/sourcedata/freesurfer", "study/derivatives/fmriprep"),
    ],
)
def test_people_of_a_folder_are_looked_for_in_it_beside_it_and_in_its_datasets(
    tmp_path, source, holder
):
    (tmp_path / source).mkdir(parents=True)
    own = write(tmp_path / holder)
    last = write(tmp_path / "out")
    assert people_tables(tmp_path / source, tmp_path / "out") == (own, last)


def test_the_nearest_table_is_taken_and_none_from_elsewhere(tmp_path):
    (tmp_path / "study" / "results" / "fs").mkdir(parents=True)
    write(tmp_path / "study")
    assert people_tables(tmp_path / "study" / "results" / "fs", tmp_path / "out") == ()
    near = write(tmp_path / "study" / "results" / "fs")
    write(tmp_path / "study" / "results")
    assert people_tables(tmp_path / "study" / "results" / "fs", tmp_path / "out") == (near,)


def test_a_table_of_features_has_the_people_of_the_output_alone(tmp_path):
    write(tmp_path)
    table = tmp_path / "thickness.tsv"
    table.write_text("participant_id\n")
    assert people_tables(table, tmp_path / "out") == ()
    last = write(tmp_path / "out")
    assert people_tables(table, tmp_path / "out") == (last,)
    assert people_tables(tmp_path / "out", tmp_path / "out") == (last,)
