"""The Boutiques descriptor: of the parser's rows, valid, and true of the parser."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from bids_harmonize import __version__
from bids_harmonize.cli.descriptor import choices_of, make_descriptor
from bids_harmonize.cli.main import main
from bids_harmonize.cli.options import GROUPS
from bids_harmonize.cli.outcome import EXIT_WORDS
from bids_harmonize.cli.parser import DESCRIPTION, LEVELS, parse

OPTIONS = {option.names: option for options in GROUPS.values() for option in options}
VALUES = {"String": "x", "File": "/x", "Number": "3", "Flag": None}


@pytest.fixture(scope="module")
def descriptor():
    return make_descriptor(LEVELS, DESCRIPTION)


def test_it_is_printed_without_any_other_word_and_without_heavy_imports(descriptor):
    code = (
        "import sys\nfrom bids_harmonize.cli.main import main\n"
        "code = main(['--bids_exec_spec'])\n"
        "heavy = {'torch', 'nipype', 'bids', 'pandas', 'numpy', 'pydantic'}\n"
        "sys.exit(code or ', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == descriptor


def test_it_is_printed_beside_other_words_too(descriptor, capsys):
    assert main(["bids", "out", "participant", "--bids-exec-spec"]) == 0
    assert json.loads(capsys.readouterr().out) == descriptor


def test_every_option_is_an_input_with_its_flag_and_its_words(descriptor):
    rows = {row["command-line-flag"]: row for row in descriptor["inputs"] if "optional" in row
            and "command-line-flag" in row}  # fmt: skip
    switches = [o for o in OPTIONS.values() if o.kind == "switch"]
    assert len(rows) == len(OPTIONS) + len(switches)
    for option in OPTIONS.values():
        flag = next(name for name in option.names if name.startswith("--"))
        assert rows[flag]["description"] == option.help
        assert tuple(rows[flag].get("value-choices", ())) == choices_of(option)
    assert rows["--site-source"]["value-choices"][0] == "auto"
    assert "value-choices" not in rows["--device"]  # cuda:N stands for any number
    assert rows["--resolution"]["type"] == "Number"
    assert rows["--resolution"]["integer"] is False
    assert rows["--folds"]["integer"] is True


def test_identifiers_and_keys_are_unique_and_stand_in_the_command(descriptor):
    inputs = descriptor["inputs"]
    assert max(Counter(row["id"] for row in inputs).values()) == 1
    keys = Counter(row["value-key"] for row in inputs)
    assert {key for key, n in keys.items() if n > 1} == {"[OUTPUT_DIR]"}  # old or new folder
    for key in keys:
        assert f" {key}" in descriptor["command-line"]
    known = {row["id"] for row in inputs}
    assert all(set(group["members"]) <= known for group in descriptor["groups"])


def test_the_parser_takes_every_input_as_the_descriptor_says_it(descriptor):
    for row in descriptor["inputs"]:
        if "command-line-flag" not in row:
            continue
        value = row.get("value-choices", [VALUES[row["type"]]])[0]
        n = row.get("min-list-entries", 2 if row.get("list") else 1)
        words = [] if value is None else [value] * n
        taken = parse(["bids", "out", "participant", row["command-line-flag"], *words])
        assert len(vars(taken)) == 4, row["id"]


def test_it_names_version_levels_and_exit_codes(descriptor):
    assert descriptor["tool-version"] == __version__
    (level,) = [row for row in descriptor["inputs"] if row["id"] == "analysis_level"]
    assert level["value-choices"] == list(LEVELS)
    assert {row["code"] for row in descriptor["error-codes"]} == set(EXIT_WORDS) - {0}


def test_boutiques_says_that_it_is_valid_also_as_a_bids_app(descriptor, tmp_path):
    pytest.importorskip("boutiques", reason="boutiques is not installed: make install-dev")
    from boutiques import bosh

    path = tmp_path / "descriptor.json"
    path.write_text(json.dumps(descriptor))
    bosh(["validate", str(path)])
    bosh(["validate", "--bids", str(path)])
    invocation = {
        "bids_dir": "/data/bids",
        "output_dir_name": "/data/out",
        "analysis_level": ["participant", "group"],
        "participant_label": ["01", "sub-02"],
        "grid_shape": [64, 80, 64],
        "no_tissue": True,
        "resolution": 2.5,
    }
    words = tmp_path / "invocation.json"
    words.write_text(json.dumps(invocation))
    done = str(bosh(["exec", "simulate", str(path), "-i", str(words)]))
    assert (
        "bids-harmonize /data/bids /data/out participant group --participant-label 01 sub-02 "
        "--resolution 2.5 --grid-shape 64 80 64 --no-tissue"
    ) in " ".join(done.split())
