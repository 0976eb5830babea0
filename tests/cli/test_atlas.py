"""``group --atlas``: what contradicts it is told before any work."""

import pytest

from bids_harmonize.cli.main import main
from tests.bids.trees import two_sites, write_derivative
from tests.cli.standins import install


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    calls = install(monkeypatch)
    (tmp_path / "a.nii").write_bytes(b"x")
    write_derivative(tmp_path / "out", two_sites())

    def run(*words, levels=("group",)):
        words = [str(word) for word in words]
        code = main(["-", str(tmp_path / "out"), *levels, "--nprocs", "1", *words])
        run.text = capsys.readouterr().err
        return code

    run.calls = calls
    return run


def test_the_stage_gets_the_path(run, tmp_path):
    assert run("--atlas", tmp_path / "a.nii", "--stages", "classify") == 0
    assert run.calls.context.settings.group.atlas == str(tmp_path / "a.nii")


def test_everything_that_makes_it_useless_is_told_at_once_and_gives_2(run, tmp_path):
    words = ("--model-dir", tmp_path / "none", "--stages", "evaluate")
    assert run("--atlas", tmp_path / "b.nii", *words, levels=("participant",)) == 2
    for fault in (
        "b.nii: no such file",
        "--atlas: the group level uses it",
        "--atlas: --model-dir looks at no region",
        "--atlas: the stages classify and features use it; add one to --stages",
    ):
        assert fault in run.text
    assert run.calls.stages == []


def test_a_table_of_features_has_no_map_to_name_regions_of(run, tmp_path):
    (tmp_path / "t.tsv").write_text("participant_id\tsite\tx\n")
    assert run("--atlas", tmp_path / "a.nii", "--features", tmp_path / "t.tsv") == 2
    assert "--features has no image" in run.text
