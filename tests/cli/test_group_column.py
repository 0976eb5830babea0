"""``group --group-column``: who is a control is checked before any work, and told."""

import logging

import pytest

from bids_harmonize.cli.main import main
from tests.bids.trees import two_sites, write_derivative
from tests.cli.standins import install

N_PER_SITE = 7


@pytest.fixture
def run(tmp_path, capsys, caplog, monkeypatch):
    calls = install(monkeypatch)
    output_dir = write_derivative(tmp_path / "out", two_sites(N_PER_SITE))
    groups = {person: "HC" if person[-1] <= "5" else "SZ" for person in two_sites(N_PER_SITE)}
    write_groups(output_dir, groups)

    def run(*words, levels=("group",)):
        caplog.set_level(logging.INFO)
        code = main(["-", str(output_dir), *levels, "--nprocs", "1", *map(str, words)])
        captured = capsys.readouterr()
        run.text, run.printed = captured.err + caplog.text, captured.out
        caplog.clear()
        return code

    run.calls, run.output_dir = calls, output_dir
    return run


def write_groups(output_dir, groups):
    rows = "".join(f"{person}\t{group}\n" for person, group in groups.items())
    (output_dir / "participants.tsv").write_text(f"participant_id\tdiagnosis\n{rows}")


def test_the_stages_get_a_study_fitted_on_controls(run):
    assert run("--group-column", "diagnosis") == 0
    study = run.calls.context.study
    assert study.held_back == {"sub-a6", "sub-a7", "sub-b6", "sub-b7"}
    assert "column diagnosis: controls are 10 HC; others: 4 SZ" in run.text
    assert "controls alone (diagnosis = HC): 10 of 14 eligible participants" in run.text
    assert "site A (reference): participants to train on: 5" in run.text


def test_without_it_everybody_trains_and_the_candidate_is_named(run):
    assert run() == 0
    assert run.calls.context.study.held_back == frozenset()
    assert "has a column diagnosis (HC, SZ): with --group-column diagnosis" in run.text


def test_too_few_controls_let_everybody_train_with_a_warning(run):
    assert run("--group-column", "diagnosis", "--min-per-site", "6") == 0
    assert run.calls.context.study.held_back == frozenset()
    assert "A has 5, B has 5" in run.text
    assert "WARNING" in run.text


def test_a_dry_run_names_those_who_are_held_back(run):
    assert run("--group-column", "diagnosis", "--dry-run") == 0
    assert run.printed.count("\tno control, held back") == 4
    assert "10 of 14 eligible participants" in run.printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--group-column", "dose"), "--group-column dose: no such column"),
        (("--group-column", "diagnosis", "--control-label", "well"), "HC (10), SZ (4)"),
        (("--control-label", "HC"), "--control-label goes with --group-column"),
    ],
)
def test_what_cannot_be_told_gives_2_before_any_work(run, words, told):
    assert run(*words) == 2
    assert told in run.text
    assert run.calls.stages == []


def test_where_nothing_is_fitted_it_would_do_nothing(run, tmp_path):
    words = ("--group-column", "diagnosis", "--model-dir", tmp_path)
    assert run(*words, levels=("participant",)) == 2
    assert "--group-column: the group level uses it" in run.text
    assert "--model-dir fits nothing" in run.text
