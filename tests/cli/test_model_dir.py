"""``group --model-dir``: which studies may be asked about, and what is refused with which code."""

import json

import pytest

from bids_harmonize.cli.main import main
from tests.bids.trees import two_sites, write_derivative
from tests.cli.standins import install


@pytest.fixture
def calls(monkeypatch):
    return install(monkeypatch)


@pytest.fixture
def run(tmp_path, capsys):
    def run(*words, levels=("group",)):
        words = [str(word) for word in words]
        code = main(["-", str(tmp_path / "out"), *levels, "--nprocs", "1", *words])
        written = capsys.readouterr()
        run.text, run.printed = written.err, written.out
        return code

    return run


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models" / "classifier"
    folder.mkdir(parents=True)
    model = {"kind": "site_classifier", "voxel_size_mm": 4.0}
    (folder / "model.json").write_text(json.dumps(model))
    return folder.parent


@pytest.mark.parametrize("site", ["A", None])
def test_one_site_or_an_unknown_one_is_no_hindrance_and_others_wait(
    run, calls, models, tmp_path, site
):
    write_derivative(tmp_path / "out", dict.fromkeys(two_sites(2), site))
    assert run("--model-dir", models) == 0
    assert calls.stages == ["classify"]
    assert calls.context.study.trained_sites == ()
    assert {scan.site for scan in calls.context.study.scans} == {site or "n/a"}
    assert "stage harmonize cannot run: --model-dir" in run.text
    assert "no harmonizer in it" in run.text
    assert "stage evaluate cannot run: with --model-dir models of another run are" in run.text


def test_the_dry_run_lists_scans_that_are_asked_about(run, calls, models, tmp_path):
    write_derivative(tmp_path / "out", two_sites(2), doubtful=["sub-a1"])
    assert run("--model-dir", models / "classifier", "--dry-run") == 0
    assert run.printed.count("\tasked about") == 3
    assert "sub-a1" in run.printed
    assert "group_sitepredictions.tsv" in run.printed
    assert "siteSaliency" not in run.printed


def test_stages_that_apply_no_models_give_2(run, calls, models, tmp_path):
    write_derivative(tmp_path / "out", two_sites())
    assert run("--model-dir", models, "--stages", "classify", "harmonize", "evaluate") == 2
    assert "--stages evaluate cannot use --model-dir" in run.text
    assert "no harmonizer in it" in run.text
    assert calls.stages == []


def test_a_folder_without_a_classifier_gives_2(run, calls, models, tmp_path):
    assert run("--model-dir", tmp_path / "nowhere") == 2
    assert "nowhere: no such folder" in run.text
    assert run("--model-dir", tmp_path) == 2
    assert "no site classifier in it; expected the folder models/" in run.text
    other = tmp_path / "nyul_to-A"
    other.mkdir()
    (other / "model.json").write_text('{"kind": "harmonizer"}')
    assert run("--model-dir", other) == 2
    assert "no site classifier in it" in run.text


def test_another_resolution_than_the_models_gives_2(run, calls, models, tmp_path):
    write_derivative(tmp_path / "out", two_sites())
    assert run("--model-dir", models, "--network-resolution", "3") == 2
    assert "--network-resolution 3: the model" in run.text
    assert run("--model-dir", models, "--network-resolution", "4") == 0


def test_a_classifier_gives_the_participant_level_nothing_to_do(run, calls, models):
    assert run("--model-dir", models, levels=("participant",)) == 2
    assert "no harmonizer in it" in run.text
