"""``--judge``: what is refused together before any work, and with which code."""

import pytest

from bids_harmonize.cli.main import main
from bids_harmonize.cli.parser import parse
from bids_harmonize.cli.request import make_request
from bids_harmonize.config import dump_toml
from bids_harmonize.errors import UsageError
from tests.bids.trees import two_sites, write_derivative
from tests.cli.standins import install


def request(*words, levels=("group",)):
    return make_request(parse(["-", "out", *levels, *map(str, words)]))


def test_tools_are_kept_in_the_order_of_the_command_line(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    named = (f"two={tmp_path / 'b'}:x", f"one={tmp_path / 'a'}")
    settings = request("--judge", *named).settings
    assert list(settings.group.judge.items()) == [
        ("two", f"{tmp_path / 'b'}:x"),
        ("one", str(tmp_path / "a")),
    ]
    path = tmp_path / "run.toml"
    path.write_text(dump_toml(settings))
    assert request("--config-file", path).settings == settings


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--model-dir", "models"), "--judge: --model-dir evaluates nothing"),
        (("--features", "t.tsv"), "--judge: --features has no image to compare with"),
        (("--stages", "classify"), "--judge: the stages features and evaluate use it; add"),
    ],
)
def test_options_that_leave_it_without_use_are_told(words, told, tmp_path):
    with pytest.raises(UsageError) as caught:
        request("--judge", f"x={tmp_path}", *words)
    assert told in str(caught.value)


def test_the_participant_level_alone_does_not_use_it(tmp_path):
    with pytest.raises(UsageError, match="add the word group"):
        request("--judge", f"x={tmp_path}", levels=("participant",))


def test_a_wrong_name_and_a_folder_that_is_not_there_are_told_together(tmp_path):
    with pytest.raises(UsageError) as caught:
        request("--judge", f"a:b={tmp_path}", f"x={tmp_path / 'none'}:desc")
    assert "NAME may hold letters, digits, - and _ alone" in str(caught.value)
    assert f"no such folder: {tmp_path / 'none'}" in str(caught.value)


def test_a_folder_without_images_ends_the_run_with_66_before_any_stage(tmp_path, monkeypatch):
    calls = install(monkeypatch)
    output_dir = write_derivative(tmp_path / "out", two_sites())
    empty = tmp_path / "tool"
    empty.mkdir()
    assert main(["-", str(output_dir), "group", "--judge", f"x={empty}"]) == 66
    assert calls.stages == []
