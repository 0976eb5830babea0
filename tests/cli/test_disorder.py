"""``--stages disorder subtypes``: what they need is told before any work, with its exit code."""

import logging

import pytest

from bids_harmonize.cli.main import main
from bids_harmonize.stages.case_control.arms import make_arms
from bids_harmonize.stages.case_control.cohort import make_cohort
from bids_harmonize.stages.case_control.keeping import keep_combat
from tests.bids.trees import two_sites, write_derivative
from tests.cli.standins import install
from tests.stages.disorder_tables import make_cases
from tests.stages.feature_tables import (
    make_feature_context,
    make_feature_settings,
    write_tsv,
)

N_PER_SITE = 7


@pytest.fixture
def on_images(tmp_path, capsys, caplog, monkeypatch):
    """The group level on a derivative of two sites with stand-ins for the stages."""
    calls = install(monkeypatch)
    output_dir = write_derivative(tmp_path / "out", two_sites(N_PER_SITE))

    def run(*words, groups=("HC", "SZ")):
        people = two_sites(N_PER_SITE)
        rows = "".join(f"{one}\t{groups[int(one[-1]) % len(groups)]}\n" for one in people)
        (output_dir / "participants.tsv").write_text(f"participant_id\tdx\n{rows}")
        caplog.set_level(logging.INFO)
        words = ["--min-per-site", "2", "--nprocs", "1", *map(str, words)]
        code = main(["-", str(output_dir), "group", *words])
        run.text = capsys.readouterr().err + caplog.text
        caplog.clear()
        return code

    run.calls, run.output_dir = calls, output_dir
    return run


def features_there(output_dir):
    (output_dir / "group_features.tsv").write_text("participant_id\tarm\n")


def test_they_run_by_default_where_a_group_and_features_are_known(on_images):
    features_there(on_images.output_dir)
    assert on_images("--group-column", "dx") == 0
    assert on_images.calls.stages[-2:] == ["disorder", "subtypes"]


def test_without_a_group_they_are_left_out_by_name(on_images):
    features_there(on_images.output_dir)
    assert on_images() == 0
    assert "stage disorder cannot run: it needs --group-column" in on_images.text
    assert "disorder" not in on_images.calls.stages
    assert on_images("--stages", "subtypes") == 65


def test_without_features_the_stage_that_writes_them_is_named(on_images):
    assert on_images("--group-column", "dx", "--stages", "disorder") == 65
    assert "it needs group_features.tsv, which features writes" in on_images.text
    assert on_images("--group-column", "dx", "--stages", "features", "disorder") == 0
    assert on_images.calls.stages == ["features", "disorder"]


def test_three_words_leave_them_out_of_a_run_that_does_all_it_can(on_images):
    features_there(on_images.output_dir)
    groups = ("HC", "SZ", "BD")
    assert on_images("--group-column", "dx", groups=groups) == 0
    assert "name its word, or several to take together, by --case-label" in on_images.text
    assert on_images.calls.stages[-1] == "evaluate"
    assert on_images("--group-column", "dx", "--stages", "disorder", groups=groups) == 2
    words = ("--group-column", "dx", "--case-label", "bd", "--stages", "disorder")
    assert on_images(*words, groups=groups) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--case-label", "SZ"), "--case-label: it goes with --group-column"),
        (("--covariates", "age", "--stages", "classify"), "add one to --stages"),
        (("--group-column", "dx", "--covariates", "iq"), "--covariates iq: no such column"),
        (("--group-column", "dx", "--case-label", "MDD"), "--case-label MDD: not in column dx"),
        (("--group-column", "dx", "--compare-map", "e=none.csv"), "e=none.csv: no such file"),
        (("--case-network",), "--case-network: it goes with --group-column"),
        (
            ("--group-column", "dx", "--case-network", "--stages", "subtypes"),
            "--case-network: the stage disorder uses it; add it to --stages",
        ),
        (("--feature-columns", "parcel_*"), "or with --stages disorder or subtypes"),
    ],
)
def test_what_cannot_be_done_gives_2_before_any_work(on_images, words, told):
    features_there(on_images.output_dir)
    assert on_images(*words) == 2
    assert told in on_images.text
    assert on_images.calls.stages == []


def test_a_published_map_is_read_before_any_work(on_images, tmp_path):
    features_there(on_images.output_dir)
    path = tmp_path / "map.csv"
    path.write_text("name,d\nL_insula,0.1\n")
    assert on_images("--group-column", "dx", "--compare-map", f"enigma={path}") == 2
    assert "expected a column feature, structure, region" in on_images.text


@pytest.fixture
def on_table(tmp_path, capsys):
    table = write_tsv(tmp_path / "table.tsv", make_cases(n_per_site=24))

    def run(*words, bids_dir="-"):
        words = ["--features", table, "--feature-columns", "lh_*", *words]
        out = tmp_path / "out"
        code = main([bids_dir, str(out), "group", "--effort", "quick", *map(str, words)])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        return code

    run.out = tmp_path / "out"
    return run


def test_a_table_gives_tables_a_model_and_a_page(on_table):
    words = ("--group-column", "diagnosis", "--stages", "disorder", "subtypes")
    assert on_table(*words) == 0
    assert (on_table.out / "group_casecontrol.tsv").is_file()
    assert (on_table.out / "group_subtypevalidity.tsv").is_file()
    assert (on_table.out / "models" / "combat" / "model.json").is_file()
    page = (on_table.out / "group.html").read_text()
    assert "cases were compared with 36 controls" in page
    assert on_table("--reports-only") == 0


def test_a_dry_run_names_the_tables_to_come(on_table):
    assert on_table("--group-column", "diagnosis", "--dry-run") == 0
    assert "stages: classify, disorder, subtypes" in on_table.printed
    assert "group_casecontrol.tsv" in on_table.printed
    assert not on_table.out.exists()


def test_a_table_without_a_group_is_classified_alone(on_table):
    assert on_table("--folds", "2") == 0
    assert "stage disorder cannot run: it needs --group-column" in on_table.text
    assert not (on_table.out / "group_casecontrol.tsv").exists()


def test_the_combat_of_a_run_is_for_its_sites_alone_and_for_this_stage(on_table, tmp_path):
    table, group = tmp_path / "table.tsv", {"group_column": "diagnosis"}
    settings = make_feature_settings(table, feature_columns=["lh_*"], **group)
    context = make_feature_context(tmp_path / "first", settings)
    cohort = make_cohort(context.studies[0], settings)
    keep_combat(context, cohort, make_arms(cohort).combat)
    words = ("--group-column", "diagnosis", "--model-dir", tmp_path / "first" / "models")
    assert on_table(*words, "--stages", "disorder", "classify") == 2
    assert "--stages classify cannot use --model-dir with --features" in on_table.text
    frame = make_cases(n_per_site=24)
    write_tsv(table, frame.replace({"site": {"Nara": "Oslo"}}))
    assert on_table(*words) == 65
    assert "does not know the site Oslo (24 participants)" in on_table.text
    write_tsv(table, frame[frame["site"] == "Kyoto"])
    assert on_table(*words, "--dry-run") == 0
    assert "stages: disorder\n" in on_table.printed
    assert "stage subtypes cannot run: with --model-dir a ComBat of another run" in on_table.text


def test_on_images_a_combat_needs_their_features(on_images, tmp_path):
    folder = tmp_path / "models" / "combat"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text('{"kind": "combat"}')
    words = ("--model-dir", folder.parent, "--stages", "disorder")
    assert on_images(*words) == 65
    assert "it needs --group-column" in on_images.text
    assert on_images(*words, "--group-column", "dx") == 65
    assert "it needs group_features.tsv, which features writes (without --model-dir)" in (
        on_images.text
    )
    features_there(on_images.output_dir)
    assert on_images(*words, "--group-column", "dx") == 0
    assert on_images.calls.stages == ["disorder"]
    (folder / "model.json").unlink()
    assert on_images(*words, "--group-column", "dx") == 2
    assert "with --stages disorder: no ComBat in it; expected the folder models/" in on_images.text
