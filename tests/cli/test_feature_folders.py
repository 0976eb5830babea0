"""``group --features FOLDER``: results of other tools, from the command line to the tables."""

import json

import numpy as np
import pandas as pd
import pytest

from bids_harmonize.cli.main import main
from tests.tables.folders import aparc_text, aseg_text, write_image, write_subject

SITES = {"Kyoto": 2.4, "Leeds": 2.9}
"""Mean thickness (mm) that the scanner of each site gives."""


@pytest.fixture
def folder(tmp_path):
    """A subjects directory of 2 sites with 8 people each, without any site in it."""
    rng = np.random.default_rng(0)
    for site, thickness in SITES.items():
        for number in range(8):
            left, right = (round(thickness + x, 4) for x in rng.normal(scale=0.05, size=2))
            texts = {"lh": aparc_text(left), "rh": aparc_text(right)}
            extra, etiv = rng.normal(scale=100, size=2)
            aseg = aseg_text(extra, 1.5e6 + etiv)
            write_subject(tmp_path / "fs", f"sub-{site}{number}", **texts, aseg=aseg)
    return tmp_path / "fs"


@pytest.fixture
def people(folder):
    """Table of people as text; the second half of each site are patients."""
    rows = [
        f"sub-{site}{number}\t{site}\t{20 + number}\t{'control' if number < 6 else 'case'}\n"
        for site in SITES
        for number in range(8)
    ]
    return "participant_id\tsite\tage\tgroup\n" + "".join(rows)


@pytest.fixture
def run(tmp_path, capsys):
    def run(*words):
        words = [str(word) for word in words]
        code = main(["-", str(tmp_path / "out"), "group", "--folds", "2", *words])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        return code

    return run


def accuracy(out):
    frame = pd.read_csv(out / "group_siteclassification.tsv", sep="\t").set_index("model")
    rows = frame.loc[frame["split"] == "validation", "balanced_accuracy"]
    return rows["logistic"]


def test_a_subjects_directory_with_its_participants_names_the_site(run, folder, people, tmp_path):
    (folder / "participants.tsv").write_text(people)
    words = ("--stages", "classify", "--feature-columns", "*_thickness")
    assert run("--features", folder, *words) == 0
    out = tmp_path / "out"
    assert accuracy(out) == pytest.approx(1, abs=1e-9)
    assert "raw: 4 features, lh_bankssts_thickness to rh_cuneus_thickness" in run.text
    assert f"raw: people as in {folder}/participants.tsv" in run.text
    assert "left out, for 0 or without a number in everybody: 5th-Ventricle" in run.text
    description = json.loads((out / "group_siteclassification.json").read_text())
    source = description["images"]["Levels"]["raw"]
    assert source.startswith("FreeSurfer results in fs, sha256 ")
    toml = next((out / "logs").glob("*.toml")).read_text()
    assert f"# raw: {source}\n" in toml


def test_results_of_cat12_name_the_site_by_a_site_map(run, tmp_path):
    lines = ["participant_id\tsite"]
    for site, thickness in SITES.items():
        for number in range(8):
            own = {"value": 4 + number / 8, "tiv": 1500 + number, "thickness": thickness}
            write_image(tmp_path / "cat", f"sub-{site}{number}_T1w", **own)
            lines.append(f"{site}{number}\t{site}")
    (tmp_path / "map.tsv").write_text("\n".join(lines) + "\n")
    words = ("--site-map", tmp_path / "map.tsv", "--stages", "classify")
    assert run("--features", f"harmonized={tmp_path / 'cat'}", *words) == 0
    assert accuracy(tmp_path / "out") == pytest.approx(1, abs=1e-9)


def test_patients_are_held_back_by_the_group_in_participants_of_the_dataset(
    run, folder, people, tmp_path
):
    dataset = tmp_path / "study" / "derivatives"
    dataset.mkdir(parents=True)
    folder.rename(dataset / "fs")
    (tmp_path / "study" / "participants.tsv").write_text(people)
    words = ("--group-column", "group", "--stages", "classify")
    assert run("--features", dataset / "fs", *words) == 0
    assert "on controls alone (group = control): 12 of 16 eligible participants" in run.text
    assert f"people as in {tmp_path}/study/participants.tsv" in run.text


def test_people_whom_no_table_knows_are_listed_with_what_to_do(run, folder, people):
    lines = [line for line in people.splitlines(keepends=True) if "Leeds3" not in line]
    (folder.parent / "participants.tsv").write_text("".join(lines))
    assert run("--features", folder) == 65
    assert "the site of 1 of 16 rows is unknown:\n  sub-Leeds3\tn/a" in run.text
    assert "in a participants.tsv in this folder, beside it, of the dataset" in run.text


def test_faulty_subjects_give_65_and_are_all_named(run, folder, people):
    (folder / "participants.tsv").write_text(people)
    (folder / "sub-Kyoto1" / "stats" / "lh.aparc.stats").unlink()
    (folder / "sub-Leeds2" / "stats" / "aseg.stats").write_text("")
    assert run("--features", folder) == 65
    assert "  sub-Kyoto1: lh.aparc.stats is missing" in run.text
    assert "  sub-Leeds2: aseg.stats has no column StructName" in run.text


def test_a_folder_of_another_tool_gives_2(run, tmp_path):
    (tmp_path / "else").mkdir()
    assert run("--features", tmp_path / "else") == 2
    assert "neither a subjects directory of FreeSurfer or FastSurfer" in run.text


def test_the_dry_run_names_the_folder_and_what_it_holds(run, folder, people, tmp_path):
    (folder / "participants.tsv").write_text(people)
    assert run("--features", folder, "--dry-run") == 0
    assert f"raw\t{folder}\t16\t15\tKyoto, Leeds\t0" in run.printed
    assert not (tmp_path / "out").exists()
