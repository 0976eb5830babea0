import os
import subprocess
import sys

import pytest

from bids_harmonize import __version__
from bids_harmonize.cli.options import GROUPS, SETTING_OPTIONS
from bids_harmonize.cli.parser import build_parser, parse
from bids_harmonize.cli.request import make_request
from bids_harmonize.config import Settings
from bids_harmonize.errors import UsageError
from bids_harmonize.harmonizers import HARMONIZERS, check_harmonizer_settings
from bids_harmonize.stages import STAGES

PLACES = ["bids", "out", "participant"]


def request(*words, places=PLACES):
    return make_request(parse([*places, *words]))


def test_help_lists_every_stage_and_harmonizer_and_exit_code():
    text = build_parser().format_help()
    for name in (*STAGES, *HARMONIZERS, "16", "18", "65", "66", "70", "73", "74", "75"):
        assert f"\n  {name} " in text


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help_and_version_answer_at_once_without_heavy_imports(word):
    code = (
        "import sys\nfrom bids_harmonize.cli.main import main\n"
        f"code = main(['{word}'])\n"
        "heavy = {'torch', 'nipype', 'bids', 'matplotlib', 'pandas', 'numpy', 'pydantic'}\n"
        "sys.exit(code or ', '.join(heavy & set(sys.modules)) or None)"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = os.times()
    assert after.children_user - before.children_user < 1
    assert ("usage" if word == "--help" else __version__) in done.stdout


def test_every_setting_option_names_a_setting():
    settings = Settings()
    for key in SETTING_OPTIONS:
        section, name = key.split(".")
        if section == "harmonizer":  # its settings are those of the method
            assert name in check_harmonizer_settings("cyclegan", {}), key
        else:
            assert hasattr(getattr(settings, section), name), key


def test_no_option_stands_twice():
    names = [name for options in GROUPS.values() for option in options for name in option.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "words",
    [
        ("--participant-label", "01", "02"),
        ("--participant_label", "sub-01", "sub-02"),
        ("--participant-label", "01,sub-02"),
        ("--participant-label=01", "--participant_label=02"),
    ],
)
def test_participants_are_named_in_every_spelling(words):
    assert request(*words).settings.selection.participant_label == ("01", "02")


@pytest.mark.parametrize(
    "words",
    [
        ("--session-label", "ses-A", "B"),
        ("--session_id", "A,B"),
        ("--session-id", "A", "ses-B"),
    ],
)
def test_sessions_are_named_in_every_spelling(words):
    assert request(*words).settings.selection.session_label == ("A", "B")


@pytest.mark.parametrize("name", ["--nprocs", "--nthreads", "--n-cpus", "--n_cpus"])
def test_processors_are_named_in_every_spelling(name):
    assert request(name, "3").settings.resources.nprocs == 3


@pytest.mark.parametrize("name", ["--use-plugin", "--nipype-plugin-file", "--use_plugin"])
def test_the_plugin_file_is_named_in_every_spelling(name, tmp_path):
    path = tmp_path / "plugin_file.yml"
    path.write_text("plugin: Linear\n")
    assert request(name, str(path)).settings.resources.plugin_file == str(path)


@pytest.mark.parametrize("levels", [["participant", "group"], ["group", "participant"]])
def test_both_levels_run_in_their_order(levels):
    assert request(places=["bids", "out", *levels]).levels == ("participant", "group")


def test_a_dash_stands_for_no_input_at_group_level():
    assert request(places=["-", "out", "group"]).levels == ("group",)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bids", "out"], "analysis_level"),
        (["bids", "out", "subject"], "invalid choice: 'subject'"),
        ([*PLACES, "--atlases", "x"], "unrecognized arguments: --atlases x"),
        ([*PLACES, "--participant"], "unrecognized arguments: --participant"),
    ],
)
def test_unknown_and_missing_words_are_named(words, told):
    with pytest.raises(UsageError, match=told):
        parse(words)


@pytest.mark.parametrize("name", ["localhistogram", "cyclegan"])
def test_a_trained_harmonizer_may_have_one_model_for_all_sources(name):
    assert request().settings.group.sources == "pairwise"
    asked = request("--sources", "joint", "--harmonizer", name, places=["-", "out", "group"])
    assert asked.settings.group.sources == "joint"


def test_a_joint_model_of_what_trains_nothing_and_an_unknown_word_are_usage_faults():
    words = ["--sources", "joint", "--harmonizer", "nyul", "--feature-columns", "x"]
    with pytest.raises(UsageError, match="nyul, which trains nothing") as caught:
        request(*words, places=["-", "out", "group"])
    assert "--feature-columns goes with --features" in str(caught.value)  # all at once
    with pytest.raises(UsageError, match=r"--sources \(group.sources\): found 'all'"):
        request("--sources", "all", places=["-", "out", "group"])
