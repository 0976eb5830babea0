"""``group --features``: no image is opened; every wrong table once, with its exit code."""

import json

import pytest

from bids_harmonize.cli.main import main
from tests.bids.trees import two_sites, write_derivative
from tests.stages.feature_tables import make_table, write_tsv


@pytest.fixture
def table(tmp_path):
    return write_tsv(tmp_path / "thickness.tsv", make_table(effect=4.0))


@pytest.fixture
def run(tmp_path, capsys):
    def run(*words, levels=("group",), bids_dir="-"):
        words = [str(word) for word in words]
        code = main([bids_dir, str(tmp_path / "out"), *levels, "--folds", "2", *words])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        return code

    return run


def test_a_table_alone_gives_tables_a_log_and_a_page(run, table, tmp_path):
    assert run("--features", table) == 0
    assert "stage harmonize cannot run: it needs images" in run.text
    assert "stage evaluate cannot run: it needs images" in run.text
    assert "balanced accuracy 0.9" in run.text or "balanced accuracy 1.0" in run.text
    assert run.text.strip().endswith("(exit code 0)")
    out = tmp_path / "out"
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert "SourceDatasets" not in description
    assert (out / "group_siteclassification.tsv").is_file()
    assert "class=" in (out / "group.html").read_text()
    toml = next((out / "logs").glob("*.toml")).read_text()
    assert "# raw: feature table thickness.tsv, sha256 " in toml
    assert not list(out.glob("sub-*"))
    assert not (out / "group_quality.tsv").exists()
    assert run("--reports-only") == 0


def test_the_settings_of_a_run_can_be_given_again(run, table, tmp_path):
    assert run("--features", f"harmonized={table}", "--feature-columns", "f0*,f1*") == 0
    toml = next((tmp_path / "out" / "logs").glob("*.toml"))
    assert run("--config-file", toml) == 0
    assert "harmonized: 2 features" in run.text


def test_the_participant_level_that_stands_there_is_left_alone(run, table, tmp_path):
    write_derivative(tmp_path / "out", two_sites())
    path = tmp_path / "out" / "dataset_description.json"
    path.write_text('{"Name": "mine", "SourceDatasets": [{"URL": "x"}]}')
    assert run("--features", table) == 0
    assert json.loads(path.read_text())["Name"] == "mine"


def test_the_dry_run_names_the_table_and_writes_nothing(run, table, tmp_path):
    assert run("--features", table, "--dry-run") == 0
    assert f"raw\t{table}\t36\t6\tKyoto, Leeds, Nara\t0" in run.printed
    assert "group_siterecall.tsv" in run.printed
    assert not (tmp_path / "out").exists()


def test_stages_that_need_images_give_65_when_asked_for_by_name(run, table):
    assert run("--features", table, "--stages", "classify", "harmonize") == 65
    assert "stage harmonize cannot run: it needs images" in run.text


def test_wrong_use_gives_2_and_names_all_faults(run, table, tmp_path):
    assert run("--features", tmp_path / "no.tsv") == 2
    assert "no.tsv: no such file" in run.text
    assert run("--feature-columns", "f*") == 2
    assert "--feature-columns goes with --features" in run.text
    assert run("--features", f"cleaned={table}") == 2
    assert "expected PATH or ARM=PATH, where ARM is raw or harmonized" in run.text
    assert run("--features", table, f"raw={tmp_path}/other.tsv") == 2
    assert "the arm raw is both" in run.text
    assert run("--features", table, "--site-source", "metadata") == 2
    assert "--site-source metadata goes ill with --features" in run.text
    assert run("--features", table, "--model-dir", tmp_path) == 2
    assert f"--model-dir {tmp_path} with --features: no ComBat in it; expected" in run.text
    assert not (tmp_path / "out").exists()


def test_the_participant_level_has_nothing_to_do_with_tables(run, table, tmp_path):
    assert run("--features", table, levels=("participant", "group"), bids_dir=str(tmp_path)) == 2
    assert "nothing for the participant level to do" in run.text


def test_a_table_without_participants_gives_2(run, tmp_path):
    path = write_tsv(tmp_path / "t.tsv", make_table().rename(columns={"participant_id": "who"}))
    assert run("--features", path) == 2
    assert "column participant_id missing" in run.text


def test_a_pattern_without_a_column_gives_2(run, table):
    assert run("--features", table, "--feature-columns", "*_volume") == 2
    assert "no feature column matches *_volume" in run.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="site"), "the site of 36 of 36 rows is unknown"),
        (lambda t: t[t["site"] == "Nara"], "1 site(s) can be trained"),
        (lambda t: t.replace({"sub-Kyoto1": "sub-Kyoto0"}), "rows that disagree about sub-Kyoto0"),
        (lambda t: t.assign(f0_thickness="thin"), "f0_thickness: text, for instance 'thin'"),
        (lambda t: t.assign(f0_thickness=2.5), "f0_thickness: constant, 2.5 in every row"),
        (lambda t: t.assign(f0_thickness="inf"), "36 row(s) without a finite number"),
    ],
    ids=["no site", "one site", "duplicates", "text", "constant", "infinite"],
)
def test_a_table_that_cannot_be_used_gives_65_and_says_why(run, tmp_path, change, words):
    path = write_tsv(tmp_path / "t.tsv", change(make_table()))
    assert run("--features", path, "--feature-columns", "*_thickness") == 65
    assert words in run.text
    assert run.text.strip().endswith("(exit code 65)")
